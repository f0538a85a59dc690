//! kill -9 under load; the long form is `cargo run --release --example crash`.

#[path = "../../../examples/crash/harness/mod.rs"]
mod harness;

use harness::Plan;

#[tokio::test]
async fn nothing_acknowledged_is_lost_or_stored_twice() {
    let report = harness::run(Plan { seed: 20_261_122, cycles: 5, clients: 4, report_every: 0 }).await;
    assert!(report.is_clean(), "{report}");
    assert!(report.repeated > 0 && report.exports > 0, "no request was interrupted: {report}");
    assert!(report.upkeep > 0 && report.dropped_days > 0, "there was no upkeep: {report}");
    assert!(report.vacuumed > 0 && report.log_cleanups > 0, "nothing was deleted: {report}");
}
