//! Properties of the grouped writer.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::FutureExt;
use futures::future::join_all;
use proptest::prelude::*;
use sqlx::SqliteConnection;
use tokio::sync::oneshot;

use super::testing::TestRegistry;
use super::writer::GroupLimits;
use super::{Registry, RegistryError};

/// Groups end by number of jobs or an empty queue, not by the test machine's speed.
const UNTIMED: GroupLimits = GroupLimits { jobs: 256, time: Duration::from_hours(1) };

async fn put(conn: &mut SqliteConnection, n: i64) -> Result<i64, RegistryError> {
    sqlx::query("INSERT INTO meta (key, value) VALUES (?, 'x')").bind(format!("n{n}")).execute(conn).await?;
    Ok(n)
}

async fn stored(registry: &Registry) -> i64 {
    let mut conn = registry.read().await.unwrap();
    sqlx::query_scalar("SELECT COUNT(*) FROM meta WHERE key GLOB 'n*'").fetch_one(&mut *conn).await.unwrap()
}

/// Holds the writer in the middle of a transaction until the returned sender is used or dropped.
async fn hold(
    registry: &Registry,
    n: i64,
) -> (oneshot::Sender<()>, tokio::task::JoinHandle<Result<i64, RegistryError>>) {
    let (release, released) = oneshot::channel::<()>();
    let (entered, inside) = oneshot::channel::<()>();
    let shared = registry.clone();
    let write = tokio::spawn(async move {
        shared
            .write(move |conn| {
                Box::pin(async move {
                    put(conn, n).await?;
                    entered.send(()).ok();
                    released.await.ok();
                    Ok(n)
                })
            })
            .await
    });
    inside.await.unwrap();
    (release, write)
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Keeps,
    Refuses,
    Panics,
    BreaksAConstraint,
}

async fn act(conn: &mut SqliteConnection, n: i64, kind: Kind) -> Result<i64, RegistryError> {
    put(conn, n).await?;
    match kind {
        Kind::Keeps => Ok(n),
        Kind::Refuses => Err(RegistryError::Closed),
        Kind::Panics => panic!("job {n}"),
        Kind::BreaksAConstraint => put(conn, n).await,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn every_write_stands_alone(
        kinds in prop::collection::vec(
            prop_oneof![
                3 => Just(Kind::Keeps),
                1 => Just(Kind::Refuses),
                1 => Just(Kind::Panics),
                1 => Just(Kind::BreaksAConstraint),
            ],
            1..40,
        ),
        jobs in 1..9_usize,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let t = TestRegistry::with_limits(GroupLimits { jobs, ..UNTIMED }).await;
            let writes = (0_i64..).zip(&kinds).map(|(n, &kind)| {
                t.registry.write(move |conn| Box::pin(act(conn, n, kind)))
            });
            let results = join_all(writes).await;
            let mut kept = 0;
            for ((n, kind), result) in (0_i64..).zip(&kinds).zip(results) {
                match (kind, result) {
                    (Kind::Keeps, Ok(m)) => { assert_eq!(n, m); kept += 1; }
                    (Kind::Refuses, Err(RegistryError::Closed))
                    | (Kind::BreaksAConstraint, Err(RegistryError::Database(_))) => {}
                    (Kind::Panics, Err(RegistryError::Panicked(text))) => assert_eq!(text, format!("job {n}")),
                    (kind, result) => panic!("{kind:?} gave {result:?}"),
                }
            }
            assert_eq!(stored(&t.registry).await, kept);
            let stats = t.registry.writer_stats();
            assert_eq!(stats.jobs, kinds.len() as u64);
            assert!(stats.groups >= (kinds.len() as u64).div_ceil(jobs as u64));
        });
    }
}

#[tokio::test]
async fn writes_that_wait_share_one_transaction() {
    let t = TestRegistry::with_limits(GroupLimits { jobs: 100, ..UNTIMED }).await;
    let (release, first) = hold(&t.registry, 0).await;
    let mut waiting: Vec<_> =
        (1..=250).map(|n| Box::pin(t.registry.write(move |conn| Box::pin(put(conn, n))))).collect();
    for write in &mut waiting {
        assert!(write.as_mut().now_or_never().is_none());
    }
    release.send(()).unwrap();
    first.await.unwrap().unwrap();
    assert!(join_all(waiting).await.into_iter().all(|r| r.is_ok()));
    let stats = t.registry.writer_stats();
    // 251 writes at 100 a transaction.
    assert_eq!((stats.groups, stats.jobs), (3, 251));
    assert_eq!(stored(&t.registry).await, 251);
}

#[tokio::test]
async fn a_full_clock_ends_a_group() {
    let t = TestRegistry::with_limits(GroupLimits { jobs: 256, time: Duration::ZERO }).await;
    let (release, first) = hold(&t.registry, 0).await;
    let mut second = Box::pin(t.registry.write(|conn| Box::pin(put(conn, 1))));
    assert!(second.as_mut().now_or_never().is_none());
    release.send(()).unwrap();
    first.await.unwrap().unwrap();
    second.await.unwrap();
    assert_eq!(t.registry.writer_stats().groups, 2);
}

#[tokio::test]
async fn no_result_and_no_row_is_seen_before_the_commit() {
    let t = TestRegistry::with_limits(UNTIMED).await;
    let (release_first, first) = hold(&t.registry, 0).await;
    // Queued behind the first, so that it joins the same transaction and keeps it open.
    let (release_second, gate) = oneshot::channel::<()>();
    let (entered, inside) = oneshot::channel::<()>();
    let mut second = Box::pin(t.registry.write(move |conn| {
        Box::pin(async move {
            entered.send(()).ok();
            gate.await.ok();
            put(conn, 1).await
        })
    }));
    assert!(second.as_mut().now_or_never().is_none());
    release_first.send(()).unwrap();
    inside.await.unwrap();
    assert!(!first.is_finished(), "its work is done but not committed");
    assert_eq!(stored(&t.registry).await, 0);
    release_second.send(()).unwrap();
    first.await.unwrap().unwrap();
    assert_eq!(stored(&t.registry).await, 2);
    second.await.unwrap();
    assert_eq!(t.registry.writer_stats().groups, 1);
}

#[tokio::test]
async fn a_failed_commit_fails_its_whole_group_and_no_other() {
    let t = TestRegistry::with_limits(UNTIMED).await;
    let (release, first) = hold(&t.registry, 0).await;
    // A deferred constraint is checked by COMMIT alone.
    let mut breaking = Box::pin(t.registry.write(|conn| {
        Box::pin(async move {
            sqlx::query("PRAGMA defer_foreign_keys = ON").execute(&mut *conn).await?;
            sqlx::query("INSERT INTO user_roles VALUES (99, 1, 1, 'reader', 0)").execute(conn).await?;
            Ok(())
        })
    }));
    assert!(breaking.as_mut().now_or_never().is_none());
    release.send(()).unwrap();
    assert!(matches!(first.await.unwrap(), Err(RegistryError::Commit(_))));
    assert!(matches!(breaking.await, Err(RegistryError::Commit(_))));
    assert_eq!(stored(&t.registry).await, 0);
    assert_eq!(t.registry.principals_generation(), 0);
    t.registry.write(|conn| Box::pin(put(conn, 1))).await.unwrap();
    assert_eq!(stored(&t.registry).await, 1);
}

#[tokio::test]
async fn a_transaction_lost_under_a_write_is_no_success() {
    let t = TestRegistry::with_limits(UNTIMED).await;
    let (release, first) = hold(&t.registry, 0).await;
    // What SQLite does by itself when the disk is full.
    let mut losing = Box::pin(t.registry.write(|conn| {
        Box::pin(async move {
            sqlx::query("ROLLBACK").execute(&mut *conn).await?;
            put(conn, 1).await
        })
    }));
    assert!(losing.as_mut().now_or_never().is_none());
    release.send(()).unwrap();
    assert!(matches!(first.await.unwrap(), Err(RegistryError::Commit(_))));
    assert!(matches!(losing.await, Err(RegistryError::Commit(_))));
    t.registry.write(|conn| Box::pin(put(conn, 2))).await.unwrap();
}

#[tokio::test]
async fn closing_commits_what_is_queued_and_refuses_the_rest() {
    let t = TestRegistry::with_limits(UNTIMED).await;
    let (release, first) = hold(&t.registry, 0).await;
    let done = Arc::new(AtomicUsize::new(0));
    let mut queued: Vec<_> = (1..=20)
        .map(|n| {
            let done = Arc::clone(&done);
            Box::pin(t.registry.write(move |conn| {
                Box::pin(async move {
                    done.fetch_add(1, Ordering::SeqCst);
                    put(conn, n).await
                })
            }))
        })
        .collect();
    for write in &mut queued {
        assert!(write.as_mut().now_or_never().is_none());
    }
    // A caller that leaves does not take its write with it.
    drop(queued.pop());
    let closing = t.registry.clone();
    let closed = tokio::spawn(async move { closing.close().await });
    release.send(()).unwrap();
    closed.await.unwrap();
    first.await.unwrap().unwrap();
    assert!(join_all(queued).await.into_iter().all(|r| r.is_ok()));
    assert_eq!(done.load(Ordering::SeqCst), 20);
    let late = t.registry.write(|conn| Box::pin(put(conn, 99))).await;
    assert!(matches!(late, Err(RegistryError::Closed)));

    let reopened = Registry::open(&t.dir.path().join("registry.sqlite")).await.unwrap();
    assert_eq!(stored(&reopened).await, 21);
}

#[tokio::test]
async fn readers_cannot_write() {
    let t = TestRegistry::new().await;
    let mut conn = t.registry.read().await.unwrap();
    assert!(put(&mut conn, 1).await.is_err());
}

#[tokio::test]
async fn the_generation_follows_changes_of_principals_only() {
    let t = TestRegistry::new().await;
    assert_eq!(t.registry.principals_generation(), 0);
    let key = t.tenant(1).await;
    assert_eq!(t.registry.principals_generation(), 1);
    t.registry.write(|conn| Box::pin(put(conn, 1))).await.unwrap();
    assert_eq!(t.registry.principals_generation(), 1);
    t.registry
        .try_write(move |conn| Box::pin(async move { super::tenants::begin_drop(conn, key.id).await }))
        .await
        .unwrap();
    assert_eq!(t.registry.principals_generation(), 2);
}
