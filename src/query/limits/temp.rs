//! Temporary files of statements: nameless, counted against the quota of their tenant.
//!
//! A file has no name, so that nothing of it outlives the process, however that ends, and no text of the engine can
//! show where it lies.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use datafusion::common::DataFusionError;
use datafusion::execution::{SpillFile, SpillWriter, TempFileFactory};
use futures::{Stream, TryStreamExt};
use prometheus_client::metrics::gauge::Gauge;

use super::{Limit, LimitsMet};

/// Bytes read at a time.
const READ_BYTES: usize = 256 << 10;

/// What the temporary files of one tenant may take.
#[derive(Debug)]
pub struct TempQuota {
    limit: u64,
    used: AtomicU64,
}

impl TempQuota {
    /// A quota of this many bytes.
    #[must_use]
    pub fn new(limit: u64) -> Self {
        Self { limit, used: AtomicU64::new(0) }
    }

    fn take(&self, bytes: u64) -> bool {
        let taken = self.used.fetch_update(Ordering::AcqRel, Ordering::Acquire, |used| {
            used.checked_add(bytes).filter(|used| *used <= self.limit)
        });
        taken.is_ok()
    }

    fn give_back(&self, bytes: u64) {
        self.used.fetch_sub(bytes, Ordering::AcqRel);
    }
}

/// Gauges over all temporary files.
#[derive(Debug, Clone, Default)]
pub struct TempGauges {
    /// Files that are open.
    pub files: Gauge,
    /// Bytes in them.
    pub bytes: Gauge,
}

/// Makes the temporary files of one statement.
#[derive(Debug)]
pub struct TempFiles {
    /// Folder on whose disk they lie.
    pub folder: PathBuf,
    /// Quota of the tenant.
    pub quota: Arc<TempQuota>,
    /// Where a refusal is noted.
    pub met: Arc<LimitsMet>,
    /// Gauges of the server.
    pub gauges: TempGauges,
}

impl TempFileFactory for TempFiles {
    fn create_temp_file(&self, _: &str) -> Result<Arc<dyn SpillFile>, DataFusionError> {
        let file = Arc::new(tempfile::tempfile_in(&self.folder)?);
        self.gauges.files.inc();
        Ok(Arc::new(TempFile(Arc::new(Held {
            file,
            bytes: AtomicU64::new(0),
            quota: Arc::clone(&self.quota),
            met: Arc::clone(&self.met),
            gauges: self.gauges.clone(),
        }))))
    }
}

/// A file and what it takes of the quota, shared by its readers and its writer.
#[derive(Debug)]
struct Held {
    file: Arc<File>,
    bytes: AtomicU64,
    quota: Arc<TempQuota>,
    met: Arc<LimitsMet>,
    gauges: TempGauges,
}

impl Drop for Held {
    fn drop(&mut self) {
        let bytes = self.bytes.load(Ordering::Acquire);
        self.quota.give_back(bytes);
        self.gauges.bytes.dec_by(i64::try_from(bytes).unwrap_or(i64::MAX));
        self.gauges.files.dec();
    }
}

struct TempFile(Arc<Held>);

impl SpillFile for TempFile {
    fn size(&self) -> Option<u64> {
        Some(self.0.bytes.load(Ordering::Acquire))
    }

    fn read_stream(
        &self,
    ) -> Result<Pin<Box<dyn Stream<Item = Result<Bytes, DataFusionError>> + Send>>, DataFusionError> {
        let held = Arc::clone(&self.0);
        let pieces = futures::stream::try_unfold((held, 0_u64), |(held, at)| async move {
            let file = Arc::clone(&held.file);
            let read = tokio::task::spawn_blocking(move || read_at(&file, at));
            let piece = read.await.map_err(|error| DataFusionError::ExecutionJoin(Box::new(error)))??;
            let next = at + piece.len() as u64;
            Ok::<_, DataFusionError>((!piece.is_empty()).then_some((piece, (held, next))))
        });
        Ok(Box::pin(pieces.into_stream()))
    }

    fn open_writer(&self) -> Result<Box<dyn SpillWriter>, DataFusionError> {
        Ok(Box::new(TempWriter(Arc::clone(&self.0))))
    }
}

fn read_at(file: &File, at: u64) -> io::Result<Bytes> {
    let mut piece = vec![0; READ_BYTES];
    let read = loop {
        match file.read_at(&mut piece, at) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => break other?,
        }
    };
    piece.truncate(read);
    Ok(piece.into())
}

struct TempWriter(Arc<Held>);

impl Write for TempWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let held = &*self.0;
        let wanted = bytes.len() as u64;
        if !held.quota.take(wanted) {
            held.met.note(Limit::TempDisk);
            return Err(io::Error::new(io::ErrorKind::QuotaExceeded, "the quota of temporary files is used up"));
        }
        // Charged before it is written, so that the charge is given back with the file whatever happens.
        let at = held.bytes.fetch_add(wanted, Ordering::AcqRel);
        held.gauges.bytes.inc_by(i64::try_from(wanted).unwrap_or(i64::MAX));
        held.file.write_all_at(bytes, at)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl SpillWriter for TempWriter {
    fn finish(&mut self) -> Result<(), DataFusionError> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_written_is_read_and_the_quota_comes_back() {
        let folder = tempfile::tempdir().unwrap();
        let quota = Arc::new(TempQuota::new(1_000_000));
        let (met, gauges) = (Arc::<LimitsMet>::default(), TempGauges::default());
        let files = TempFiles {
            folder: folder.path().to_owned(),
            quota: Arc::clone(&quota),
            met: Arc::clone(&met),
            gauges: gauges.clone(),
        };
        let file = files.create_temp_file("test").unwrap();
        let written: Vec<u8> = (0..600_000_u32).map(|n| n.to_le_bytes()[0]).collect();
        let mut writer = file.open_writer().unwrap();
        writer.write_all(&written).unwrap();
        assert_eq!(writer.write_all(&written).unwrap_err().kind(), io::ErrorKind::QuotaExceeded);
        assert_eq!(met.last(), Some(Limit::TempDisk));
        assert_eq!((gauges.files.get(), gauges.bytes.get(), file.size()), (1, 600_000, Some(600_000)));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "a temporary file has a name");
        for _ in 0..2 {
            let pieces: Vec<Bytes> = file.read_stream().unwrap().try_collect().await.unwrap();
            assert_eq!(pieces.concat(), written);
        }
        drop((file, writer));
        assert_eq!((gauges.files.get(), gauges.bytes.get()), (0, 0));
        assert!(quota.take(1_000_000) && !quota.take(1));
    }
}
