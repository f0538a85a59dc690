//! A storage decorator that makes every successful write survive a power cut.
//!
//! `object_store` 0.13 publishes local files (hard link, rename) without syncing file or folder. Here
//! a write goes to the staging folder, is synced, is moved into place, and then the folder that got
//! the new name is synced, and so is every ancestor that this process has not synced before. Files have
//! mode 0600 and folders 0700, whatever the umask.
//!
//! A crash before the move leaves a file in the staging folder, which the next start deletes. A crash
//! after the move and before the folder's sync may or may not keep the name: nothing was
//! acknowledged yet. Cost: one file sync and at least one folder sync per write.

use std::collections::HashSet;
use std::fmt::{self, Debug};
use std::io;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{
    CopyMode, CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    ObjectStoreExt, PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions, RenameTargetMode,
    Result, UploadPart,
};
use uuid::Uuid;

use super::layout::STAGING;
use super::syncer::Syncer;

const STORE: &str = "DurableStore";

/// The decorator; cheap to clone.
#[derive(Debug, Clone)]
pub struct DurableStore {
    inner: Arc<dyn ObjectStore>,
    root: Arc<PathBuf>,
    syncer: Arc<dyn Syncer>,
    // Folders whose own names are known to be durable. A folder made by one request and used by the
    // next one must not be taken for durable before its parent was synced.
    synced_folders: Arc<Mutex<HashSet<Path>>>,
}

impl DurableStore {
    /// Wraps a store whose paths are relative to the local folder `root`. The folder itself must be durable.
    #[must_use]
    pub fn new(inner: Arc<dyn ObjectStore>, root: PathBuf, syncer: Arc<dyn Syncer>) -> Self {
        Self { inner, root: Arc::new(root), syncer, synced_folders: Arc::default() }
    }

    /// A fresh name in the staging folder.
    fn staged(location: &Path) -> Path {
        let name = location.filename().unwrap_or("unnamed");
        Path::from_iter([STAGING, &format!("{}-{name}", Uuid::new_v4())])
    }

    fn local_path(&self, path: &Path) -> PathBuf {
        path.parts().fold(self.root.as_ref().clone(), |target, part| target.join(part.as_ref()))
    }

    async fn sync(&self, path: &Path, folder: bool) -> Result<()> {
        let target = self.local_path(path);
        let syncer = Arc::clone(&self.syncer);
        let outcome =
            tokio::task::spawn_blocking(
                move || {
                    if folder { syncer.sync_folder(&target) } else { syncer.sync_file(&target) }
                },
            )
            .await
            .map_err(|source| Error::JoinError { source })?;
        outcome.map_err(|source| Error::Generic { store: STORE, source: Box::new(source) })
    }

    /// Syncs the folder of a new name, then every ancestor not known to be durable.
    async fn sync_names(&self, location: &Path) -> Result<()> {
        let mut folder = parent(location);
        self.sync(&folder, true).await?;
        let mut synced = Vec::new();
        while !folder.as_ref().is_empty() && !self.is_synced(&folder) {
            let above = parent(&folder);
            self.sync(&above, true).await?;
            synced.push(std::mem::replace(&mut folder, above));
        }
        // Only once the whole chain is durable, or a write beside this one could stop too early.
        self.synced_folders.lock().unwrap_or_else(PoisonError::into_inner).extend(synced);
        Ok(())
    }

    fn is_synced(&self, folder: &Path) -> bool {
        self.synced_folders.lock().unwrap_or_else(PoisonError::into_inner).contains(folder)
    }

    /// Makes the folder of a new name and takes everybody else's access from the file that will get it: the
    /// inner store would leave both to the process's umask.
    async fn make_private(&self, file: &Path, location: &Path) -> Result<()> {
        let (file, folder) = (self.local_path(file), self.local_path(&parent(location)));
        let syncer = Arc::clone(&self.syncer);
        let made = tokio::task::spawn_blocking(move || syncer.make_private(&folder, &file));
        let made = made.await.map_err(|source| Error::JoinError { source })?;
        made.map_err(|source| Error::Generic { store: STORE, source: Box::new(source) })
    }

    /// Makes the names in a folder durable, and the folder's own and its ancestors'. For what an earlier
    /// process may have published without living to sync it.
    ///
    /// # Errors
    /// When a sync fails; the names may then be lost, so nothing may be concluded from them.
    pub async fn sync_folder(&self, folder: &Path) -> Result<()> {
        self.sync_names(&folder.clone().join("any")).await
    }

    /// From a staged file to a durable one under its name.
    async fn publish(&self, staged: &Path, location: &Path, mode: RenameTargetMode) -> Result<()> {
        let ready = match self.make_private(staged, location).await {
            Ok(()) => self.sync(staged, false).await,
            Err(error) => Err(error),
        };
        let moved = match ready {
            Ok(()) => self.inner.rename_opts(staged, location, RenameOptions::new().with_target_mode(mode)).await,
            Err(error) => Err(error),
        };
        if let Err(error) = moved {
            self.discard(staged).await;
            return Err(error);
        }
        self.sync_names(location).await
    }

    async fn discard(&self, staged: &Path) {
        if let Err(error) = self.inner.delete(staged).await
            && !matches!(error, Error::NotFound { .. })
        {
            tracing::warn!(%staged, %error, "could not delete a staged file; the next start will");
        }
    }

    /// Names behind `offset` in its folder, ascending; none where only a full listing knows: another folder is asked for,
    /// or it holds folders or names that a store writes differently.
    async fn names_behind(&self, folder: Option<&Path>, offset: &Path) -> Result<Option<Vec<Path>>> {
        let (Some(folder), Some(last)) = (folder, offset.filename()) else { return Ok(None) };
        if parent(offset) != *folder {
            return Ok(None);
        }
        let (local, last) = (self.local_path(folder), last.to_owned());
        let syncer = Arc::clone(&self.syncer);
        let read = move || {
            let mut names = syncer.file_names(&local, &last)?;
            if let Some(names) = &mut names {
                names.sort_unstable();
            }
            Ok(names)
        };
        let names = tokio::task::spawn_blocking(read).await.map_err(|source| Error::JoinError { source })?;
        let names: Option<Vec<String>> =
            names.map_err(|source: io::Error| Error::Generic { store: STORE, source: Box::new(source) })?;
        Ok(names.map(|names| names.into_iter().map(|name| folder.clone().join(name)).collect()))
    }

    /// What these names stand for; those that are gone meanwhile are left out.
    async fn describe(&self, names: Vec<Path>) -> Vec<Result<ObjectMeta>> {
        let mut found = Vec::with_capacity(names.len());
        for name in names {
            match self.inner.head(&name).await {
                Err(Error::NotFound { .. }) => {}
                described => found.push(described),
            }
        }
        found
    }

    async fn sorted(listing: BoxStream<'static, Result<ObjectMeta>>) -> Vec<Result<ObjectMeta>> {
        match listing.try_collect::<Vec<_>>().await {
            Ok(mut entries) => {
                entries.sort_unstable_by(|a, b| a.location.cmp(&b.location));
                entries.into_iter().map(Ok).collect()
            }
            Err(error) => vec![Err(error)],
        }
    }
}

fn parent(path: &Path) -> Path {
    let mut parts: Vec<_> = path.parts().collect();
    parts.pop();
    Path::from_iter(parts)
}

impl fmt::Display for DurableStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{STORE}({})", self.inner)
    }
}

#[async_trait]
impl ObjectStore for DurableStore {
    /// Success means: the content and its name are on stable storage.
    async fn put_opts(&self, location: &Path, payload: PutPayload, opts: PutOptions) -> Result<PutResult> {
        let mode = match opts.mode {
            PutMode::Create => RenameTargetMode::Create,
            PutMode::Overwrite => RenameTargetMode::Overwrite,
            PutMode::Update(_) => {
                return Err(Error::NotImplemented {
                    operation: "put (update)".to_owned(),
                    implementer: STORE.to_owned(),
                });
            }
        };
        let staged = Self::staged(location);
        let result = self.inner.put_opts(&staged, payload, PutOptions { mode: PutMode::Overwrite, ..opts }).await?;
        self.publish(&staged, location, mode).await?;
        Ok(result)
    }

    /// `complete` on the upload has the promise of [`DurableStore::put_opts`].
    async fn put_multipart_opts(&self, location: &Path, opts: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        let staged = Self::staged(location);
        let inner = self.inner.put_multipart_opts(&staged, opts).await?;
        Ok(Box::new(DurableUpload { store: self.clone(), inner, staged, location: location.clone() }))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.inner.get_opts(location, options).await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.inner.get_ranges(location, ranges).await
    }

    // Not synced: a deleted file that comes back after a power cut is garbage, not a loss.
    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(locations)
    }

    // Sorted, because the Delta kernel sorts listings itself only for file URLs.
    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let listing = self.inner.list(prefix);
        futures::stream::once(Self::sorted(listing)).flat_map(futures::stream::iter).boxed()
    }

    // Every commit asks what is behind the version that it knows, in a folder of thousands of older ones: only what is
    // behind is looked at more closely than by its name.
    fn list_with_offset(&self, prefix: Option<&Path>, offset: &Path) -> BoxStream<'static, Result<ObjectMeta>> {
        let (this, prefix, offset) = (self.clone(), prefix.cloned(), offset.clone());
        let listing = async move {
            match this.names_behind(prefix.as_ref(), &offset).await {
                Ok(Some(names)) => this.describe(names).await,
                Ok(None) => Self::sorted(this.inner.list_with_offset(prefix.as_ref(), &offset)).await,
                Err(error) => vec![Err(error)],
            }
        };
        futures::stream::once(listing).flat_map(futures::stream::iter).boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    /// Copies to the staging folder, then as [`DurableStore::put_opts`].
    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        let mode = match options.mode {
            CopyMode::Create => RenameTargetMode::Create,
            CopyMode::Overwrite => RenameTargetMode::Overwrite,
        };
        let staged = Self::staged(to);
        self.inner.copy_opts(from, &staged, CopyOptions { mode: CopyMode::Overwrite, ..options }).await?;
        self.publish(&staged, to, mode).await
    }

    /// Success means: the new name is on stable storage.
    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        self.make_private(from, to).await?;
        self.sync(from, false).await?;
        self.inner.rename_opts(from, to, options).await?;
        self.sync_names(to).await
    }
}

#[derive(Debug)]
struct DurableUpload {
    store: DurableStore,
    inner: Box<dyn MultipartUpload>,
    staged: Path,
    location: Path,
}

#[async_trait]
impl MultipartUpload for DurableUpload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        self.inner.put_part(data)
    }

    async fn complete(&mut self) -> Result<PutResult> {
        let result = self.inner.complete().await?;
        self.store.publish(&self.staged, &self.location, RenameTargetMode::Overwrite).await?;
        Ok(result)
    }

    async fn abort(&mut self) -> Result<()> {
        self.inner.abort().await
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use object_store::local::LocalFileSystem;

    use super::*;
    use crate::lake::syncer::FsSyncer;

    /// Writes down what was synced, relative to the root; can be told to fail.
    #[derive(Debug, Default)]
    struct Recorder {
        root: PathBuf,
        synced: Mutex<Vec<String>>,
        fail_folders: bool,
    }

    impl Recorder {
        fn note(&self, kind: &str, path: &std::path::Path) {
            let relative = path.strip_prefix(&self.root).unwrap().to_string_lossy().into_owned();
            let shown = if relative.starts_with(STAGING) { STAGING.to_owned() } else { relative };
            self.synced.lock().unwrap().push(format!("{kind} {shown}"));
        }

        fn take(&self) -> Vec<String> {
            std::mem::take(&mut self.synced.lock().unwrap())
        }
    }

    impl Syncer for Recorder {
        fn sync_file(&self, path: &std::path::Path) -> io::Result<()> {
            assert!(path.is_file());
            self.note("file", path);
            Ok(())
        }

        fn sync_folder(&self, path: &std::path::Path) -> io::Result<()> {
            assert!(path.is_dir());
            self.note("folder", path);
            if self.fail_folders { Err(io::Error::other("planted")) } else { Ok(()) }
        }
    }

    fn store(fail_folders: bool) -> (tempfile::TempDir, DurableStore, Arc<Recorder>) {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join(STAGING)).unwrap();
        let inner = Arc::new(LocalFileSystem::new_with_prefix(dir.path()).unwrap());
        let root = dir.path().to_owned();
        let recorder = Arc::new(Recorder { root: root.clone(), fail_folders, ..Recorder::default() });
        (dir, DurableStore::new(inner, root, Arc::<Recorder>::clone(&recorder)), recorder)
    }

    fn staged_files(dir: &tempfile::TempDir) -> usize {
        std::fs::read_dir(dir.path().join(STAGING)).unwrap().count()
    }

    #[tokio::test]
    async fn a_put_syncs_the_file_then_each_new_folder_up_to_the_root() {
        let (dir, store, recorder) = store(false);
        store.put(&Path::from("a/b/x"), "1".into()).await.unwrap();
        assert_eq!(recorder.take(), ["file .staging", "folder a/b", "folder a", "folder "]);
        store.put(&Path::from("a/b/y"), "2".into()).await.unwrap();
        assert_eq!(recorder.take(), ["file .staging", "folder a/b"]);
        assert_eq!(staged_files(&dir), 0);
    }

    #[tokio::test]
    async fn multipart_has_the_same_promise() {
        let (dir, store, recorder) = store(false);
        let mut upload = store.put_multipart(&Path::from("a/x")).await.unwrap();
        upload.put_part("hello".into()).await.unwrap();
        assert!(store.head(&Path::from("a/x")).await.is_err());
        upload.complete().await.unwrap();
        assert_eq!(recorder.take()[..2], ["file .staging", "folder a"]);
        assert_eq!(store.get(&Path::from("a/x")).await.unwrap().bytes().await.unwrap(), "hello");
        assert_eq!(staged_files(&dir), 0);
    }

    #[tokio::test]
    async fn create_refuses_an_existing_name_and_keeps_its_content() {
        let (dir, store, _) = store(false);
        let create = || PutOptions { mode: PutMode::Create, ..PutOptions::default() };
        store.put_opts(&Path::from("a/x"), "1".into(), create()).await.unwrap();
        let second = store.put_opts(&Path::from("a/x"), "2".into(), create()).await;
        assert!(matches!(second, Err(Error::AlreadyExists { .. })), "{second:?}");
        assert_eq!(store.get(&Path::from("a/x")).await.unwrap().bytes().await.unwrap(), "1");
        assert_eq!(staged_files(&dir), 0);
    }

    #[tokio::test]
    async fn a_failed_folder_sync_is_a_failed_write() {
        let (_dir, store, _) = store(true);
        assert!(store.put(&Path::from("a/x"), "1".into()).await.is_err());
    }

    #[tokio::test]
    async fn what_is_written_is_open_to_its_owner_only() {
        let (dir, store, _) = store(false);
        store.put(&Path::from("a/b/x"), "1".into()).await.unwrap();
        store.rename(&Path::from("a/b/x"), &Path::from("c/x")).await.unwrap();
        let mode = |name: &str| dir.path().join(name).metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(["a", "a/b", "c", "c/x"].map(mode), [0o700, 0o700, 0o700, 0o600]);
    }

    #[tokio::test]
    async fn listings_are_sorted() {
        let (_dir, store, _) = store(false);
        for name in ["b/2", "a/9", "b/1", "a/10"] {
            store.put(&Path::from(name), "".into()).await.unwrap();
        }
        let names: Vec<_> = store.list(None).map_ok(|m| m.location.to_string()).try_collect().await.unwrap();
        assert_eq!(names, ["a/10", "a/9", "b/1", "b/2"]);
    }

    #[tokio::test]
    async fn what_is_behind_a_name_is_listed_as_the_inner_store_does() {
        let (dir, store, _) = store(false);
        let store = DurableStore::new(store.inner, dir.path().to_owned(), Arc::new(FsSyncer));
        for name in [
            "log/1.json",
            "log/2.json",
            "log/2.checkpoint",
            "log/3.json",
            "log/10.json",
            "deep/1",
            "deep/a/2",
            "odd/a b",
        ] {
            store.put(&Path::from(name), "xyz".into()).await.unwrap();
        }
        let of = |folder: &'static str, offset: &'static str| {
            let (folder, offset) = (Path::from(folder), Path::from(offset));
            (store.list_with_offset(Some(&folder), &offset), store.inner.list_with_offset(Some(&folder), &offset))
        };
        for (folder, offset, wanted) in [
            ("log", "log/2", 3),
            ("log", "log/2.json", 1),
            ("log", "log/9", 0),
            ("log", "log/0", 5),
            ("log", "k", 5),
            ("deep", "deep/1", 1),
            ("odd", "odd/a", 1),
            ("none", "none/a", 0),
        ] {
            let (ours, inner) = of(folder, offset);
            let ours: Vec<_> = ours.try_collect().await.unwrap();
            let mut inner: Vec<_> = inner.try_collect().await.unwrap();
            inner.sort_unstable_by(|a, b| a.location.cmp(&b.location));
            assert_eq!(ours, inner, "{folder} {offset}");
            assert_eq!(ours.len(), wanted, "{folder} {offset}");
        }
    }
}
