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

use super::{Key, Unmade};

type Lazy = LazyLock<Option<Pair>>;

/// What signs.
pub(super) enum Pair {
    Ed25519(Ed25519KeyPair),
    Ec(EcdsaKeyPair),
    Rsa(RsaKeyPair, &'static dyn RsaEncoding),
    Secret(String),
}

impl Key {
    pub(super) fn pair(self) -> Result<&'static Pair, Unmade> {
        static MAIN: Lazy = LazyLock::new(ed25519);
        static ROTATED: Lazy = LazyLock::new(ed25519);
        static ROGUE: Lazy = LazyLock::new(ed25519);
        static EC: Lazy = LazyLock::new(|| ec(&ECDSA_P256_SHA256_FIXED_SIGNING));
        static ES384: Lazy = LazyLock::new(|| ec(&ECDSA_P384_SHA384_FIXED_SIGNING));
        static ES512: Lazy = LazyLock::new(|| ec(&ECDSA_P521_SHA512_FIXED_SIGNING));
        static RSA: Lazy = LazyLock::new(|| rsa(&RSA_PKCS1_SHA256));
        static RS384: Lazy = LazyLock::new(|| rsa(&RSA_PKCS1_SHA384));
        static RS512: Lazy = LazyLock::new(|| rsa(&RSA_PKCS1_SHA512));
        static PS256: Lazy = LazyLock::new(|| rsa(&RSA_PSS_SHA256));
        static PS384: Lazy = LazyLock::new(|| rsa(&RSA_PSS_SHA384));
        static PS512: Lazy = LazyLock::new(|| rsa(&RSA_PSS_SHA512));
        static HS256: Lazy = LazyLock::new(secret::<16>);
        static HS384: Lazy = LazyLock::new(secret::<24>);
        static HS512: Lazy = LazyLock::new(secret::<32>);
        let pair = match self {
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
        };
        pair.as_ref().ok_or(Unmade)
    }
}

fn ed25519() -> Option<Pair> {
    Ed25519KeyPair::generate().ok().map(Pair::Ed25519)
}

fn ec(algorithm: &'static EcdsaSigningAlgorithm) -> Option<Pair> {
    EcdsaKeyPair::generate(algorithm).ok().map(Pair::Ec)
}

/// One key for each algorithm: a set in which one served two would prove little.
fn rsa(encoding: &'static dyn RsaEncoding) -> Option<Pair> {
    RsaKeyPair::generate(KeySize::Rsa2048).ok().map(|pair| Pair::Rsa(pair, encoding))
}

/// A secret of twice as many bytes, in hexadecimal digits.
fn secret<const HALF: usize>() -> Option<Pair> {
    let mut bytes = [0; HALF];
    rand::fill(&mut bytes).ok()?;
    Some(Pair::Secret(bytes.iter().map(|byte| format!("{byte:02x}")).collect()))
}
