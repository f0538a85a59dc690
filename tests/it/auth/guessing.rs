//! Guessing passwords is slowed down, wherever a password is taken, and slows nobody else down.

use std::time::{Duration, Instant};

use anomalake::domain::principal::Role;

use super::{EMAIL, IAM, PASSWORD, assert_let_in, iam_token, sign_in, tokens, with_user};
use crate::support::{Answer, TestServer};

/// Guesses, cycling through every place that takes a password.
async fn guess(server: &TestServer, i: usize) -> Answer {
    let (anyone, password) = (server.anyone(), format!("guess number {i}"));
    match i % 3 {
        0 => anyone.basic("bob@example.com", &password).query(1).await,
        1 => anyone.basic("bob@example.com", &password).send("POST", IAM, "").await,
        _ => sign_in(&anyone, "bob@example.com", &password).await,
    }
}

#[tokio::test]
async fn two_hundred_wrong_logins_are_slowed_and_a_working_client_is_not() {
    let server = TestServer::start().await;
    let tenant = with_user(&server, Role::Reader).await;
    server.user(tenant.id, "bob@example.com", "bob's own password", Role::Admin).await;
    let basic = server.anyone().basic(EMAIL, PASSWORD);
    assert_let_in(&basic, "a working client").await;
    let held = tokens(&server).await;
    let access = server.anyone().bearer(&held.access);
    let hashes = server.owner.services.auth.password_hashes();

    let guessing = async {
        let mut statuses = Vec::new();
        for i in 0..200 {
            let answer = guess(&server, i).await;
            if answer.status == 429 {
                assert!(answer.header("retry-after").unwrap().parse::<u64>().unwrap() <= 60);
                assert_eq!(answer.json()["code"], 429);
            }
            statuses.push(answer.status);
        }
        statuses
    };
    let working = async {
        let mut slowest = Duration::ZERO;
        for _ in 0..100 {
            for client in [&basic, &access, &tenant.api] {
                let begun = Instant::now();
                client.query(1).await.expect(200);
                slowest = slowest.max(begun.elapsed());
            }
        }
        slowest
    };
    let (statuses, slowest) = tokio::join!(guessing, working);

    // The clock stands still, so all of them fall into one minute.
    assert_eq!(statuses.iter().filter(|&&status| status == 401).count(), 10);
    assert_eq!(statuses.iter().filter(|&&status| status == 429).count(), 190);
    let hashes = server.owner.services.auth.password_hashes() - hashes;
    assert_eq!(hashes, 10, "a refused guess costs no hash, and a client that works none either");
    // Far from what a queue of password hashes would take, and far from what a busy machine does.
    assert!(slowest < Duration::from_secs(5), "a request of the working client took {slowest:?}");

    // The one guessed at is kept out from there, also with the right password; the working client signs in anew.
    sign_in(&server.anyone(), "bob@example.com", "bob's own password").await.expect(429);
    server.clock.advance(30_000);
    iam_token(&server).await;
    tokens(&server).await;
    server.clock.advance(30_000);
    sign_in(&server.anyone(), "bob@example.com", "bob's own password").await.expect(200);
    // Even when its credential is no longer remembered, a known client does not wait for a guesser.
    for i in 0..20 {
        guess(&server, i).await;
    }
    server.clock.advance(1);
    assert_let_in(&basic, "checked anew beside the guesser").await;
}

#[tokio::test]
async fn guesses_at_many_users_from_one_address_are_slowed_as_well() {
    let server = TestServer::start().await;
    with_user(&server, Role::Reader).await;
    for i in 0..10 {
        sign_in(&server.anyone(), &format!("user{i}@example.com"), "guess after guess").await.expect(401);
    }
    let refused = sign_in(&server.anyone(), "user10@example.com", "guess after guess").await;
    insta::assert_snapshot!(refused.shown(), @r#"
    429 application/json
    {
      "code": 429,
      "message": "too many sign-in attempts; try again later"
    }
    "#);
    assert_eq!(refused.header("retry-after"), Some("60"));
    server.clock.advance(60_000);
    sign_in(&server.anyone(), EMAIL, PASSWORD).await.expect(200);
}

#[tokio::test]
async fn wrong_tokens_count_for_nobody() {
    let server = TestServer::start().await;
    with_user(&server, Role::Reader).await;
    for i in 0..30 {
        let wrong = format!("anomalake_access_{i:0>43}");
        server.anyone().bearer(&wrong).query(1).await.expect(401);
        super::assert_no_grant(&super::exchange(&server.anyone(), &wrong).await);
    }
    tokens(&server).await;
}
