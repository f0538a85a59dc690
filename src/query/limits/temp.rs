//! Temporary files of statements: nameless, counted against the quotas of their tenant and of the server.
//!
//! A file has no name, so that nothing of it outlives the process, however that ends, and no text of the engine can
//! show where it lies.

use std::fmt;
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

/// After this many bytes of a file the disk is asked whether it has room.
const ASK_EVERY_BYTES: u64 = 16 << 20;

/// What the temporary files of one tenant, or of the server, may take.
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

/// What a temporary file counts against.
#[derive(Debug, Clone)]
pub struct TempQuotas {
    /// Of the tenant.
    pub tenant: Arc<TempQuota>,
    /// Of the server.
    pub server: Arc<TempQuota>,
}

impl TempQuotas {
    /// Takes of both, or the limit that does not give.
    fn take(&self, bytes: u64) -> Result<(), Limit> {
        if !self.tenant.take(bytes) {
            return Err(Limit::TempDisk);
        }
        if !self.server.take(bytes) {
            self.tenant.give_back(bytes);
            return Err(Limit::ServerTemp);
        }
        Ok(())
    }

    fn give_back(&self, bytes: u64) {
        self.tenant.give_back(bytes);
        self.server.give_back(bytes);
    }
}

/// Says whether the disk has room for more; [`io::ErrorKind::StorageFull`] where it has not.
pub type HasRoom = Arc<dyn Fn() -> io::Result<()> + Send + Sync>;

/// Gauges over all temporary files.
#[derive(Debug, Clone, Default)]
pub struct TempGauges {
    /// Files that are open.
    pub files: Gauge,
    /// Bytes in them.
    pub bytes: Gauge,
}

/// Makes the temporary files of one statement.
pub struct TempFiles {
    /// Folder on whose disk they lie.
    pub folder: PathBuf,
    /// What they count against.
    pub quotas: TempQuotas,
    /// Asked each 16 MiB of a file.
    pub room: HasRoom,
    /// Where a refusal is noted.
    pub met: Arc<LimitsMet>,
    /// Gauges of the server.
    pub gauges: TempGauges,
}

impl fmt::Debug for TempFiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TempFiles").field("folder", &self.folder).field("quotas", &self.quotas).finish_non_exhaustive()
    }
}

impl TempFileFactory for TempFiles {
    fn create_temp_file(&self, _: &str) -> Result<Arc<dyn SpillFile>, DataFusionError> {
        let file = Arc::new(tempfile::tempfile_in(&self.folder)?);
        self.gauges.files.inc();
        Ok(Arc::new(TempFile(Arc::new(Held {
            file,
            bytes: AtomicU64::new(0),
            quotas: self.quotas.clone(),
            room: Arc::clone(&self.room),
            met: Arc::clone(&self.met),
            gauges: self.gauges.clone(),
        }))))
    }
}

/// A file and what it takes of the quotas, shared by its readers and its writer.
struct Held {
    file: Arc<File>,
    bytes: AtomicU64,
    quotas: TempQuotas,
    room: HasRoom,
    met: Arc<LimitsMet>,
    gauges: TempGauges,
}

impl Held {
    /// Room for bytes at this place of the file.
    fn take(&self, at: u64, bytes: u64) -> io::Result<()> {
        if at == 0 || at / ASK_EVERY_BYTES != (at + bytes) / ASK_EVERY_BYTES {
            (self.room)()?;
        }
        self.quotas.take(bytes).map_err(|limit| {
            self.met.note(limit);
            io::Error::new(io::ErrorKind::QuotaExceeded, "the quota of temporary files is used up")
        })
    }

    fn write(&self, bytes: &[u8]) -> io::Result<()> {
        let wanted = bytes.len() as u64;
        self.take(self.bytes.load(Ordering::Acquire), wanted)?;
        // Charged before it is written, so that the charge is given back with the file whatever happens.
        let at = self.bytes.fetch_add(wanted, Ordering::AcqRel);
        self.gauges.bytes.inc_by(i64::try_from(wanted).unwrap_or(i64::MAX));
        self.file.write_all_at(bytes, at)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let bytes = self.bytes.load(Ordering::Acquire);
        self.quotas.give_back(bytes);
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
        let written = self.0.write(bytes);
        if written.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::StorageFull) {
            self.0.met.note(Limit::Disk);
        }
        written.map(|()| bytes.len())
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

    struct Bench {
        folder: tempfile::TempDir,
        quotas: TempQuotas,
        met: Arc<LimitsMet>,
        gauges: TempGauges,
    }

    impl Bench {
        fn new(tenant: u64, server: u64) -> Self {
            let quotas =
                TempQuotas { tenant: Arc::new(TempQuota::new(tenant)), server: Arc::new(TempQuota::new(server)) };
            let folder = tempfile::tempdir().unwrap();
            Self { folder, quotas, met: Arc::default(), gauges: TempGauges::default() }
        }

        fn file(&self, room: HasRoom) -> Arc<dyn SpillFile> {
            let (quotas, met, gauges) = (self.quotas.clone(), Arc::clone(&self.met), self.gauges.clone());
            let folder = self.folder.path().to_owned();
            TempFiles { folder, quotas, room, met, gauges }.create_temp_file("test").unwrap()
        }
    }

    #[test]
    fn the_server_s_quota_and_the_disk_bind_too() {
        let bench = Bench::new(1_000, 600);
        let file = bench.file(Arc::new(|| Ok(())));
        let mut writer = file.open_writer().unwrap();
        writer.write_all(&[1; 500]).unwrap();
        assert_eq!(writer.write_all(&[1; 200]).unwrap_err().kind(), io::ErrorKind::QuotaExceeded);
        assert_eq!(bench.met.last(), Some(Limit::ServerTemp));
        drop((writer, file));
        // What was refused is not charged.
        assert!(bench.quotas.tenant.take(1_000) && bench.quotas.server.take(600));

        let bench = Bench::new(1 << 30, 1 << 30);
        let asked = Arc::new(AtomicU64::new(0));
        let asks = Arc::clone(&asked);
        let file = bench.file(Arc::new(move || match asks.fetch_add(1, Ordering::AcqRel) {
            0 => Ok(()),
            _ => Err(io::ErrorKind::StorageFull.into()),
        }));
        let mut writer = file.open_writer().unwrap();
        let piece = vec![1; 5 << 20];
        for _ in 0..3 {
            writer.write_all(&piece).unwrap();
        }
        assert_eq!(asked.load(Ordering::Acquire), 1);
        assert_eq!(writer.write_all(&piece).unwrap_err().kind(), io::ErrorKind::StorageFull);
        assert_eq!((bench.met.last(), asked.load(Ordering::Acquire)), (Some(Limit::Disk), 2));
    }

    #[tokio::test]
    async fn what_is_written_is_read_and_the_quota_comes_back() {
        let bench = Bench::new(1_000_000, u64::MAX);
        let file = bench.file(Arc::new(|| Ok(())));
        let Bench { folder, quotas, met, gauges } = &bench;
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
        assert!(quotas.tenant.take(1_000_000) && !quotas.tenant.take(1));
    }
}
