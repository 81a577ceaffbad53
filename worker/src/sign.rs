//! Signatures by the runtime's WebCrypto, which keeps the keys it has imported.

use js_sys::Uint8Array;
use tollgate_core::{
    host::{HostError, HostErrorKind},
    signing::PrivateKey,
};
use wasm_bindgen::JsCast;

use crate::{body::text, platform::Call, task::Promised};

/// A signature over `message`.
pub(crate) async fn sign(call: &Call, key: &PrivateKey, message: &[u8]) -> Result<Vec<u8>, HostError> {
    let (name, jwk) = (key.algorithm.name(), key.private_jwk().to_string());
    let signed = Promised::by(|ticket| call.sign(ticket, name, &jwk, message)).await;
    match signed.dyn_ref::<Uint8Array>() {
        Some(signature) => Ok(signature.to_vec()),
        None => {
            let why = format!("the key `{}` can't sign by {name}: {}", key.kid, text(&signed));
            Err(HostError::new(HostErrorKind::Unavailable, why))
        }
    }
}
