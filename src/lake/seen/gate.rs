//! The indexes that are open, and the requests that are about to store ids.
//!
//! A request claims its ids before it appends. Nobody else gets a claim with one of them until that append has
//! ended, and what is claimed is then looked up once more: so of two equal requests at the same time the second
//! finds what the first has stored. A request that waits for others holds no claim, and one that holds a
//! claim waits for its append alone, so nobody waits in a circle.

use std::collections::HashMap;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;

use super::IdHash;
use super::index::{MostWaiting, SeenIndex};
use super::set::SeenSet;
use crate::domain::tenant::TenantKey;
use crate::lake::error::LakeError;
use crate::lake::table::ActivityTable;

/// Memory of indexes that nobody uses, in bytes; beyond it the least lately used are written down and closed.
const OPEN_BYTES: usize = 64 << 20;

/// Indexes that nobody uses and that stay open.
const MOST_OPEN: usize = 256;

/// The folder below a tenant's in which its indexes lie.
const SEEN: &str = "seen";

/// All indexes of a lake.
#[derive(Debug)]
pub struct SeenIndexes {
    /// Folder of all tenants.
    lake: PathBuf,
    gates: Mutex<HashMap<(TenantKey, String), Arc<Gate>>>,
    uses: AtomicU64,
    most_waiting: MostWaiting,
}

/// The index of one tenant and source, opened when it is asked.
#[derive(Debug)]
pub struct Gate {
    folder: PathBuf,
    source: String,
    most_waiting: MostWaiting,
    index: Mutex<Slot>,
    claims: Mutex<Claims>,
    /// Bytes of the index in memory; 0 while it is closed.
    bytes: AtomicUsize,
    last_use: AtomicU64,
}

#[derive(Debug, Default)]
struct Slot {
    index: Option<SeenIndex>,
    /// How often it was opened.
    opened: u64,
}

/// What an index knew. As long as it is the same, so are its answers to the same question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IndexState {
    opened: u64,
    changes: u64,
}

#[derive(Debug, Default)]
struct Claims {
    made: u64,
    held: Vec<Held>,
}

#[derive(Debug, Clone)]
struct Held {
    number: u64,
    ids: Arc<SeenSet>,
    ended: CancellationToken,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether a run is not there or not as it was written.
fn is_damage(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof)
}

impl SeenIndexes {
    /// The indexes below the folder of all tenants. Opens none.
    #[must_use]
    pub fn new(lake: PathBuf) -> Self {
        Self::with(lake, MostWaiting::default())
    }

    pub(super) fn with(lake: PathBuf, most_waiting: MostWaiting) -> Self {
        Self { lake, gates: Mutex::default(), uses: AtomicU64::new(0), most_waiting }
    }

    /// The gate of a tenant and source. While it is held, its index stays open.
    #[must_use]
    pub fn gate(&self, tenant: TenantKey, source: &str) -> Arc<Gate> {
        let folder = || self.lake.join(tenant.folder()).join(SEEN).join(source);
        let mut gates = lock(&self.gates);
        let make = || Arc::new(Gate::new(folder(), source, self.most_waiting));
        let gate = gates.entry((tenant, source.to_owned())).or_insert_with(make);
        gate.last_use.store(self.uses.fetch_add(1, Ordering::Relaxed), Ordering::Relaxed);
        Arc::clone(gate)
    }

    /// Whether there are more than may stay open, used or not.
    #[must_use]
    pub fn is_crowded(&self) -> bool {
        let (open, bytes) = self.open();
        open > MOST_OPEN || bytes > OPEN_BYTES
    }

    /// Closes indexes that nobody uses until those left keep within 64 MiB and 256. Blocking.
    pub fn close_beyond(&self, now_ms: i64) {
        self.close_to(OPEN_BYTES, MOST_OPEN, now_ms);
    }

    /// Writes down and closes every index that nobody uses. Blocking.
    pub fn close_all(&self, now_ms: i64) {
        self.close_to(0, 0, now_ms);
    }

    fn close_to(&self, most_bytes: usize, most: usize, now_ms: i64) {
        let unused = |gate: &Arc<Gate>| Arc::strong_count(gate) == 1;
        let mut open: Vec<Arc<Gate>> = {
            let gates = lock(&self.gates);
            gates.values().filter(|gate| unused(gate) && gate.is_open()).map(Arc::clone).collect()
        };
        open.sort_unstable_by_key(|gate| std::cmp::Reverse(gate.last_use.load(Ordering::Relaxed)));
        let mut bytes = 0_usize;
        for (n, gate) in open.iter().enumerate() {
            bytes = bytes.saturating_add(gate.bytes.load(Ordering::Relaxed));
            if n >= most || bytes > most_bytes {
                gate.close(now_ms);
            }
        }
        drop(open);
        // Of those that are closed nothing is left that a new one would not find on disk.
        lock(&self.gates).retain(|_, gate| !unused(gate) || gate.is_open());
    }

    /// Forgets the indexes of a tenant whose folder is deleted.
    pub fn dropped(&self, tenant: TenantKey) {
        lock(&self.gates).retain(|(of, _), _| *of != tenant);
    }

    /// Number and bytes of the indexes that are open.
    #[must_use]
    pub fn open(&self) -> (usize, usize) {
        let gates = lock(&self.gates);
        let open = gates.values().filter(|gate| gate.is_open());
        open.fold((0, 0), |(n, bytes), gate| (n + 1, bytes + gate.bytes.load(Ordering::Relaxed)))
    }
}

impl Gate {
    fn new(folder: PathBuf, source: &str, most_waiting: MostWaiting) -> Self {
        Self {
            folder,
            source: source.to_owned(),
            most_waiting,
            index: Mutex::default(),
            claims: Mutex::default(),
            bytes: AtomicUsize::new(0),
            last_use: AtomicU64::new(0),
        }
    }

    fn is_open(&self) -> bool {
        self.bytes.load(Ordering::Relaxed) > 0
    }

    fn close(&self, now_ms: i64) {
        // Whoever holds it uses it, and closes it another time.
        let Ok(mut slot) = self.index.try_lock() else { return };
        if let Some(mut open) = slot.index.take()
            && let Err(error) = open.save(now_ms)
        {
            let folder = open.folder().display();
            tracing::warn!(%folder, %error, "could not write down an index of ids; it is caught up when it is used again");
        }
        self.bytes.store(0, Ordering::Relaxed);
    }

    /// Asks the index, caught up to the table's newest version. What was deleted behind its back is made anew.
    fn ask<T>(
        &self,
        table: &ActivityTable,
        now_ms: i64,
        question: impl Fn(&SeenIndex, IndexState) -> Result<T, LakeError>,
    ) -> Result<T, LakeError> {
        let mut slot = lock(&self.index);
        let Slot { index, opened } = &mut *slot;
        let index = match index {
            Some(index) => index,
            none => {
                *opened += 1;
                none.insert(SeenIndex::open(self.folder.clone(), &self.source, self.most_waiting)?)
            }
        };
        let question = |index: &SeenIndex| question(index, IndexState { opened: *opened, changes: index.changes() });
        let answer = index.catch_up(table, now_ms).and_then(|()| question(index));
        let answer = match answer {
            Err(LakeError::Io(error)) if is_damage(&error) => {
                tracing::warn!(folder = %self.folder.display(), %error, "an index of ids is made anew");
                index.forget();
                index.catch_up(table, now_ms).and_then(|()| question(index))
            }
            answer => answer,
        };
        self.bytes.store(index.memory().max(1), Ordering::Relaxed);
        answer
    }

    /// Which of the ids are stored in the table since 7 days before `now_ms`, and the state of the index that told
    /// so: as long as that is the same, the answers are. Blocking.
    ///
    /// # Errors
    /// When the table or the index cannot be read.
    pub fn are_stored(
        &self,
        table: &ActivityTable,
        ids: &[IdHash],
        now_ms: i64,
    ) -> Result<(Vec<bool>, IndexState), LakeError> {
        self.ask(table, now_ms, |index, state| {
            let mut look = index.look(now_ms);
            let stored: io::Result<Vec<bool>> = ids.iter().map(|id| look.was_stored(*id)).collect();
            Ok((stored?, state))
        })
    }

    /// Whether one of the ids is stored by now, unless the index is in the state in which none was. Blocking.
    ///
    /// # Errors
    /// When the table, the index or the set cannot be read.
    pub fn any_stored(
        &self,
        table: &ActivityTable,
        ids: &SeenSet,
        now_ms: i64,
        unless: IndexState,
    ) -> Result<bool, LakeError> {
        self.ask(table, now_ms, |index, state| {
            if state == unless {
                return Ok(false);
            }
            let (mut look, mut any) = (index.look(now_ms), false);
            ids.each(|id| {
                any = look.was_stored(id)?;
                Ok::<_, LakeError>(!any)
            })?;
            Ok(any)
        })
    }

    /// Claims ids for a request that is about to store them, unless another one has claimed one of them. What is
    /// stored by then is to be asked afterwards. Blocking.
    ///
    /// # Errors
    /// When a set cannot be read.
    pub fn claim(self: &Arc<Self>, claim: &mut Claim) -> Result<Claimed, LakeError> {
        loop {
            let others: Vec<Held> = {
                let mut claims = lock(&self.claims);
                let others: Vec<Held> =
                    claims.held.iter().filter(|held| held.number > claim.compared).cloned().collect();
                if others.is_empty() {
                    claims.made += 1;
                    let (number, ended) = (claims.made, CancellationToken::new());
                    claims.held.push(Held { number, ids: Arc::clone(&claim.ids), ended: ended.clone() });
                    return Ok(Claimed::Held(ClaimGuard { gate: Arc::clone(self), number, ended }));
                }
                others
            };
            // Not under the lock: the sets may be large.
            for other in others {
                if other.ids.meets(&claim.ids)? {
                    return Ok(Claimed::Wait(other.ended));
                }
                claim.compared = claim.compared.max(other.number);
            }
        }
    }
}

/// Ids that a request is about to store.
#[derive(Debug)]
pub struct Claim {
    ids: Arc<SeenSet>,
    /// Number of the last claim that has none of the ids.
    compared: u64,
}

impl Claim {
    /// A claim of these ids, not made yet.
    #[must_use]
    pub fn new(ids: Arc<SeenSet>) -> Self {
        Self { ids, compared: 0 }
    }
}

/// What became of a claim.
#[derive(Debug)]
pub enum Claimed {
    /// Nobody else stores one of the ids until this is dropped.
    Held(ClaimGuard),
    /// Another request is about to store one of them. Claim again when it has ended.
    Wait(CancellationToken),
}

/// A claim that is held. Drop it when the append has been answered, whatever the answer.
#[derive(Debug)]
pub struct ClaimGuard {
    gate: Arc<Gate>,
    number: u64,
    ended: CancellationToken,
}

impl Drop for ClaimGuard {
    fn drop(&mut self) {
        lock(&self.gate.claims).held.retain(|held| held.number != self.number);
        self.ended.cancel();
    }
}
