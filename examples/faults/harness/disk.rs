//! A disk that fails, dawdles and loses its power as a seed tells: a store and the syncs that belong to it.
//!
//! What happens to an operation depends on the seed, the step of the run, the operation, its path without
//! random parts, and how often it was tried in this step, not on the moment: so a run repeats itself though
//! the files of a commit are written in an order that is not the same in every process, and some readers
//! work on threads of their own.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::ops::Range;
use std::path::{Path as LocalPath, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{FutureExt, StreamExt};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyMode, CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    ObjectStoreExt, PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions, RenameTargetMode, Result,
    UploadPart,
};

use anomalake::lake::syncer::Syncer;

use crate::support::seeded::Seeded;

use super::namespace::{Namespace, PowerCut};
use super::{Plan, Syncing};

/// What becomes of an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Done,
    /// It fails and has changed nothing.
    FailedBefore,
    /// It fails though it was carried out.
    FailedAfter,
}

/// How a life of the machine ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// The process is killed: the disk shows what it showed, durable or not.
    Killed,
    /// The power fails.
    Power(PowerCut),
}

#[derive(Debug)]
struct State {
    namespace: Namespace,
    step: u64,
    tries: HashMap<(&'static str, String), u64>,
    changes: u64,
    off: bool,
    calm: bool,
}

/// The disk during one life of the machine.
#[derive(Debug)]
pub(super) struct Disk {
    plan: Plan,
    life: u64,
    root: PathBuf,
    visible: InMemory,
    state: Mutex<State>,
}

/// Changes after which, on average, the machine goes down in the middle of one.
const CHANGES_OF_A_LIFE: u64 = 80;

/// A path without its random parts: no run of hexadecimal digits and dashes is as long as a uuid by itself.
pub(super) fn shape(path: &str) -> String {
    const UUID_DIGITS: usize = 32;
    let is_random = |c: char| c.is_ascii_hexdigit() || c == '-';
    let (mut shape, mut rest) = (String::new(), path);
    while let Some(start) = rest.find(is_random) {
        let run = rest[start..].find(|c| !is_random(c)).unwrap_or(rest.len() - start);
        shape.push_str(&rest[..start]);
        if run < UUID_DIGITS {
            shape.push_str(&rest[start..start + run]);
        }
        rest = &rest[start + run..];
    }
    shape + rest
}

/// Mixes bytes into a number (FNV-1a).
pub(super) fn fnv(mut hash: u64, bytes: &[u8]) -> u64 {
    for byte in bytes {
        hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01B3);
    }
    hash
}

fn planted() -> io::Error {
    io::Error::other("planted")
}

fn failed<T>() -> Result<T> {
    Err(Error::Generic { store: "Disk", source: Box::new(planted()) })
}

impl Disk {
    /// An empty disk.
    pub(super) fn new(plan: Plan, root: &LocalPath) -> Arc<Self> {
        Arc::new(Self::with(plan, 0, root.to_owned(), InMemory::new(), Namespace::new()))
    }

    fn with(plan: Plan, life: u64, root: PathBuf, visible: InMemory, namespace: Namespace) -> Self {
        let state = State { namespace, step: 0, tries: HashMap::new(), changes: 0, off: false, calm: false };
        Self { plan, life, root, visible, state: Mutex::new(state) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Ends this life, if it has not ended, and gives the disk that the next one finds.
    pub(super) async fn restarted(&self, end: End) -> Arc<Self> {
        let namespace = {
            let mut state = self.state();
            state.off = true;
            match end {
                End::Killed => state.namespace.clone(),
                End::Power(cut) => state.namespace.after(cut, self.plan.seed ^ self.life << 48),
            }
        };
        let visible = InMemory::new();
        for (path, content) in namespace.visible() {
            visible.put(&path, content.into()).await.unwrap();
        }
        Arc::new(Self::with(self.plan, self.life + 1, self.root.clone(), visible, namespace))
    }

    /// Says that the run goes on to its next step.
    pub(super) fn next_step(&self) {
        let mut state = self.state();
        state.step += 1;
        state.tries.clear();
    }

    /// Whether the machine has gone down.
    pub(super) fn is_off(&self) -> bool {
        self.state().off
    }

    /// While it is calm, nothing fails and nothing is counted.
    pub(super) fn calm(&self, calm: bool) {
        self.state().calm = calm;
    }

    /// Days that a request may spread its rows over. Their files are written at once and in any order, so a
    /// failure of one of them would decide about the others by chance: where operations fail it is one day.
    pub(super) fn days(&self) -> usize {
        if self.plan.fault_permille == 0 { 3 } else { 1 }
    }

    /// Puts a file where readers of the local file system find it. Their reads never fail.
    pub(super) async fn materialize(&self, path: &Path) -> Result<()> {
        let content = self.visible.get(path).await?.bytes().await?;
        let target = self.root.join(path.as_ref());
        std::fs::create_dir_all(target.parent().unwrap()).unwrap();
        std::fs::write(target, content).unwrap();
        Ok(())
    }

    /// Changes tried so far.
    pub(super) fn changes(&self) -> u64 {
        self.state().changes
    }

    /// Decides what becomes of a change.
    pub(super) fn change(&self, operation: &'static str, path: &str) -> Fate {
        let (fate, _) = self.decide(operation, path, self.plan.fault_permille, true);
        fate
    }

    fn decide(&self, operation: &'static str, path: &str, permille: u64, changes: bool) -> (Fate, u64) {
        let mut state = self.state();
        if state.off {
            return (Fate::FailedBefore, 0);
        }
        if state.calm {
            return (Fate::Done, 0);
        }
        let shape = shape(path);
        let key = fnv(fnv(self.plan.seed, operation.as_bytes()), shape.as_bytes());
        let tries = state.tries.entry((operation, shape)).or_default();
        *tries += 1;
        let tries = *tries;
        let mut chance = Seeded::new(key ^ self.life << 48 ^ tries << 32 ^ state.step << 16);
        let (delay, struck, after) = (chance.below(4), chance.below(1000) < permille, chance.below(2) == 0);
        state.changes += u64::from(changes);
        let last = changes && chance.below(CHANGES_OF_A_LIFE) == 0;
        state.off = last;
        let fate = match (struck || last, after) {
            (false, _) => Fate::Done,
            (true, true) => Fate::FailedAfter,
            (true, false) => Fate::FailedBefore,
        };
        (fate, delay)
    }

    async fn try_change(&self, operation: &'static str, path: &Path) -> Fate {
        let (fate, delay) = self.decide(operation, path.as_ref(), self.plan.fault_permille, true);
        late(delay).await;
        fate
    }

    /// Reads fail more seldom: most of what fails with them is over before anything was changed.
    async fn try_read(&self, operation: &'static str, path: &str) -> Result<()> {
        let (fate, delay) = self.decide(operation, path, self.plan.fault_permille / 4, false);
        late(delay).await;
        if fate == Fate::Done { Ok(()) } else { failed() }
    }

    fn relative<'p>(&self, path: &'p LocalPath) -> &'p str {
        path.strip_prefix(&self.root).unwrap().to_str().unwrap()
    }

    async fn write(&self, location: &Path, payload: PutPayload, opts: PutOptions) -> Result<PutResult> {
        let fate = self.try_change("write", location).await;
        if fate == Fate::FailedBefore {
            return failed();
        }
        let written = self.visible.put_opts(location, payload.clone(), opts).await?;
        self.state().namespace.write(location, payload.into());
        if fate == Fate::Done { Ok(written) } else { failed() }
    }

    async fn remove(&self, location: &Path) -> Result<()> {
        let fate = self.try_change("delete", location).await;
        if fate == Fate::FailedBefore {
            return failed();
        }
        // The store in memory does not tell whether there was something.
        self.visible.head(location).await?;
        self.visible.delete(location).await?;
        self.state().namespace.delete(location);
        if fate == Fate::Done { Ok(()) } else { failed() }
    }
}

/// Lets everything else go first.
async fn late(times: u64) {
    for _ in 0..times {
        tokio::task::yield_now().await;
    }
}

impl fmt::Display for Disk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Disk({})", self.plan.seed)
    }
}

/// A handle that can be handed to whatever needs a store.
#[derive(Debug, Clone)]
pub(super) struct DiskStore(pub(super) Arc<Disk>);

impl fmt::Display for DiskStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[async_trait]
impl ObjectStore for DiskStore {
    async fn put_opts(&self, location: &Path, payload: PutPayload, opts: PutOptions) -> Result<PutResult> {
        self.0.write(location, payload, opts).await
    }

    async fn put_multipart_opts(&self, location: &Path, _: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        Ok(Box::new(Upload { disk: Arc::clone(&self.0), location: location.clone(), parts: Vec::new() }))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.0.try_read("read", location.as_ref()).await?;
        self.0.visible.get_opts(location, options).await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.0.try_read("read", location.as_ref()).await?;
        self.0.visible.get_ranges(location, ranges).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let disk = Arc::clone(&self.0);
        let deleted = locations.then(move |location| {
            let disk = Arc::clone(&disk);
            async move {
                let location = location?;
                disk.remove(&location).await?;
                Ok(location)
            }
        });
        deleted.boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let listing = self.0.visible.list(prefix);
        let (disk, prefix) = (Arc::clone(&self.0), prefix.map(ToString::to_string).unwrap_or_default());
        let checked = async move {
            match disk.try_read("list", &prefix).await {
                Ok(()) => listing,
                Err(error) => futures::stream::iter([Err(error)]).boxed(),
            }
        };
        checked.flatten_stream().boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.0.try_read("list", prefix.map_or("", Path::as_ref)).await?;
        self.0.visible.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        let content = self.get_opts(from, GetOptions::default()).await?.bytes().await?;
        let mode = match options.mode {
            CopyMode::Create => object_store::PutMode::Create,
            CopyMode::Overwrite => object_store::PutMode::Overwrite,
        };
        self.0.write(to, content.into(), PutOptions { mode, ..PutOptions::default() }).await?;
        Ok(())
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        let fate = self.0.try_change("rename", to).await;
        if fate == Fate::FailedBefore {
            return failed();
        }
        let mode = match options.target_mode {
            RenameTargetMode::Create => CopyMode::Create,
            RenameTargetMode::Overwrite => CopyMode::Overwrite,
        };
        self.0.visible.copy_opts(from, to, CopyOptions::new().with_mode(mode)).await?;
        self.0.visible.delete(from).await?;
        self.0.state().namespace.rename(from, to);
        if fate == Fate::Done { Ok(()) } else { failed() }
    }
}

#[derive(Debug)]
struct Upload {
    disk: Arc<Disk>,
    location: Path,
    parts: Vec<PutPayload>,
}

#[async_trait]
impl MultipartUpload for Upload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        self.parts.push(data);
        futures::future::ready(Ok(())).boxed()
    }

    async fn complete(&mut self) -> Result<PutResult> {
        let whole: PutPayload = self.parts.iter().flat_map(|part| part.iter().cloned()).collect();
        self.disk.write(&self.location, whole, PutOptions::default()).await
    }

    async fn abort(&mut self) -> Result<()> {
        Ok(())
    }
}

/// The syncs that reach the disk, as far as they are switched on.
#[derive(Debug)]
pub(super) struct DiskSyncer(pub(super) Arc<Disk>, pub(super) Syncing);

impl Syncer for DiskSyncer {
    fn sync_file(&self, path: &LocalPath) -> io::Result<()> {
        if matches!(self.1, Syncing::Nothing | Syncing::NoFiles) {
            return Ok(());
        }
        let path = self.0.relative(path);
        let fate = self.0.change("sync file", path);
        let mut state = self.0.state();
        let went_off = state.off;
        match fate {
            Fate::Done => state.namespace.sync_file(path),
            Fate::FailedBefore => return Err(planted()),
            // It is on disk, and the machine goes down before it can tell.
            Fate::FailedAfter if went_off => state.namespace.sync_file(path),
            Fate::FailedAfter => state.namespace.fail_sync_file(path),
        }
        if fate == Fate::Done { Ok(()) } else { Err(planted()) }
    }

    fn sync_folder(&self, path: &LocalPath) -> io::Result<()> {
        let path = self.0.relative(path);
        let skipped = match self.1 {
            Syncing::Nothing | Syncing::NoFolders => true,
            Syncing::NoAncestors => !(path.ends_with("_delta_log") || path.contains("day=")),
            Syncing::All | Syncing::NoFiles => false,
        };
        if skipped {
            return Ok(());
        }
        let fate = self.0.change("sync folder", path);
        if fate == Fate::FailedBefore {
            return Err(planted());
        }
        self.0.state().namespace.sync_folder(path);
        if fate == Fate::Done { Ok(()) } else { Err(planted()) }
    }

    fn make_private(&self, folder: &LocalPath, _: &LocalPath) -> io::Result<()> {
        let folder = self.0.relative(folder);
        if self.0.change("make folder", folder) == Fate::FailedBefore {
            return Err(planted());
        }
        self.0.state().namespace.make_folder(folder);
        Ok(())
    }
}
