//! What is done to a token besides signing it: lies that no honest issuer's library would tell.
//!
//! What is done to header or claims is done before signing where the signature would tell it otherwise, so that
//! nothing but the lie itself can be the reason of a refusal.

use base64ct::{Base64UrlUnpadded, Encoding};
use serde::Deserialize;
use serde_json::Value;

/// A lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tamper {
    /// `=` after the header.
    PadHeader,
    /// `=` after the claims.
    PadClaims,
    /// `=` after the signature.
    PadSignature,
    /// A space in the header.
    SpaceHeader,
    /// A space in the claims.
    SpaceClaims,
    /// A space in the signature.
    SpaceSignature,
    /// The header's last character has bits that mean nothing.
    StrayHeader,
    /// The claims' last character has bits that mean nothing.
    StrayClaims,
    /// The signature's last character has bits that mean nothing.
    StraySignature,
    /// `+` and `/` for `-` and `_` in the claims.
    StandardClaims,
    /// Bytes after the claims' JSON.
    TrailClaims,
    /// A claim of nine thousand characters.
    Huge,
    /// A key name of four thousand characters.
    LongName,
    /// The token is the payload of another one by the same key.
    Nest,
    /// Another claim, after signing.
    ChangeClaims,
    /// Another member of the header, after signing.
    ChangeHeader,
    /// No signature.
    NoSignature,
    /// One byte less.
    CutSignature,
    /// One byte more.
    ExtendSignature,
    /// A zero before it.
    LeadSignature,
    /// One bit of it changed.
    FlipSignature,
    /// All zero.
    ZeroSignature,
    /// All bits set.
    FillSignature,
    /// Its first half, ECDSA's `r`, is zero.
    ZeroR,
    /// Its second half, ECDSA's `s`, is zero.
    ZeroS,
    /// Its halves in the other order.
    SwapSignature,
    /// ECDSA's numbers as ASN.1 has them.
    DerSignature,
    /// The signature in hexadecimal digits.
    HexSignature,
    /// A dot before all.
    LeadingDot,
    /// A dot after all.
    TrailingDot,
    /// Two dots between claims and signature.
    DoubleDot,
    /// No header.
    NoHeader,
    /// No claims.
    NoClaims,
    /// The parts before the signature only.
    TwoParts,
    /// Five parts, as an encrypted token has.
    FiveParts,
    /// All in capitals.
    Capitals,
}

/// A token in its making.
#[derive(Debug, Clone)]
pub(crate) struct Parts {
    pub(crate) header: String,
    pub(crate) claims: String,
}

impl Tamper {
    /// What happens to the text of header and claims.
    pub(crate) fn before_coding(self, parts: &mut Parts) {
        match self {
            Self::TrailClaims => parts.claims.push_str("{}"),
            Self::Huge => with_member(&mut parts.claims, "filler", "x".repeat(9_000).into()),
            Self::LongName => with_member(&mut parts.header, "kid", "../".repeat(1_333).into()),
            _ => {}
        }
    }

    /// What happens to header and claims before they are signed.
    pub(crate) fn before_signing(self, parts: &mut Parts) -> Result<(), String> {
        match self {
            Self::PadHeader => pad(&mut parts.header),
            Self::PadClaims => pad(&mut parts.claims),
            Self::SpaceHeader => parts.header.insert(2, ' '),
            Self::SpaceClaims => parts.claims.insert(2, ' '),
            Self::StrayHeader => stray(&mut parts.header)?,
            Self::StrayClaims => stray(&mut parts.claims)?,
            Self::StandardClaims => {
                let standard = parts.claims.replace('-', "+").replace('_', "/");
                if std::mem::replace(&mut parts.claims, standard.clone()) == standard {
                    return Err("these claims look the same in both alphabets".to_owned());
                }
            }
            Self::NoHeader => parts.header.clear(),
            Self::NoClaims => parts.claims.clear(),
            _ => {}
        }
        Ok(())
    }

    /// What happens to the signature's bytes.
    pub(crate) fn to_signature(self, signature: &mut Vec<u8>) {
        let half = signature.len() / 2;
        match self {
            Self::NoSignature => signature.clear(),
            Self::CutSignature => drop(signature.pop()),
            Self::ExtendSignature => signature.push(0),
            Self::LeadSignature => signature.insert(0, 0),
            Self::FlipSignature => signature.iter_mut().skip(half).take(1).for_each(|byte| *byte ^= 1),
            Self::ZeroSignature => signature.fill(0),
            Self::FillSignature => signature.fill(0xff),
            Self::ZeroR => signature.iter_mut().take(half).for_each(|byte| *byte = 0),
            Self::ZeroS => signature.iter_mut().skip(half).for_each(|byte| *byte = 0),
            Self::SwapSignature => signature.rotate_left(half),
            Self::DerSignature => {
                let (r, s) = signature.split_at(half);
                *signature = sequence(&[integer(r), integer(s)].concat());
            }
            Self::HexSignature => {
                *signature = signature.iter().flat_map(|byte| format!("{byte:02x}").into_bytes()).collect();
            }
            _ => {}
        }
    }

    /// What happens when all is signed.
    pub(crate) fn after_signing(self, token: &mut String) -> Result<(), String> {
        match self {
            Self::PadSignature => pad(token),
            Self::SpaceSignature => token.insert(token.len() - 2, ' '),
            Self::StraySignature => {
                let (message, signature) = token.rsplit_once('.').unwrap_or_default();
                let mut signature = signature.to_owned();
                stray(&mut signature)?;
                *token = format!("{message}.{signature}");
            }
            Self::ChangeClaims | Self::ChangeHeader => {
                let mut parts: Vec<String> = token.split('.').map(str::to_owned).collect();
                let part =
                    parts.get_mut(usize::from(self == Self::ChangeClaims)).ok_or("there is no such part")?;
                let bytes = Base64UrlUnpadded::decode_vec(part).map_err(|error| error.to_string())?;
                let mut text = String::from_utf8(bytes).map_err(|error| error.to_string())?;
                with_member(&mut text, "role", "admin".into());
                *part = Base64UrlUnpadded::encode_string(text.as_bytes());
                *token = parts.join(".");
            }
            Self::LeadingDot => token.insert(0, '.'),
            Self::TrailingDot => token.push('.'),
            Self::DoubleDot => {
                let (message, signature) = token.rsplit_once('.').unwrap_or_default();
                *token = format!("{message}..{signature}");
            }
            Self::TwoParts => token.truncate(token.rfind('.').unwrap_or_default()),
            Self::FiveParts => token.push_str(".AAAA.AAAA"),
            Self::Capitals => token.make_ascii_uppercase(),
            _ => {}
        }
        Ok(())
    }
}

fn with_member(json: &mut String, name: &str, value: Value) {
    if let Ok(Value::Object(mut members)) = serde_json::from_str(json) {
        members.insert(name.to_owned(), value);
        *json = Value::Object(members).to_string();
    }
}

fn pad(part: &mut String) {
    part.push('=');
}

/// Another last character that decodes to the same bytes. Of four characters that stand for three bytes no bit is
/// left over.
fn stray(part: &mut String) -> Result<(), String> {
    const ALPHABET: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let last = part.pop().ok_or("there is nothing to change")?;
    let value = ALPHABET.find(last).ok_or("this is no base64url")?;
    if part.len() % 4 == 3 {
        return Err("all bits of this part mean something; make it a character longer".to_owned());
    }
    part.extend(ALPHABET.chars().nth(value ^ 1));
    Ok(())
}

/// A positive number in DER (X.690 §8.3).
fn integer(bytes: &[u8]) -> Vec<u8> {
    let mut number: Vec<u8> = bytes.iter().copied().skip_while(|&byte| byte == 0).collect();
    if number.first().is_none_or(|&byte| byte >= 0x80) {
        number.insert(0, 0);
    }
    tagged(2, &number)
}

fn sequence(content: &[u8]) -> Vec<u8> {
    tagged(0x30, content)
}

fn tagged(tag: u8, content: &[u8]) -> Vec<u8> {
    // No number of a curve is longer than 255 bytes, nor are two of them.
    let length = u8::try_from(content.len()).unwrap_or(u8::MAX);
    let long = (length >= 0x80).then_some(0x81);
    [tag].into_iter().chain(long).chain([length]).chain(content.iter().copied()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stray_bits_leave_the_bytes_as_they_are_to_a_lenient_reader() {
        for (part, wanted) in [("e30", Ok("e31")), ("AA", Ok("AB")), ("AAAA", Err(()))] {
            let mut changed = part.to_owned();
            assert_eq!(stray(&mut changed).map(|()| changed.as_str()).map_err(drop), wanted);
        }
    }

    #[test]
    fn numbers_in_der_are_as_short_as_can_be_and_positive() {
        let mut signature = [[0, 1], [0x80, 0]].concat();
        Tamper::DerSignature.to_signature(&mut signature);
        assert_eq!(signature, [0x30, 8, 2, 1, 1, 2, 3, 0, 0x80, 0]);
        let mut signature = vec![0xff; 132];
        Tamper::DerSignature.to_signature(&mut signature);
        assert_eq!((signature.len(), &signature[..3]), (3 + 2 * 69, &[0x30, 0x81, 138][..]));
    }

    #[test]
    fn halves_are_zeroed_and_exchanged() {
        let after = |tamper: Tamper| {
            let mut signature = vec![1, 2, 3, 4];
            tamper.to_signature(&mut signature);
            signature
        };
        assert_eq!(after(Tamper::ZeroR), [0, 0, 3, 4]);
        assert_eq!(after(Tamper::ZeroS), [1, 2, 0, 0]);
        assert_eq!(after(Tamper::SwapSignature), [3, 4, 1, 2]);
        assert_eq!(after(Tamper::FlipSignature), [1, 2, 2, 4]);
    }
}
