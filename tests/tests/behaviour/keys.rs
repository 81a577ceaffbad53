//! The gateway with an issuer whose keys are asked for by a client that does not stay for the answer.

use tollgate_tests::stage::native::client::exchange;

use crate::around::{Upstream, connect, request, soon};

/// By a key named `a`, and signed by nobody.
fn token() -> String {
    format!("authorization: Bearer eyJhbGciOiJFZERTQSIsImtpZCI6ImEifQ.e30.{}", "A".repeat(86))
}

#[tokio::test]
async fn a_client_that_leaves_at_once_keeps_nobody_from_the_issuers_keys() {
    let (service, issuer) = (Upstream::open().await, Upstream::open().await);
    let gateway = service.gateway(&format!(
        "policies:\n- {{name: authentication, type: JWT_Validation, jwks_uri: 'http://{}/keys'}}\n",
        issuer.address()
    ));
    let sent = request("GET /app/x", &[&token()], "");
    let (reader, mut writer) = connect(&gateway).await;
    writer.send(&sent).await.unwrap();
    let mut unanswered = issuer.accept().await;
    unanswered.head().await;
    drop((reader, writer));
    let mut asked_again = issuer.accept().await;
    asked_again.head().await;
    let set = r#"{"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "a", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;
    let length = set.len();
    asked_again.say(&format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{set}")).await;
    // Judged by the keys that came: it is the token that is bad.
    let answer = soon("the next client is answered", exchange(gateway.addresses()[0], &sent)).await.unwrap();
    assert_eq!(answer.status, 401);
}
