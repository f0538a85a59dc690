//! Tests of [`super::exports`].

use serde_json::json;

use super::exports::{self, ExportOf, ExportState, MadeFile, NewExport, SavedExport, Usage};
use super::testing::TestRegistry;
use crate::domain::anomaly::AnomalyId;
use crate::domain::tenant::TenantKey;

const REASON: &str = "the server ended";

fn new(owner: &str) -> NewExport {
    NewExport {
        owner: owner.to_owned(),
        name: Some("result.csv".to_owned()),
        of: ExportOf::Sql { sql: "SELECT $1".to_owned(), params: json!([1]) },
        format: "csv".to_owned(),
        escape_formulas: true,
    }
}

fn made(bytes: i64) -> MadeFile {
    MadeFile { file: "1-a.csv".to_owned(), rows: 3, bytes, sha256: "ab".to_owned() }
}

macro_rules! write {
    ($registry:expr, $conn:ident => $work:expr) => {
        $registry.registry.write(move |$conn| Box::pin(async move { $work.await })).await.unwrap()
    };
}

async fn create(t: &TestRegistry, tenant: TenantKey, new: NewExport) -> SavedExport {
    write!(t, conn => exports::create(conn, tenant, &new, 5))
}

async fn get(t: &TestRegistry, tenant: TenantKey, id: i64) -> Option<SavedExport> {
    exports::get(&mut t.registry.read().await.unwrap(), tenant, id).await.unwrap()
}

async fn due(t: &TestRegistry, now_ms: i64) -> Vec<i64> {
    let due = exports::due(&mut t.registry.read().await.unwrap(), now_ms).await.unwrap();
    due.into_iter().map(|export| export.id).collect()
}

#[tokio::test]
async fn what_was_asked_for_reads_back_for_its_tenant_alone() {
    let t = TestRegistry::new().await;
    let (a, b) = (t.tenant(1).await, t.tenant(2).await);
    let of_anomaly = ExportOf::Anomaly(AnomalyId::try_from(9).unwrap());
    for new in [new("ann"), NewExport { of: of_anomaly, escape_formulas: false, name: None, ..new("bob") }] {
        let created = create(&t, a, new.clone()).await;
        assert_eq!((&created.new, created.state, created.attempts), (&new, ExportState::Pending, 0));
        assert_eq!(get(&t, a, created.id).await, Some(created.clone()));
        assert_eq!(get(&t, b, created.id).await, None);
        assert!(!write!(t, conn => exports::delete(conn, b, created.id)));
    }
    let mut conn = t.registry.read().await.unwrap();
    let mut ids = async |owner: Option<&str>, before, limit| -> Vec<i64> {
        let page = exports::list(&mut conn, a, owner, before, limit).await.unwrap();
        page.into_iter().map(|export| export.id).collect()
    };
    assert_eq!(ids(None, None, 9).await, [2, 1]);
    assert_eq!(ids(None, None, 1).await, [2]);
    assert_eq!(ids(None, Some(2), 9).await, [1]);
    assert_eq!(ids(Some("bob"), None, 9).await, [2]);
}

#[tokio::test]
async fn each_tenant_has_its_turn_and_an_attempt_is_counted_when_it_begins() {
    let t = TestRegistry::new().await;
    let (a, b) = (t.tenant(1).await, t.tenant(2).await);
    for tenant in [a, a, b] {
        create(&t, tenant, new("ann")).await;
    }
    assert_eq!(due(&t, 5).await, [1, 3]);
    assert!(write!(t, conn => exports::begin(conn, 1, 6)));
    assert!(!write!(t, conn => exports::begin(conn, 1, 6)), "it runs already");
    assert_eq!(due(&t, 6).await, [2, 3]);
    write!(t, conn => exports::postpone(conn, 1, Some("no luck"), 50, true));
    let export = get(&t, a, 1).await.unwrap();
    assert_eq!(
        (export.state, export.attempts, export.last_error.as_deref()),
        (ExportState::Pending, 1, Some("no luck"))
    );
    assert_eq!(due(&t, 49).await, [2, 3]);
    assert_eq!(due(&t, 50).await, [1, 3]);
    write!(t, conn => exports::begin(conn, 1, 51));
    write!(t, conn => exports::postpone(conn, 1, None, 0, false));
    let export = get(&t, a, 1).await.unwrap();
    assert_eq!((export.attempts, export.last_error.as_deref()), (1, Some("no luck")));
}

#[tokio::test]
async fn what_a_dead_process_left_is_made_anew_until_its_attempts_are_used_up() {
    let t = TestRegistry::new().await;
    let tenant = t.tenant(1).await;
    create(&t, tenant, new("ann")).await;
    create(&t, tenant, new("ann")).await;
    for attempt in 1..=exports::MAX_ATTEMPTS {
        assert!(write!(t, conn => exports::begin(conn, 1, 6)));
        assert_eq!(write!(t, conn => exports::recover(conn, REASON, 7, 70)), 1);
        let export = get(&t, tenant, 1).await.unwrap();
        let wanted = if attempt < exports::MAX_ATTEMPTS { ExportState::Pending } else { ExportState::Failed };
        assert_eq!((export.state, export.attempts), (wanted, attempt));
        assert_eq!(export.last_error.as_deref(), Some(REASON));
    }
    assert_eq!(get(&t, tenant, 1).await.unwrap().expires_at_ms, Some(70));
    assert_eq!(write!(t, conn => exports::recover(conn, REASON, 7, 70)), 0);
    assert_eq!(get(&t, tenant, 2).await.unwrap().state, ExportState::Pending);
}

#[tokio::test]
async fn a_file_counts_from_its_commit_to_its_expiry() {
    let t = TestRegistry::new().await;
    let tenant = t.tenant(1).await;
    let usage = async || exports::usage(&mut t.registry.read().await.unwrap(), tenant).await.unwrap();
    for _ in 0..3 {
        create(&t, tenant, new("ann")).await;
    }
    assert!(!write!(t, conn => exports::commit_file(conn, 1, &made(10), 8, 80)), "it does not run");
    write!(t, conn => exports::begin(conn, 1, 6));
    assert!(write!(t, conn => exports::commit_file(conn, 1, &made(10), 8, 80)));
    assert_eq!(get(&t, tenant, 1).await.unwrap().made, Some(made(10)));
    write!(t, conn => exports::begin(conn, 2, 6));
    write!(t, conn => exports::give_up(conn, 2, "no luck", 8, 81));
    assert_eq!(usage().await, Usage { count: 3, bytes: 10 });
    let files = exports::all_files(&mut t.registry.read().await.unwrap()).await.unwrap();
    assert_eq!(files, [(tenant, "1-a.csv".to_owned())]);
    assert!(write!(t, conn => exports::expire(conn, 79)).is_empty());
    let expired: Vec<i64> = write!(t, conn => exports::expire(conn, 80)).iter().map(|export| export.id).collect();
    assert_eq!(expired, [1]);
    assert_eq!(usage().await, Usage { count: 2, bytes: 0 });
    assert!(write!(t, conn => exports::delete(conn, tenant, 3)));
    assert!(!write!(t, conn => exports::begin(conn, 3, 6)), "it is gone");
}
