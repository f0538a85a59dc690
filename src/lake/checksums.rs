//! What lets a check tell that the lake's bytes are still those that were written.
//!
//! Parquet pages written by the library carry no checksum, and a flipped byte in a compressed page may decode to
//! other values. So the action that adds a data file carries the SHA-256 of the file as a tag, and each of our
//! commits carries a digest of its actions. Readers that do not know them ignore both.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::RecordBatch;
use async_trait::async_trait;
use deltalake::kernel::{Action, Add};
use deltalake::operations::write::writer::{DeltaWriter, WriterConfig};
use futures::stream::BoxStream;
use indexmap::IndexMap;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, ObjectStoreExt,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, UploadPart,
};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::error::LakeError;
use crate::domain::activity::DAY;
use crate::domain::day::Day;
use crate::domain::hex::hex;

/// Tag of an added file: SHA-256 of its bytes, hexadecimal.
pub const SHA256_TAG: &str = "anomalake.sha256";

/// Field of a commit's `commitInfo`: [`actions_digest`] of the commit.
pub const ACTIONS_FIELD: &str = "anomalakeActions";

/// Digest of what a commit changes: its added and removed files and its transactions, in any order.
/// SHA-256, hexadecimal.
#[must_use]
pub fn actions_digest<'a>(actions: impl IntoIterator<Item = &'a Action>) -> String {
    let mut lines: Vec<String> = actions.into_iter().filter_map(line).collect();
    lines.sort_unstable();
    let mut digest = Sha256::new();
    for line in lines {
        digest.update(line.as_bytes());
        digest.update(b"\n");
    }
    hex(&digest.finalize())
}

/// [`actions_digest`] as metadata for the commit. Give it all actions, transactions too.
#[must_use]
pub fn digest_metadata<'a>(actions: impl IntoIterator<Item = &'a Action>) -> [(String, Value); 1] {
    [(ACTIONS_FIELD.to_owned(), Value::String(actions_digest(actions)))]
}

/// An action as text; none for one that changes no rows. Texts of others are quoted, so that no two differing
/// actions share a line.
fn line(action: &Action) -> Option<String> {
    Some(match action {
        Action::Add(add) => {
            let day = add.partition_values.get(DAY).cloned().flatten();
            let sha256 = sha256_of(add);
            format!("add {:?} {} {day:?} {} {:?} {sha256:?}", add.path, add.size, add.data_change, add.stats)
        }
        Action::Remove(remove) => format!("remove {:?} {}", remove.path, remove.data_change),
        Action::Txn(txn) => format!("txn {:?} {}", txn.app_id, txn.version),
        _ => return None,
    })
}

/// SHA-256 that an added file had when it was written; none for a file of an earlier version of this program.
#[must_use]
pub fn sha256_of(add: &Add) -> Option<&str> {
    add.tags.as_ref()?.get(SHA256_TAG)?.as_deref()
}

/// Writes data files; the actions that add them carry their SHA-256.
pub(super) struct HashedWriter {
    writer: DeltaWriter,
    store: HashingStore,
}

impl HashedWriter {
    pub(super) fn new(store: Arc<dyn ObjectStore>, config: WriterConfig) -> Self {
        let store = HashingStore::new(store);
        Self { writer: DeltaWriter::new(Arc::new(store.clone()), config), store }
    }

    /// Writes rows of one day, in the columns of a data file; a column that tells the day may stand among them. Order is
    /// kept. The library's own way of telling days apart copies every row once more.
    pub(super) async fn write_day(&mut self, rows: RecordBatch, day: Day) -> Result<(), LakeError> {
        let partition = IndexMap::from([(DAY.to_owned(), day.to_string().into())]);
        Ok(self.writer.write_partition(rows, &partition).await?)
    }

    /// Ends the files and makes them durable; when one of them fails, deletes them all.
    pub(super) async fn close(self) -> Result<Vec<Add>, LakeError> {
        match self.writer.close().await {
            Ok(mut files) => {
                self.store.tag(&mut files);
                Ok(files)
            }
            Err(error) => {
                self.store.delete_all().await;
                Err(error.into())
            }
        }
    }

    /// Gives up: deletes the files, whole or not. A failure is logged: what stays is garbage, not data.
    pub(super) async fn abort(self) {
        if let Err(error) = self.writer.abort().await {
            tracing::warn!(%error, "could not abort a failed write");
        }
        self.store.delete_all().await;
    }
}

/// Hashes every file that is written through it. Parts of an upload must come in their order, as from the
/// library's buffered writer.
#[derive(Debug, Clone)]
struct HashingStore {
    inner: Arc<dyn ObjectStore>,
    /// Every file that was begun; with its hash once it is whole.
    written: Arc<Mutex<HashMap<Path, Option<String>>>>,
}

impl HashingStore {
    fn new(inner: Arc<dyn ObjectStore>) -> Self {
        Self { inner, written: Arc::default() }
    }

    /// Writes the files' hashes into the actions that add them.
    fn tag(&self, files: &mut [Add]) {
        let written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        for add in files {
            if let Some(Some(sha256)) = written.get(&Path::from(add.path.as_str())) {
                add.tags.get_or_insert_default().insert(SHA256_TAG.to_owned(), Some(sha256.clone()));
            }
        }
    }

    fn note(&self, location: &Path, sha256: Option<String>) {
        self.written.lock().unwrap_or_else(PoisonError::into_inner).insert(location.clone(), sha256);
    }

    /// Deletes every file that was begun. A write may fail after its file has got its name, so not being noted as whole
    /// says nothing.
    async fn delete_all(&self) {
        let begun = std::mem::take(&mut *self.written.lock().unwrap_or_else(PoisonError::into_inner));
        for path in begun.into_keys() {
            match self.inner.delete(&path).await {
                Ok(()) | Err(object_store::Error::NotFound { .. }) => {}
                Err(error) => tracing::warn!(%path, %error, "could not delete a file of a failed write; vacuum will"),
            }
        }
    }
}

fn hash(digest: &mut Sha256, payload: &PutPayload) {
    for chunk in payload {
        digest.update(chunk);
    }
}

impl fmt::Display for HashingStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HashingStore({})", self.inner)
    }
}

#[async_trait]
impl ObjectStore for HashingStore {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        opts: PutOptions,
    ) -> object_store::Result<PutResult> {
        self.note(location, None);
        let mut digest = Sha256::new();
        hash(&mut digest, &payload);
        let result = self.inner.put_opts(location, payload, opts).await?;
        self.note(location, Some(hex(&digest.finalize())));
        Ok(result)
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        opts: PutMultipartOptions,
    ) -> object_store::Result<Box<dyn MultipartUpload>> {
        self.note(location, None);
        let inner = self.inner.put_multipart_opts(location, opts).await?;
        let (store, location) = (self.clone(), location.clone());
        Ok(Box::new(HashingUpload { store, location, inner, digest: Sha256::new() }))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> object_store::Result<GetResult> {
        self.inner.get_opts(location, options).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, object_store::Result<Path>>,
    ) -> BoxStream<'static, object_store::Result<Path>> {
        self.inner.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, object_store::Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> object_store::Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> object_store::Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}

struct HashingUpload {
    store: HashingStore,
    location: Path,
    inner: Box<dyn MultipartUpload>,
    digest: Sha256,
}

impl fmt::Debug for HashingUpload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HashingUpload").field("location", &self.location).finish_non_exhaustive()
    }
}

#[async_trait]
impl MultipartUpload for HashingUpload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        hash(&mut self.digest, &data);
        self.inner.put_part(data)
    }

    async fn complete(&mut self) -> object_store::Result<PutResult> {
        let result = self.inner.complete().await?;
        let digest = std::mem::take(&mut self.digest);
        self.store.note(&self.location, Some(hex(&digest.finalize())));
        Ok(result)
    }

    async fn abort(&mut self) -> object_store::Result<()> {
        self.inner.abort().await
    }
}

#[cfg(test)]
mod tests {
    use deltalake::kernel::{Remove, Transaction};
    use object_store::memory::InMemory;

    use super::*;

    fn add(path: &str, size: i64) -> Action {
        Action::Add(Add { path: path.to_owned(), size, ..Add::default() })
    }

    #[test]
    fn a_digest_depends_on_every_change_and_on_no_order() {
        let txn = || Action::Txn(Transaction::new("ingest", 3));
        let remove = || Action::Remove(Remove { path: "c".to_owned(), ..Remove::default() });
        let all = [add("a", 1), add("b", 2), remove(), txn()];
        let digest = actions_digest(&all);
        assert_eq!(digest, actions_digest(&[txn(), remove(), add("b", 2), add("a", 1)]));
        for other in [
            &[add("a", 1), add("b", 3), remove(), txn()][..],
            &[add("a", 1), remove(), txn()],
            &[add("a", 1), add("b", 2), add("b", 2), remove(), txn()],
            &[add("a", 1), add("b", 2), remove(), Action::Txn(Transaction::new("ingest", 4))],
            &[add("a", 1), add("b", 2), add("c", 0), txn()],
        ] {
            assert_ne!(digest, actions_digest(other));
        }
    }

    #[tokio::test]
    async fn files_are_hashed_however_they_are_written() {
        let store = HashingStore::new(Arc::new(InMemory::new()));
        store.put(&Path::from("day=1/a"), "hello".into()).await.unwrap();
        let mut upload = store.put_multipart(&Path::from("day=1/b")).await.unwrap();
        upload.put_part("hel".into()).await.unwrap();
        upload.put_part("lo".into()).await.unwrap();
        upload.complete().await.unwrap();
        let mut files = ["day=1/a", "day=1/b", "day=1/c"].map(|path| Add { path: path.to_owned(), ..Add::default() });
        store.tag(&mut files);
        let expected = hex(&Sha256::digest(b"hello"));
        assert_eq!(files.each_ref().map(sha256_of), [Some(&*expected), Some(&*expected), None]);
    }
}
