//! The pairs and secrets behind the suite's keys, each made when it is first used.
//!
//! What cases call them, and how they look in a set, is not known here.

use std::sync::LazyLock;

use aws_lc_rs::{
    rand,
    rsa::{KeyPair as RsaKeyPair, KeySize},
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, ECDSA_P521_SHA512_FIXED_SIGNING,
        EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair, RSA_PKCS1_SHA256, RSA_PKCS1_SHA384,
        RSA_PKCS1_SHA512, RSA_PSS_SHA256, RSA_PSS_SHA384, RSA_PSS_SHA512, RsaEncoding,
    },
};

use super::Key;

/// What signs.
pub(super) enum Pair {
    Ed25519(Ed25519KeyPair),
    Ec(EcdsaKeyPair),
    Rsa(RsaKeyPair, &'static dyn RsaEncoding),
    Secret(String),
}

impl Key {
    pub(super) fn pair(self) -> &'static Pair {
        static MAIN: LazyLock<Pair> = LazyLock::new(ed25519);
        static ROTATED: LazyLock<Pair> = LazyLock::new(ed25519);
        static ROGUE: LazyLock<Pair> = LazyLock::new(ed25519);
        static EC: LazyLock<Pair> = LazyLock::new(|| ec(&ECDSA_P256_SHA256_FIXED_SIGNING));
        static ES384: LazyLock<Pair> = LazyLock::new(|| ec(&ECDSA_P384_SHA384_FIXED_SIGNING));
        static ES512: LazyLock<Pair> = LazyLock::new(|| ec(&ECDSA_P521_SHA512_FIXED_SIGNING));
        static RSA: LazyLock<Pair> = LazyLock::new(|| rsa(&RSA_PKCS1_SHA256));
        static RS384: LazyLock<Pair> = LazyLock::new(|| rsa(&RSA_PKCS1_SHA384));
        static RS512: LazyLock<Pair> = LazyLock::new(|| rsa(&RSA_PKCS1_SHA512));
        static PS256: LazyLock<Pair> = LazyLock::new(|| rsa(&RSA_PSS_SHA256));
        static PS384: LazyLock<Pair> = LazyLock::new(|| rsa(&RSA_PSS_SHA384));
        static PS512: LazyLock<Pair> = LazyLock::new(|| rsa(&RSA_PSS_SHA512));
        static HS256: LazyLock<Pair> = LazyLock::new(secret::<16>);
        static HS384: LazyLock<Pair> = LazyLock::new(secret::<24>);
        static HS512: LazyLock<Pair> = LazyLock::new(secret::<32>);
        match self {
            Self::Main => &MAIN,
            Self::Rotated => &ROTATED,
            Self::Rogue => &ROGUE,
            Self::Ec => &EC,
            Self::Es384 => &ES384,
            Self::Es512 => &ES512,
            Self::Rsa => &RSA,
            Self::Rs384 => &RS384,
            Self::Rs512 => &RS512,
            Self::Ps256 => &PS256,
            Self::Ps384 => &PS384,
            Self::Ps512 => &PS512,
            Self::Hs256 => &HS256,
            Self::Hs384 => &HS384,
            Self::Hs512 => &HS512,
        }
    }
}

fn ed25519() -> Pair {
    Pair::Ed25519(Ed25519KeyPair::generate().expect("keys can be made"))
}

fn ec(algorithm: &'static EcdsaSigningAlgorithm) -> Pair {
    Pair::Ec(EcdsaKeyPair::generate(algorithm).expect("keys can be made"))
}

/// One key for each algorithm: a set in which one served two would prove little.
fn rsa(encoding: &'static dyn RsaEncoding) -> Pair {
    Pair::Rsa(RsaKeyPair::generate(KeySize::Rsa2048).expect("keys can be made"), encoding)
}

/// A secret of twice as many bytes, in hexadecimal digits.
fn secret<const HALF: usize>() -> Pair {
    let mut bytes = [0; HALF];
    rand::fill(&mut bytes).expect("there is randomness");
    Pair::Secret(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
