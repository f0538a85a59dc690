//! What runs beside the requests: evidence files, compaction, retention, checkpoints and vacuum.

use futures::stream;
use object_store::ObjectStoreExt;
use object_store::path::Path;
use sha2::{Digest, Sha256};

use anomalake::domain::activity::evidence_schema;
use anomalake::domain::anomaly::AnomalyId;
use anomalake::domain::clock::{Clock, SystemClock};
use anomalake::domain::day::DAY_MS;
use anomalake::domain::hex::hex;
use anomalake::lake::data_files::DayLayout;
use anomalake::lake::evidence_files::{evidence_path, write_evidence};
use anomalake::lake::layout::ACTIVITIES;
use anomalake::lake::upkeep::compact::compact;
use anomalake::lake::upkeep::live::live_days;
use anomalake::lake::upkeep::log::tidy_log;
use anomalake::lake::upkeep::plan::Retention;
use anomalake::lake::upkeep::retain::{drop_day, expired};
use anomalake::lake::upkeep::vacuum::{delete, stored_evidence, unnamed_data, unnamed_evidence};
use anomalake::registry::anomalies::{self, NewAnomaly};
use anomalake::registry::evidence::{self, EvidenceFile};

use crate::support::seeded::Seeded;

use super::ledger::{Ledger, Request, Told};
use super::life::{Life, NOW_MS, around, batch};

/// How long files and log entries are kept, in ms.
const KEEP_MS: i64 = 7_200_000;

impl Life {
    /// An anomaly, its evidence file, and the transaction that names it; each may fail.
    pub(super) async fn make_evidence(&self, chance: &mut Seeded, ledger: &mut Ledger) {
        let tenant = self.tenant;
        let new = NewAnomaly::of_user("ann", 0, NOW_MS, NOW_MS);
        let create = self
            .registry
            .write(move |conn| Box::pin(async move { anomalies::create(conn, tenant, &new, NOW_MS).await }));
        let Ok(anomaly) = around(&self.disk, "create anomaly", create).await else { return };
        let rows = Request {
            key: None,
            ids: (0..=chance.below(50)).map(|n| n.to_string()).collect(),
            large: false,
            expiring: false,
            days: 3,
            told: Told::Refused,
        };
        let rows = batch(&rows, tenant.id);
        let columns: Vec<_> =
            evidence_schema().fields().iter().map(|field| rows.schema().index_of(field.name()).unwrap()).collect();
        let rows = stream::iter([Ok(rows.project(&columns).unwrap())]);
        let path = evidence_path(anomaly.id, 1, NOW_MS);
        let Ok(made) = write_evidence(self.lake.tenant_store(tenant), path, rows, 0, None).await else { return };
        let named = EvidenceFile {
            number: 1,
            file: made.path,
            rows: i64::try_from(made.rows).unwrap(),
            bytes: i64::try_from(made.bytes).unwrap(),
            sha256: made.sha256,
            lake_version: 0,
            row_cap: 100_000,
            made_at_ms: NOW_MS,
        };
        let id: AnomalyId = anomaly.id;
        let commit = self
            .registry
            .write(move |conn| Box::pin(async move { evidence::commit_file(conn, tenant, id, &named).await }));
        if let Ok(named) = around(&self.disk, "name evidence", commit).await {
            assert!(named, "the anomaly is new");
            ledger.evidence_files += 1;
        }
    }

    /// Rewrites some files of a day, or sorts all of it.
    pub(super) async fn compact(&self, chance: &mut Seeded, ledger: &mut Ledger) {
        let (which, sorted) = (chance.below(3), chance.below(3) == 0);
        let Some(table) = self.table().await else { return };
        let Some((day, mut files)) =
            live_days(&table.current()).unwrap().into_iter().nth(usize::try_from(which).unwrap())
        else {
            return;
        };
        let layout = if sorted { DayLayout::Sorted } else { DayLayout::Merged };
        if !sorted {
            files.truncate(4);
        }
        let folder = format!("{}/{ACTIVITIES}", self.tenant.folder());
        for file in &files {
            if self.disk.materialize(&Path::from(format!("{folder}/{}", file.path))).await.is_err() {
                // The check after this life says that a live file is gone.
                return;
            }
        }
        let done = compact(&table, &std::env::temp_dir(), day, &files, layout, &|| Ok(())).await;
        ledger.upkeep_commits += u64::from(done.is_ok());
    }

    /// Drops what has expired, writes a checkpoint, or deletes what nobody needs.
    pub(super) async fn tidy(&self, chance: &mut Seeded, ledger: &mut Ledger) {
        let which = chance.below(3);
        let Some(table) = self.table().await else { return };
        // Everything on the disk is old then.
        let later_ms = SystemClock.now_ms() + KEEP_MS + 60_000;
        match which {
            0 => {
                let retention = Retention { keep_ms: 100 * DAY_MS, after_ingest_ms: 0 };
                for day in expired(&table, retention, NOW_MS + 1).unwrap() {
                    let dropped = drop_day(&table, day.day, retention, NOW_MS + 1).await;
                    ledger.upkeep_commits += u64::from(matches!(dropped, Ok(Some(_))));
                }
            }
            1 => drop(tidy_log(&table, KEEP_MS, 16, later_ms).await),
            _ => {
                let stored = stored_evidence(&table).await;
                let named = evidence::all_files(&mut self.registry.read().await.unwrap(), self.tenant).await.unwrap();
                let named: std::collections::HashSet<String> = named.into_iter().collect();
                if let (Ok(stored), Ok(unnamed)) = (stored, unnamed_data(&table, KEEP_MS, later_ms).await) {
                    let evidence = unnamed_evidence(
                        stored,
                        |path: &str| named.contains(path),
                        &table.file_use(),
                        KEEP_MS,
                        later_ms,
                    );
                    // What is left is found the next time.
                    let _ = delete(&table, &unnamed.garbage).await;
                    let _ = delete(&table, &evidence.garbage).await;
                }
            }
        }
    }

    /// Every evidence file that the registry names is there, whole.
    pub(super) async fn check_evidence(&self, ledger: &Ledger) -> Result<(), String> {
        let mut conn = self.registry.read().await.unwrap();
        let named = evidence::all_files(&mut conn, self.tenant).await.unwrap();
        if (named.len() as u64) < ledger.evidence_files {
            return Err(format!("{} evidence files are named where {} were", named.len(), ledger.evidence_files));
        }
        let store = self.lake.tenant_store(self.tenant);
        for file in named {
            let id: i64 = file.rsplit('/').next().unwrap().split('-').next().unwrap().parse().unwrap();
            let id = AnomalyId::try_from(id).unwrap();
            let recorded = evidence::get(&mut conn, self.tenant, id).await.unwrap().unwrap().file.unwrap();
            let content = match store.get(&Path::from(file.as_str())).await {
                Ok(got) => got.bytes().await.unwrap(),
                Err(error) => return Err(format!("an evidence file is gone: {error}")),
            };
            if hex(&Sha256::digest(&content)) != recorded.sha256 {
                return Err(format!("{file} is not the file that was recorded"));
            }
        }
        Ok(())
    }
}
