//! Signature checks by the runtime's WebCrypto, which wants keys as JSON Web Keys (RFC 7517). It keeps the keys
//! it has imported, by their text.

use base64ct::{Base64UrlUnpadded, Encoding};
use tollgate_core::{
    host::{HostError, HostErrorKind},
    verify::{Algorithm, Curve, Material, PublicKey},
};

use crate::{body::text, platform::Call, task::Promised};

/// Whether `signature` over `message` was made by the owner of `key`.
pub(crate) async fn verify(
    call: &Call,
    algorithm: Algorithm,
    key: &PublicKey,
    message: &[u8],
    signature: &[u8],
) -> Result<bool, HostError> {
    let unusable =
        |why: String| HostError::new(HostErrorKind::Unavailable, format!("{}: {why}", algorithm.name()));
    if !key.serves(algorithm) {
        return Err(unusable("the key is for something else".to_owned()));
    }
    let jwk = jwk(&key.material).ok_or_else(|| unusable("the key is malformed".to_owned()))?;
    let name = algorithm.name();
    let verified = Promised::by(|ticket| call.verify(ticket, name, &jwk, signature, message)).await;
    verified.as_bool().ok_or_else(|| unusable(text(&verified)))
}

fn jwk(material: &Material) -> Option<String> {
    let encode = Base64UrlUnpadded::encode_string;
    Some(match material {
        Material::Rsa { n, e } => format!(r#"{{"kty":"RSA","n":"{}","e":"{}"}}"#, encode(n), encode(e)),
        Material::Ec { curve, point } => {
            let name = match curve {
                Curve::P256 => "P-256",
                Curve::P384 => "P-384",
                Curve::P521 => "P-521",
            };
            let (x, y) = point.get(1..)?.split_at_checked(point.len() / 2)?;
            format!(r#"{{"kty":"EC","crv":"{name}","x":"{}","y":"{}"}}"#, encode(x), encode(y))
        }
        Material::Ed25519(x) => format!(r#"{{"kty":"OKP","crv":"Ed25519","x":"{}"}}"#, encode(x)),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_key_is_handed_over_as_it_came() {
        let n = Base64UrlUnpadded::encode_string(&[0xff; 256]);
        for written in [
            json!({"kty": "EC", "crv": "P-256", "x": "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4", "y": "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"}),
            json!({"kty": "RSA", "n": n, "e": "AQAB"}),
            json!({"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}),
        ] {
            let key = PublicKey::from_jwk(&written).unwrap();
            let handed: serde_json::Value = serde_json::from_str(&jwk(&key.material).unwrap()).unwrap();
            assert_eq!(handed, written);
        }
    }
}
