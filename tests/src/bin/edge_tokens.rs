//! What it costs workerd to know who asks: processor time a request, without authentication, with a token that was
//! verified before, and with one that was never seen, by algorithm. Figures, not a test: `cargo xtask bench`.

use std::{error::Error, net::Ipv4Addr};

use serde_json::{Map, Value};
use tollgate_rehearsal::{
    case::request::{Lies, Signed},
    keys::{self, Key},
    play::Sent,
    token::token,
};
use tollgate_tests::stage::{native::client::exchange, workers};

/// Requests of each kind.
const MANY: u64 = 4_000;

/// A request that ends with a refusal, so that no service is asked.
fn request(path: &str, token: &str) -> Sent {
    let headers = [("host", "gateway.test".to_owned()), ("authorization", format!("Bearer {token}"))];
    Sent {
        method: "GET".to_owned(),
        target: path.to_owned(),
        headers: headers.map(|(name, value)| (name.to_owned(), value)).to_vec(),
        pieces: Vec::new(),
        peer: Ipv4Addr::LOCALHOST.into(),
        certificate: None,
        trailers: Vec::new(),
        over: Default::default(),
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    if let Some(why) = workers::unavailable() {
        return Err(why.into());
    }
    let set = keys::set(&[Key::Main, Key::Ec, Key::Rsa]);
    let worker = workers::start(&format!(
        "services: {{app: {{endpoints: ['http://127.0.0.1:9']}}}}\n\
         routes: [{{path: /open, target_service: app}}, {{path: /closed, target_service: app}}]\n\
         policies:\n- {{name: authentication, type: JWT_Validation, jwks: '{set}', exclude_paths: [/open]}}\n\
         - {{name: authorization, type: Cel, expression: 'request.method == \"POST\"'}}\n"
    ))
    .await?;
    let now = u64::try_from(std::time::UNIX_EPOCH.elapsed()?.as_millis())?;
    let made = |key: Key, number: u64| {
        let claims = [("sub", Value::from("alice")), ("jti", number.into())];
        let claims: Map<String, Value> =
            claims.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        token(&Signed { claims, lies: Lies { key, ..Lies::default() } }, now)
    };
    for (name, path, key, fresh) in [
        ("(warm)", "/closed", Key::Main, false),
        ("nobody wants to know", "/open", Key::Main, false),
        ("a token that was verified before", "/closed", Key::Main, false),
        ("a new token, RS256", "/closed", Key::Rsa, true),
        ("a new token, ES256", "/closed", Key::Ec, true),
        ("a new token, EdDSA", "/closed", Key::Main, true),
    ] {
        let tokens = (0..if fresh { MANY } else { 1 })
            .map(|number| made(key, number))
            .collect::<Result<Vec<_>, _>>()?;
        let before = worker.ticks()?;
        for token in tokens.iter().cycle().take(usize::try_from(MANY)?) {
            let status = exchange(worker.address(), &request(path, token)).await?.status;
            if status != 403 {
                return Err(format!("{name}: {status}").into());
            }
        }
        let ticks = worker.ticks()? - before;
        println!("{name}: {} µs of workerd's processor time a request", ticks * 10_000 / MANY);
    }
    Ok(())
}
