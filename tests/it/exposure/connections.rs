//! Connections: idle ones, many, too many.

use std::time::Instant;

use super::{MS, Raw, statuses};
use crate::support::TestServer;
use crate::support::wait::until;

const GET: &str = "GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n";

#[tokio::test]
async fn one_without_a_request_is_closed_after_a_while() {
    let server = TestServer::start_with(|settings| settings.idle_timeout = MS(400)).await;
    let mut raw = Raw::connect(server.address()).await.unwrap();
    for _ in 0..3 {
        raw.say(GET).await.unwrap();
        let answer = raw.hear_until("}").await;
        assert_eq!(statuses(&answer), ["200"]);
        assert!(raw.is_quiet(MS(200)).await, "a request starts the time anew");
    }
    let start = Instant::now();
    assert_eq!(raw.hear_all().await, "");
    assert!(start.elapsed() < MS(2_000), "closed after {:?}", start.elapsed());
}

#[tokio::test]
async fn one_too_many_is_turned_away_at_once() {
    let server = TestServer::start_with(|settings| settings.max_connections = 2).await;
    let open = async |server: &TestServer| {
        let mut raw = Raw::say_to(server.address(), GET).await;
        raw.hear_until("}").await;
        raw
    };
    let (first, mut second) = (open(&server).await, open(&server).await);
    let answer = Raw::connect(server.address()).await.unwrap().hear_all().await;
    assert_eq!(statuses(&answer), ["503"], "{answer}");
    assert!(answer.contains("retry-after: 1"), "{answer}");
    // Those inside notice nothing, and who leaves makes room.
    second.say(GET).await.unwrap();
    second.hear_until("}").await;
    drop(first);
    until("room", async || {
        let closing = GET.replace("\r\n\r\n", "\r\nconnection: close\r\n\r\n");
        let answer = Raw::say_to(server.address(), closing).await.hear_all().await;
        statuses(&answer) == ["200"]
    })
    .await;
}

/// Open files that this process may have.
fn open_files() -> usize {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files")).unwrap_or_default();
    line.split_whitespace().next().and_then(|soft| soft.parse().ok()).unwrap_or(0)
}

#[tokio::test]
async fn two_thousand_idle_ones_leave_room_for_work() {
    const IDLE: usize = 2_000;
    // Both ends are in this process, and other tests run beside this one.
    if open_files() < 3 * IDLE {
        eprintln!("skipped: {} open files are allowed, {} are needed (ulimit -n)", open_files(), 3 * IDLE);
        return;
    }
    let server = TestServer::start().await;
    let tenant = server.tenant(5618).await;
    let mut idle = Vec::with_capacity(IDLE);
    for n in 0..IDLE {
        // Half of them have been of use before.
        let mut raw = Raw::connect(server.address()).await.unwrap();
        if n % 2 == 0 {
            raw.say(GET).await.unwrap();
            raw.hear_until("}").await;
        }
        idle.push(raw);
    }
    let open = server.metric("anomalake_connections_open").await;
    assert!(open >= 1_900, "{open} are open; the time of a head may have come for some of the silent ones");
    let start = Instant::now();
    tenant.ingest(&[crate::support::records::activity(crate::support::NOW_MS, "ann", "a")]).await;
    assert_eq!(tenant.stored().await, ["a"]);
    assert!(start.elapsed() < MS(5_000), "{:?}", start.elapsed());
    // A stop closes them all at once.
    let start = Instant::now();
    server.stop();
    server.ended().await;
    assert!(start.elapsed() < MS(10_000), "{:?}", start.elapsed());
    assert_eq!(idle.pop().unwrap().hear_all().await, "");
}
