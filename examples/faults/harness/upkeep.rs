//! What runs beside the requests: evidence files.

use futures::stream;
use object_store::ObjectStoreExt;
use object_store::path::Path;
use sha2::{Digest, Sha256};

use anomalake::domain::activity::evidence_schema;
use anomalake::domain::anomaly::AnomalyId;
use anomalake::lake::evidence_files::{evidence_path, hex, write_evidence};
use anomalake::registry::anomalies::{self, NewAnomaly};
use anomalake::registry::evidence::{self, EvidenceFile};

use super::ledger::{Ledger, Request, Told};
use super::life::{Life, NOW_MS, around, batch};
use super::seeded::Seeded;

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
