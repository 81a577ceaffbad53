//! `tollgate key`: what is secret in configurations, made here: API keys and passwords, the digests and hashes by which
//! a configuration knows them, and pairs of keys that sign identity tokens.

mod pair;

use std::{io::Read, path::PathBuf, process::ExitCode};

use base64ct::{Base64UrlUnpadded, Encoding};
use clap::{Args, Subcommand};
use tollgate_core::{
    password::{Cost, pure},
    policy::api_key::ApiKey,
};

/// 256 bits: nobody guesses such a key, so its digest may be a fast one.
const KEY_BYTES: usize = 32;
/// What RFC 9106 §3.1 advises.
const SALT_BYTES: usize = 16;

#[derive(Debug, Args)]
pub(super) struct Key {
    #[command(subcommand)]
    action: Action,
}

/// Exit code 0: done. 1: there is no randomness, or no key or password that can be read.
#[derive(Debug, Subcommand)]
enum Action {
    /// Make a key, and print it with what to write into the configuration. It is shown once and kept nowhere.
    New {
        /// Whose key it is.
        #[arg(long, default_value = "SUBJECT")]
        subject: String,
        /// What the key begins with, so that scanners for leaked secrets find it.
        #[arg(long, default_value = "tg_")]
        prefix: String,
    },
    /// Read a key from standard input and print its `sha256:…`.
    Hash,
    /// Read a password from standard input and print its hash, for a user of a BasicAuth policy.
    Password,
    /// Make a pair of keys that signs identity tokens, and print it as a private JSON Web Key, for `identity_token.key`.
    Pair {
        /// What it signs with.
        #[arg(long, value_enum, default_value = "eddsa")]
        algorithm: pair::Signing,
        /// What it is called in tokens; its thumbprint unless said otherwise.
        #[arg(long)]
        kid: Option<String>,
    },
    /// Print the public halves of private JSON Web Keys as a key set, for services.
    Jwks {
        /// Files, one key each; standard input where none is named.
        files: Vec<PathBuf>,
    },
}

impl Key {
    pub(super) fn execute(self) -> ExitCode {
        match self.action {
            Action::New { subject, prefix } => {
                let mut bytes = [0; KEY_BYTES];
                if let Err(error) = getrandom::fill(&mut bytes) {
                    return super::fail(1, format_args!("no randomness: {error}"));
                }
                let key = format!("{prefix}{}", Base64UrlUnpadded::encode_string(&bytes));
                let line = format!("{{hash: \"{}\", subject: {subject:?}}}", digest(&key));
                super::print(format_args!("{key}\n\n# under `keys:` of an ApiKey policy\n- {line}\n"))
            }
            Action::Hash => {
                let key = match read("key") {
                    Ok(key) => key,
                    Err(why) => return super::fail(1, why),
                };
                super::print(format_args!("{}\n", digest(&key)))
            }
            Action::Password => {
                let password = match read("password") {
                    Ok(password) => password,
                    Err(why) => return super::fail(1, why),
                };
                // RFC 7617 §2: no client may send one.
                if password.chars().any(char::is_control) {
                    return super::fail(1, "a password is one line, without control characters");
                }
                let mut salt = [0; SALT_BYTES];
                if let Err(error) = getrandom::fill(&mut salt) {
                    return super::fail(1, format_args!("no randomness: {error}"));
                }
                match pure::hash(Cost::STANDARD, &salt, password.as_bytes()) {
                    Some(hash) => super::print(format_args!("{hash}\n")),
                    None => super::fail(1, "there is no memory to hash a password"),
                }
            }
            Action::Pair { algorithm, kid } => match pair::generate(algorithm, kid) {
                Ok(jwk) => super::print(format_args!("{jwk}\n")),
                Err(error) => super::fail(1, error),
            },
            Action::Jwks { files } => match pair::public_set(&files) {
                Ok(set) => super::print(format_args!("{set}\n")),
                Err(error) => super::fail(1, error),
            },
        }
    }
}

/// The line on standard input: never an argument, which others could see.
fn read(what: &str) -> Result<String, String> {
    let mut text = String::new();
    if let Err(error) = std::io::stdin().read_to_string(&mut text) {
        return Err(format!("the {what} can't be read: {error}"));
    }
    let line = text.trim_end_matches(['\r', '\n']);
    if line.is_empty() { Err(format!("there is no {what} on standard input")) } else { Ok(line.to_owned()) }
}

fn digest(key: &str) -> String {
    let hex: String = ApiKey::digest(key).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}
