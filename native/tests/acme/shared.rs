//! Several gateways that share what they have, in a folder or in Redis: one of them orders, all of them serve, and any of
//! them may be asked by the authority.

use std::{
    net::Ipv4Addr,
    process::{Child, Command, Stdio},
    time::Duration,
};

use tollgate::clock::Clock;

use super::around::{Authority, Front, Gateway, Temporary, free_port, is_missing, until, visit};

const DAY: u64 = 86_400;

/// Both want the same; the authority asks the one that does not order, or that may not.
async fn one_orders_and_both_serve(kept: &str, store: &str, challenge: &str) {
    let front = Front::start().await;
    let authority = Authority::start(&front, 90 * DAY).await;
    let keys = format!("{}, {kept}", authority.keys(challenge));
    let both = |names: &str| [(); 2].map(|()| Gateway::new(&keys, store, names, Clock::System));
    let [mut ordering, mut asked] = both("one.test");
    front.is_of(&asked);
    ordering.run();
    let one = ordering.has("one.test").await;
    asked.run();
    assert_eq!(asked.has("one.test").await, one);
    assert_eq!(visit(front.tls, "one.test").await.unwrap(), one);
    assert_eq!((ordering.orders(), asked.orders()), ((1, 0), (0, 0)));
    drop((ordering, asked));

    let [mut here, mut there] = both("two.test, three.test");
    front.is_of(&there);
    here.run();
    there.run();
    for name in ["two.test", "three.test"] {
        let one = here.has(name).await;
        assert_eq!(there.has(name).await, one, "{name}");
    }
    let (here, there) = (here.orders(), there.orders());
    assert_eq!((here.0 + there.0, here.1 + there.1), (2, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn gateways_that_share_a_folder_order_once() {
    if is_missing() {
        return;
    }
    for challenge in ["Http01", "TlsAlpn01"] {
        let folder = Temporary::new();
        one_orders_and_both_serve(&format!("folder: {}", folder.path("acme")), "type: Memory", challenge)
            .await;
    }
}

struct Redis(Child);

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn gateways_that_share_a_redis_order_once() {
    if is_missing() {
        return;
    }
    if Command::new("redis-server").arg("--version").output().is_err() {
        let why = "skipped: `redis-server` is not on the PATH; `cargo xtask test` says how to get it";
        assert!(std::env::var_os("CI").is_none(), "{why}");
        eprintln!("{why}");
        return;
    }
    for challenge in ["Http01", "TlsAlpn01"] {
        let (port, folder) = (free_port(), Temporary::new());
        let redis = Command::new("redis-server")
            .args([
                "--port",
                &port.to_string(),
                "--bind",
                "127.0.0.1",
                "--save",
                "",
                "--requirepass",
                "hunter2",
            ])
            .current_dir(&folder.0)
            .stdout(Stdio::null())
            .spawn();
        let _redis = Redis(redis.unwrap());
        until("redis answers", Duration::from_secs(10), || {
            std::net::TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok()
        })
        .await;
        let store = format!("type: Redis, url: 'redis://:hunter2@127.0.0.1:{port}'");
        one_orders_and_both_serve("in_store: true", &store, challenge).await;
    }
}
