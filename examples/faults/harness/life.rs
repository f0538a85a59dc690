//! One life of the machine: lake and registry at work until it ends.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use async_trait::async_trait;
use futures::TryStreamExt;
use futures::future::join_all;
use object_store::path::Path;
use object_store::prefix::PrefixStore;
use object_store::{ObjectStore, ObjectStoreExt};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use tempfile::TempDir;

use anomalake::domain::activity::ACTIVITY_ID;
use anomalake::domain::clock::ManualClock;
use anomalake::domain::day::DAY_MS;
use anomalake::domain::tenant::{TenantId, TenantKey};
use anomalake::formats::input::{DecodeOptions, decode_ndjson};
use anomalake::lake::data_files::Rows;
use anomalake::lake::error::{Cause, LakeError};
use anomalake::lake::layout::{ACTIVITIES, STAGING};
use anomalake::lake::table::ActivityTable;
use anomalake::lake::tables::{Lake, LakeOptions};
use anomalake::lake::writer::{Ledger as PendingLedger, PendingAnswer};
use anomalake::registry::idempotency::{self, KeyState};
use anomalake::registry::{Registry, tenants};
use anomalake::services::ledger::{INGEST_ROUTE, RegistryLedger};

use crate::support::seeded::Seeded;

use super::Syncing;
use super::disk::{Disk, DiskStore, DiskSyncer, Fate};
use super::ledger::{Ledger, Request, Told};

/// When all of it happens: 2026-11-22T00:00:00Z.
pub(super) const NOW_MS: i64 = 1_795_305_600_000;

/// Age of rows that retention may drop.
const EXPIRED_DAYS: i64 = 200;

/// Most steps of a life.
const STEPS: u64 = 14;

/// What outlives the machine but the disk under test: the registry's file.
pub(super) struct Place {
    dir: TempDir,
    tenant: TenantKey,
}

impl Place {
    /// A registry with one tenant; in memory where the system has a folder there, because SQLite does sync.
    pub(super) async fn new() -> Self {
        let dir = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
        let registry = Registry::open(&dir.path().join("registry.db")).await.unwrap();
        let id = TenantId::try_from(5618).unwrap();
        let create = registry.try_write(move |conn| Box::pin(tenants::create(conn, id, "Example", NOW_MS)));
        let tenant = create.await.map_err(|error: tenants::TenantError| error).unwrap().key;
        registry.close().await;
        Self { dir, tenant }
    }

    /// A folder that is never made: the lake's paths lie below it.
    pub(super) fn lake_root(&self) -> PathBuf {
        self.dir.path().join("lake")
    }
}

/// The registry as the table's ledger, on a machine that may go down around its transactions.
#[derive(Debug)]
struct Guarded {
    inner: RegistryLedger,
    disk: Arc<Disk>,
}

#[async_trait]
impl PendingLedger for Guarded {
    async fn record_pending(&self, tenant: TenantKey, group: i64, answers: Vec<PendingAnswer>) -> Result<(), Cause> {
        around(&self.disk, "record keys", self.inner.record_pending(tenant, group, answers)).await
    }

    async fn resolve(&self, tenant: TenantKey, committed: i64) -> Result<(), Cause> {
        around(&self.disk, "resolve keys", self.inner.resolve(tenant, committed)).await
    }
}

/// Runs a transaction as the disk tells.
pub(super) async fn around<T, E: Into<Cause>>(
    disk: &Disk,
    what: &'static str,
    transaction: impl Future<Output = Result<T, E>>,
) -> Result<T, Cause> {
    match disk.change("registry", what) {
        Fate::Done => transaction.await.map_err(Into::into),
        Fate::FailedBefore => Err("planted".into()),
        Fate::FailedAfter => {
            transaction.await.map_err(Into::into)?;
            Err("planted".into())
        }
    }
}

pub(super) struct Life {
    pub(super) disk: Arc<Disk>,
    pub(super) lake: Arc<Lake>,
    pub(super) registry: Arc<Registry>,
    pub(super) tenant: TenantKey,
}

impl Life {
    /// Starts over a disk: the staging folder is emptied, as at every start.
    pub(super) async fn start(place: &Place, disk: Arc<Disk>, syncing: Syncing) -> Self {
        let registry = Arc::new(Registry::open(&place.dir.path().join("registry.db")).await.unwrap());
        let inner = RegistryLedger::new(Arc::clone(&registry), Arc::new(ManualClock::new(NOW_MS)));
        let ledger = Arc::new(Guarded { inner, disk: Arc::clone(&disk) });
        let store: Arc<dyn ObjectStore> = Arc::new(DiskStore(Arc::clone(&disk)));
        let syncer = Arc::new(DiskSyncer(Arc::clone(&disk), syncing));
        let options = LakeOptions { commit_interval: Duration::ZERO };
        let cpu = tokio::runtime::Handle::current();
        disk.calm(true);
        let staged: Vec<_> = store.list(Some(&Path::from(STAGING))).try_collect().await.unwrap();
        for file in staged {
            store.delete(&file.location).await.unwrap();
        }
        disk.calm(false);
        let lake = Arc::new(Lake::with_storage(place.lake_root(), store, syncer, ledger, options, cpu));
        Self { disk, lake, registry, tenant: place.tenant }
    }

    /// Works until the machine goes down or the steps are done.
    pub(super) async fn act(&self, chance: &mut Seeded, ledger: &mut Ledger) -> Result<(), String> {
        for _ in 0..STEPS {
            if self.disk.is_off() {
                break;
            }
            self.disk.next_step();
            match chance.below(10) {
                0 => self.make_evidence(chance, ledger).await,
                1 => self.repeat_one(chance, ledger).await?,
                2 => {
                    self.lake.close_idle(Duration::ZERO);
                }
                3 | 4 => self.compact(chance, ledger).await,
                5 => self.tidy(chance, ledger).await,
                _ => self.burst(chance, ledger).await?,
            }
        }
        Ok(())
    }

    /// The table; none when the machine is down or opening fails now.
    pub(super) async fn table(&self) -> Option<Arc<ActivityTable>> {
        self.lake.table(self.tenant).await.ok()
    }

    /// Some requests at once.
    async fn burst(&self, chance: &mut Seeded, ledger: &mut Ledger) -> Result<(), String> {
        let Some(table) = self.table().await else { return Ok(()) };
        let (mut numbers, mut ready) = (Vec::new(), Vec::new());
        for _ in 0..=chance.below(3) {
            let number = ledger.next_request(chance, self.disk.days());
            if numbers.contains(&number) {
                continue;
            }
            let request = ledger.requests[number].clone();
            if self.first_answer(&table, &request).await?.is_some() {
                ledger.tell(number, Told::Stored);
                continue;
            }
            match self.rows(&table, &request).await {
                Ok(rows) => {
                    numbers.push(number);
                    ready.push(table.append(rows, request.pending()));
                }
                Err(_) => ledger.tell(number, Told::Refused),
            }
        }
        let mut any_stored = false;
        for (number, outcome) in numbers.into_iter().zip(join_all(ready).await) {
            let told = match outcome {
                Ok(_) => Told::Stored,
                Err(LakeError::Interrupted(_)) => Told::Unknown,
                Err(_) => Told::Refused,
            };
            any_stored |= told == Told::Stored;
            ledger.tell(number, told);
        }
        if any_stored {
            self.mark_done(&table).await;
        }
        Ok(())
    }

    /// The answer that a request's key has.
    async fn first_answer(&self, table: &ActivityTable, request: &Request) -> Result<Option<String>, String> {
        let Some(pending) = request.pending() else { return Ok(None) };
        let mut conn = self.registry.read().await.unwrap();
        let known = idempotency::find(&mut conn, self.tenant, INGEST_ROUTE, &pending.key, NOW_MS).await.unwrap();
        let known = known.filter(|known| known.state == KeyState::Done || known.group <= table.last_group());
        match known {
            Some(known) if known.body_hash != pending.body_hash => Err(format!("{request:?} meets another body")),
            Some(known) => Ok(Some(String::from_utf8(known.answer_body).unwrap())),
            None => Ok(None),
        }
    }

    /// Fails harmlessly: the table itself tells what is done.
    async fn mark_done(&self, table: &ActivityTable) {
        let (tenant, group) = (self.tenant, table.last_group());
        let mark = self.registry.write(move |conn| Box::pin(idempotency::mark_done(conn, tenant, INGEST_ROUTE, group)));
        let _ = around(&self.disk, "mark keys", mark).await;
    }

    async fn rows(&self, table: &ActivityTable, request: &Request) -> Result<Rows, LakeError> {
        let mut files = table.data_files();
        files.push(batch(request, self.tenant.id)).await?;
        if request.large { files.finish_as_files().await } else { files.finish().await }
    }

    /// Repeats a request that is stored: it gets its first answer.
    async fn repeat_one(&self, chance: &mut Seeded, ledger: &mut Ledger) -> Result<(), String> {
        let Some(table) = self.table().await else { return Ok(()) };
        let stored: Vec<_> = ledger.requests.iter().filter(|r| r.told == Told::Stored && r.key.is_some()).collect();
        if stored.is_empty() {
            return Ok(());
        }
        let request = stored[usize::try_from(chance.below(stored.len() as u64)).unwrap()];
        let answer = self.first_answer(&table, request).await?;
        if answer == request.pending().map(|pending| pending.answer) {
            Ok(())
        } else {
            Err(format!("a repeat of {request:?} finds {answer:?}"))
        }
    }

    /// Repeats everything that is not stored, on a machine where nothing fails.
    pub(super) async fn repeat_all(&self, ledger: &mut Ledger) -> Result<(), String> {
        let table = self.lake.table(self.tenant).await.map_err(|error| format!("{error:?}"))?;
        for number in 0..ledger.requests.len() {
            let request = ledger.requests[number].clone();
            if request.key.is_none() || request.told == Told::Stored {
                continue;
            }
            let rows = self.rows(&table, &request).await.map_err(|error| format!("{error:?}"))?;
            table.append(rows, request.pending()).await.map_err(|error| format!("{error:?}"))?;
            ledger.tell(number, Told::Stored);
        }
        self.mark_done(&table).await;
        Ok(())
    }

    /// Compares what is there with the ledger.
    pub(super) async fn check(&self, ledger: &mut Ledger) -> Result<(), String> {
        let table =
            self.lake.table(self.tenant).await.map_err(|error| format!("the table does not open: {error:?}"))?;
        let found = self.read_back(&table).await?;
        let mut known = BTreeMap::new();
        for request in &ledger.requests {
            if let (Some(key), Some(answer)) = (&request.key, self.first_answer(&table, request).await?) {
                known.insert(key.clone(), answer);
            }
        }
        ledger.compare(&found, &known)?;
        self.check_evidence(ledger).await
    }

    /// How often each row is in the newest snapshot.
    async fn read_back(&self, table: &ActivityTable) -> Result<BTreeMap<String, u64>, String> {
        let snapshot = table.snapshot().0;
        let paths: Vec<String> =
            snapshot.snapshot().unwrap().log_data().iter().map(|file| file.path().into_owned()).collect();
        let store = PrefixStore::new(table.tenant_store(), ACTIVITIES);
        let mut found = BTreeMap::new();
        for path in paths {
            let bytes = match store.get(&Path::from(path.as_str())).await {
                Ok(got) => got.bytes().await.unwrap(),
                Err(error) => return Err(format!("a live file is gone: {error}")),
            };
            let reader =
                ParquetRecordBatchReaderBuilder::try_new(bytes).and_then(ParquetRecordBatchReaderBuilder::build);
            for batch in reader.map_err(|error| format!("{path} is no whole file: {error}"))? {
                for id in ids(&batch.map_err(|error| format!("{path}: {error}"))?) {
                    *found.entry(id).or_default() += 1;
                }
            }
        }
        Ok(found)
    }

    /// Ends this life: nothing of it is written any more.
    pub(super) async fn end(self) {
        self.lake.close_idle(Duration::ZERO);
        drop(self.lake);
        self.registry.close().await;
    }
}

fn ids(batch: &RecordBatch) -> Vec<String> {
    let ids = cast(batch.column_by_name(ACTIVITY_ID).unwrap(), &DataType::Utf8).unwrap();
    ids.as_string::<i32>().iter().map(|id| id.unwrap().to_owned()).collect()
}

/// The request's rows, as an ingest decodes them.
pub(super) fn batch(request: &Request, tenant: TenantId) -> RecordBatch {
    let record = |(n, id): (usize, &String)| {
        let age = if request.expiring { EXPIRED_DAYS } else { i64::try_from(n % request.days).unwrap() };
        let time = NOW_MS - age * DAY_MS;
        format!("{{\"timeStamp\":{time},\"user\":\"ann\",\"activityId\":\"{id}\"}}\n")
    };
    let body: String = request.ids.iter().enumerate().map(record).collect();
    let mut batches = Vec::new();
    let mut sink = |batch| {
        batches.push(batch);
        Ok(())
    };
    decode_ndjson(body.as_bytes(), &DecodeOptions::new(tenant, NOW_MS), &mut sink).unwrap();
    batches.remove(0)
}
