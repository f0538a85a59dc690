//! The pages under `docs/` that are made of the program, or whose examples are run.

mod queries;
mod schema;

use std::path::Path;

/// Compares a page with what it should be; `INSTA_UPDATE=always`, which renews every golden, renews it too.
#[track_caller]
fn assert_page(name: &str, wanted: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(name);
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    if found != wanted && std::env::var("INSTA_UPDATE").is_ok_and(|update| update == "always") {
        std::fs::write(&path, wanted).unwrap();
        return;
    }
    let line = found.lines().zip(wanted.lines()).position(|(found, wanted)| found != wanted);
    assert!(found == wanted, "docs/{name} is out of date from line {line:?}; run this test with INSTA_UPDATE=always");
}
