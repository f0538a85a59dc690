//! What a disk keeps when its power fails: file contents and folder entries, each durable or not.
//!
//! The model is harsher than any file system: every entry of every folder may be lost or kept by itself
//! until its folder is synced, also the two halves of a rename, and a file's content is lost until the file
//! is synced, even when its name is kept.

use std::collections::BTreeMap;

use bytes::Bytes;
use object_store::path::Path;

use crate::support::seeded::Seeded;

use super::disk::{fnv, shape};

/// What an entry of a folder stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Node {
    File(usize),
    Folder,
}

/// A folder's entries on disk, and the changes that only memory knows, oldest first.
#[derive(Debug, Clone, Default)]
struct Folder {
    durable: BTreeMap<String, Node>,
    pending: Vec<(String, Option<Node>)>,
}

#[derive(Debug, Clone)]
struct File {
    content: Bytes,
    synced: bool,
    /// A sync failed: what was not on disk then is marked clean and never will be.
    lost: bool,
}

/// All folders and files below the root, which itself is durable.
#[derive(Debug, Clone, Default)]
pub(super) struct Namespace {
    folders: BTreeMap<String, Folder>,
    files: Vec<File>,
    /// Files as the running system sees them.
    visible: BTreeMap<String, usize>,
}

/// How much of what was not synced the disk happens to have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PowerCut {
    /// Nothing of it.
    AllLost,
    /// Each piece with even odds.
    SomeLost,
}

fn split(path: &str) -> (&str, &str) {
    path.rsplit_once('/').unwrap_or(("", path))
}

impl Namespace {
    /// An empty disk.
    pub(super) fn new() -> Self {
        Self { folders: [(String::new(), Folder::default())].into(), ..Self::default() }
    }

    /// Makes a folder and its missing ancestors.
    pub(super) fn make_folder(&mut self, folder: &str) {
        if self.folders.contains_key(folder) {
            return;
        }
        let (above, name) = split(folder);
        self.make_folder(above);
        self.folders.entry(above.to_owned()).or_default().pending.push((name.to_owned(), Some(Node::Folder)));
        self.folders.insert(folder.to_owned(), Folder::default());
    }

    fn set(&mut self, path: &str, file: Option<usize>) {
        let (folder, name) = split(path);
        self.make_folder(folder);
        let entries = self.folders.entry(folder.to_owned()).or_default();
        entries.pending.push((name.to_owned(), file.map(Node::File)));
        match file {
            Some(file) => self.visible.insert(path.to_owned(), file),
            None => self.visible.remove(path),
        };
    }

    /// A new file under this name, in place of any other.
    pub(super) fn write(&mut self, path: &Path, content: Bytes) {
        self.files.push(File { content, synced: false, lost: false });
        self.set(path.as_ref(), Some(self.files.len() - 1));
    }

    /// Gives a file another name.
    pub(super) fn rename(&mut self, from: &Path, to: &Path) {
        if let Some(file) = self.visible.get(from.as_ref()).copied() {
            self.set(from.as_ref(), None);
            self.set(to.as_ref(), Some(file));
        }
    }

    /// Takes a name away.
    pub(super) fn delete(&mut self, path: &Path) {
        self.set(path.as_ref(), None);
    }

    /// Puts a file's content on disk, unless an earlier sync of it failed.
    pub(super) fn sync_file(&mut self, path: &str) {
        if let Some(file) = self.visible.get(path) {
            let file = &mut self.files[*file];
            file.synced = !file.lost;
        }
    }

    /// A sync of the file fails, and takes its content with it.
    pub(super) fn fail_sync_file(&mut self, path: &str) {
        if let Some(file) = self.visible.get(path) {
            let file = &mut self.files[*file];
            file.lost = !file.synced;
        }
    }

    /// Puts a folder's entries on disk.
    pub(super) fn sync_folder(&mut self, folder: &str) {
        if let Some(folder) = self.folders.get_mut(folder) {
            for (name, node) in std::mem::take(&mut folder.pending) {
                apply(&mut folder.durable, name, node);
            }
        }
    }

    /// The disk as it is found when the power is back: all of it durable.
    pub(super) fn after(&self, cut: PowerCut, seed: u64) -> Self {
        let mut found = Self::new();
        self.survivors("", cut, seed, &mut found);
        for folder in found.folders.values_mut() {
            for (name, node) in std::mem::take(&mut folder.pending) {
                apply(&mut folder.durable, name, node);
            }
        }
        for file in &mut found.files {
            file.synced = true;
        }
        found
    }

    fn survivors(&self, folder: &str, cut: PowerCut, seed: u64, found: &mut Self) {
        let Some(entries) = self.folders.get(folder) else { return };
        let mut left = entries.durable.clone();
        let mut changes = BTreeMap::<String, u64>::new();
        for (name, node) in &entries.pending {
            // As with operations: not the moment decides, and not the random part of a name.
            let shape = shape(&format!("{folder}/{name}"));
            let nth = changes.entry(shape.clone()).or_default();
            *nth += 1;
            let mut chance = Seeded::new(fnv(seed, shape.as_bytes()) ^ *nth << 32);
            if cut == PowerCut::SomeLost && chance.below(2) == 0 {
                apply(&mut left, name.clone(), *node);
            }
        }
        for (name, node) in left {
            let path = if folder.is_empty() { name } else { format!("{folder}/{name}") };
            match node {
                Node::Folder => {
                    found.make_folder(&path);
                    self.survivors(&path, cut, seed, found);
                }
                Node::File(file) => {
                    let mut chance = Seeded::new(fnv(seed, shape(&path).as_bytes()));
                    found.write(&Path::from(path), self.files[file].content_after(cut, &mut chance));
                }
            }
        }
    }

    /// Files as they are seen, with their contents.
    pub(super) fn visible(&self) -> impl Iterator<Item = (Path, Bytes)> + '_ {
        self.visible.iter().map(|(path, file)| (Path::from(path.as_str()), self.files[*file].content.clone()))
    }
}

fn apply(entries: &mut BTreeMap<String, Node>, name: String, node: Option<Node>) {
    match node {
        Some(node) => entries.insert(name, node),
        None => entries.remove(&name),
    };
}

impl File {
    fn content_after(&self, cut: PowerCut, chance: &mut Seeded) -> Bytes {
        if self.synced {
            return self.content.clone();
        }
        let kept = match cut {
            PowerCut::AllLost => 0,
            PowerCut::SomeLost => chance.below(self.content.len() as u64 + 1),
        };
        self.content.slice(..usize::try_from(kept).unwrap())
    }
}
