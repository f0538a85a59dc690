//! The store of a statement: data files of one tenant, to read and nothing else.

use std::collections::HashSet;
use std::fmt;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;
use futures::stream::BoxStream;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions, Result,
};
use prometheus_client::metrics::counter::Counter;

use crate::lake::layout::EVIDENCE;

/// Files that are named in the log when one of them turns out to be damaged: the readers of Parquet do not tell which.
const NAMED_FILES: usize = 16;

/// Data files that a statement has opened.
#[derive(Debug, Default)]
pub struct OpenedFiles {
    paths: Mutex<(HashSet<Path>, Vec<Path>)>,
    evidence_is_gone: AtomicBool,
}

impl OpenedFiles {
    fn note(&self, path: &Path, counter: &Counter) {
        let mut paths = self.paths.lock().unwrap_or_else(PoisonError::into_inner);
        if paths.0.insert(path.clone()) {
            counter.inc();
            paths.1.push(path.clone());
        }
    }

    /// Whether a file of evidence was not there any more. The readers of Parquet pass on texts only.
    #[must_use]
    pub fn evidence_is_gone(&self) -> bool {
        self.evidence_is_gone.load(Ordering::Acquire)
    }

    fn look<T>(&self, path: &Path, read: Result<T>) -> Result<T> {
        if matches!(read, Err(Error::NotFound { .. })) && path.as_ref().starts_with(EVIDENCE) {
            self.evidence_is_gone.store(true, Ordering::Release);
        }
        read
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.paths.lock().unwrap_or_else(PoisonError::into_inner).1.len()
    }

    /// The ones opened last, for the log.
    #[must_use]
    pub fn last(&self) -> Vec<String> {
        let paths = self.paths.lock().unwrap_or_else(PoisonError::into_inner);
        paths.1.iter().rev().take(NAMED_FILES).map(ToString::to_string).collect()
    }
}

/// A tenant's store as a statement sees it.
#[derive(Debug)]
pub(super) struct ReadOnly {
    pub(super) inner: Arc<dyn ObjectStore>,
    pub(super) opened: Arc<OpenedFiles>,
    pub(super) counter: Counter,
}

impl fmt::Display for ReadOnly {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("tenant")
    }
}

impl ReadOnly {
    fn open(&self, path: &Path) -> Result<()> {
        if path.extension() != Some("parquet") {
            return Err(refused("read"));
        }
        self.opened.note(path, &self.counter);
        Ok(())
    }
}

fn refused(operation: &'static str) -> Error {
    Error::NotImplemented { operation: operation.to_owned(), implementer: "a statement".to_owned() }
}

#[async_trait]
impl ObjectStore for ReadOnly {
    async fn put_opts(&self, _: &Path, _: PutPayload, _: PutOptions) -> Result<PutResult> {
        Err(refused("put"))
    }

    async fn put_multipart_opts(&self, _: &Path, _: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        Err(refused("put"))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.open(location)?;
        self.opened.look(location, self.inner.get_opts(location, options).await)
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.open(location)?;
        self.opened.look(location, self.inner.get_ranges(location, ranges).await)
    }

    fn delete_stream(&self, _: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        futures::stream::once(async { Err(refused("delete")) }).boxed()
    }

    fn list(&self, _: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        futures::stream::once(async { Err(refused("list")) }).boxed()
    }

    async fn list_with_delimiter(&self, _: Option<&Path>) -> Result<ListResult> {
        Err(refused("list"))
    }

    async fn copy_opts(&self, _: &Path, _: &Path, _: CopyOptions) -> Result<()> {
        Err(refused("copy"))
    }

    async fn rename_opts(&self, _: &Path, _: &Path, _: RenameOptions) -> Result<()> {
        Err(refused("rename"))
    }
}
