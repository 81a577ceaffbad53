//! The gateway with an issuer that is asked about tokens, where it matters when: questions that come at the same
//! time, clients that leave, answers that never end.

use std::{net::SocketAddr, time::Duration};

use tokio::task::JoinSet;
use tollgate::server::Running;
use tollgate_tests::stage::native::client::exchange;

use crate::around::{Connection, Upstream, connect, request, soon};

/// A gateway between a service and an issuer.
struct World {
    service: Upstream,
    issuer: Upstream,
    gateway: Running,
}

impl World {
    async fn new(more: &str) -> Self {
        let (service, issuer) = (Upstream::open().await, Upstream::open().await);
        let gateway = service.gateway(&format!(
            "policies:\n- {{name: authentication, type: OAuthIntrospection, \
             introspection_endpoint: 'http://{}/ask', client_id: c, client_secret: s{more}}}\n",
            issuer.address()
        ));
        Self { service, issuer, gateway }
    }

    /// As many requests at once, and the statuses they end with.
    async fn ask(&self, times: usize) -> Vec<u16> {
        let address: SocketAddr = self.gateway.addresses()[0];
        let mut all = JoinSet::new();
        for _ in 0..times {
            let sent = request("GET /app/x", &[TOKEN], "");
            all.spawn(async move { exchange(address, &sent).await.unwrap().status });
        }
        soon("all are answered", all.join_all()).await
    }

    /// The service answers as many requests.
    async fn serve(&self, times: usize) {
        for _ in 0..times {
            let mut connection = self.service.accept().await;
            connection.head().await;
            connection.say("HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n").await;
        }
    }

    /// The issuer's next question.
    async fn question(&self) -> Connection {
        let mut connection = self.issuer.accept().await;
        let head = connection.head().await;
        assert!(head.starts_with("POST /ask HTTP/1.1\r\n"), "{head}");
        connection.until("token_type_hint=access_token").await;
        connection
    }

    /// Whether the issuer is asked nothing more.
    async fn is_left_alone(&self) -> bool {
        // Whatever was asked is there by now.
        tokio::time::timeout(Duration::from_millis(100), self.issuer.accept()).await.is_err()
    }
}

async fn answer(mut connection: Connection, content: &str) {
    let length = content.len();
    connection
        .say(&format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{content}"))
        .await;
}

const TOKEN: &str = "authorization: Bearer good";
const ACTIVE: &str = r#"{"active": true, "sub": "alice"}"#;

#[tokio::test]
async fn requests_with_the_same_token_that_come_at_once_ask_once() {
    let world = World::new("").await;
    let asked_once = async {
        answer(world.question().await, ACTIVE).await;
        world.serve(20).await;
    };
    let (statuses, ()) = tokio::join!(world.ask(20), asked_once);
    assert_eq!(statuses, [204; 20]);
    assert!(world.is_left_alone().await);
}

#[tokio::test]
async fn whoever_waits_for_a_question_that_fails_is_not_kept_waiting_for_another() {
    let world = World::new(", timeout_ms: 300").await;
    let silent = async { world.question().await };
    let (statuses, _connection) = tokio::join!(world.ask(10), silent);
    assert_eq!(statuses, [503; 10]);
    assert!(world.is_left_alone().await);
}

#[tokio::test]
async fn a_client_that_leaves_leaves_nobody_without_an_answer() {
    let world = World::new("").await;
    let (reader, mut writer) = connect(&world.gateway).await;
    writer.send(&request("GET /app/x", &[TOKEN], "")).await.unwrap();
    let _unanswered = world.question().await;
    let left = async {
        drop((reader, writer));
        answer(world.question().await, ACTIVE).await;
        world.serve(3).await;
    };
    let (statuses, ()) = tokio::join!(world.ask(3), left);
    assert_eq!(statuses, [204; 3]);
    assert!(world.is_left_alone().await);
}

#[tokio::test]
async fn an_answer_that_does_not_end_is_none() {
    let world = World::new(", timeout_ms: 300").await;
    let trickle = async {
        let mut connection = world.question().await;
        connection.say("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"active\": true").await;
        connection
    };
    let (statuses, _connection) = tokio::join!(world.ask(1), trickle);
    assert_eq!(statuses, [503]);
}
