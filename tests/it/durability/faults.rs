//! Disks that fail as a seed tells; the long form is `cargo run --release --example faults`.

#[path = "../../../examples/faults/harness/mod.rs"]
mod harness;

use harness::{Plan, Summary, Syncing};

fn run(seeds: std::ops::RangeInclusive<u64>) -> Summary {
    let run = |seed| Plan::new(seed, Syncing::All).run().unwrap_or_else(|broken| panic!("{broken}"));
    seeds.map(run).fold(Summary::default(), |total, run| total.and(&run))
}

/// The runs must have met what they are for.
fn assert_telling(total: &Summary) {
    assert!(total.crashes > 0 && total.unknown_outcomes > 0 && total.refused > 0, "{total}");
    assert!(total.acknowledged_rows > 0 && total.evidence_files > 0, "{total}");
}

#[test]
fn no_seed_loses_or_doubles_anything() {
    assert_telling(&run(1..=12));
}

#[test]
fn nor_do_these() {
    assert_telling(&run(13..=24));
}

#[test]
fn a_seed_repeats_itself() {
    let run = |seed| Plan::new(seed, Syncing::All).run().unwrap();
    for seed in [5, 8] {
        assert_eq!(run(seed).trace, run(seed).trace, "seed {seed}");
    }
}

#[test]
fn without_its_syncs_every_kind_of_loss_is_seen() {
    for syncing in [Syncing::Nothing, Syncing::NoFiles, Syncing::NoFolders, Syncing::NoAncestors] {
        let broken = (1..=10).find_map(|seed| Plan::new(seed, syncing).run().err());
        let broken = broken.unwrap_or_else(|| panic!("ten seeds without {syncing:?} lose nothing"));
        assert!(broken.to_string().contains(&format!("--seed {}", broken.seed)), "{broken}");
    }
}
