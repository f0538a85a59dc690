//! Repeats: which records of a request are stored already, or are about to be by another one.
//!
//! Records are looked up while they are decoded, so that most repeats cost nothing more. When the request is
//! about to append, it claims its ids and looks up once more those that became known meanwhile.

use std::error::Error;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{Array, BooleanArray, StringArray};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::formats::input::{DecodeReport, KnownIds};
use crate::lake::data_files::DataFiles;
use crate::lake::error::LakeError;
use crate::lake::seen::{Claim, ClaimGuard, Claimed, Gate, IdHash, IndexState, SeenSet};
use crate::lake::table::ActivityTable;
use crate::query::cpu::CpuHandle;

/// Ids of a request that wait in memory, some 10 MB at most; more go to temporary files of 24 bytes an id.
const MOST_WAITING: usize = 200_000;

/// The ids of one request.
#[derive(Debug)]
pub(super) struct Repeats {
    table: Arc<ActivityTable>,
    gate: Arc<Gate>,
    now_ms: i64,
    own: Mutex<Own>,
}

#[derive(Debug)]
struct Own {
    ids: SeenSet,
    /// State of the index when the first of them were looked up.
    first_state: Option<IndexState>,
}

/// What to do with a claim.
enum Step {
    /// It is held; some of the ids were stored since they were looked up.
    Go(ClaimGuard, bool),
    /// Another request is about to store one of the ids.
    Wait(Claim, CancellationToken),
}

impl Repeats {
    pub(super) fn new(table: Arc<ActivityTable>, gate: Arc<Gate>, now_ms: i64, tmp: &Path) -> Self {
        let folder = tmp.join(format!("ids-{}", Uuid::new_v4().simple()));
        let own = Own { ids: SeenSet::temporary(folder, MOST_WAITING), first_state: None };
        Self { table, gate, now_ms, own: Mutex::new(own) }
    }

    /// Claims the ids, as soon as no other request is about to store one of them, and takes out of the files what
    /// was stored meanwhile. As long as the claim is held nobody else stores one of them; none is needed if no record
    /// brought an id.
    ///
    /// # Errors
    /// When the index, the table or files cannot be read or written. Discard the files.
    pub(super) async fn reserve(
        self: Arc<Self>,
        cpu: &CpuHandle,
        files: &mut DataFiles,
        report: &mut DecodeReport,
    ) -> Result<Option<ClaimGuard>, LakeError> {
        let (ids, looked_up) = {
            let mut own = self.own.lock().unwrap_or_else(PoisonError::into_inner);
            (Arc::new(std::mem::take(&mut own.ids)), own.first_state)
        };
        let Some(looked_up) = looked_up else { return Ok(None) };
        let mut claim = Claim::new(Arc::clone(&ids));
        let (guard, any_late) = loop {
            let (repeats, ids) = (Arc::clone(&self), Arc::clone(&ids));
            let step = cpu.spawn_blocking(move || repeats.step(claim, &ids, looked_up));
            match step.await?? {
                Step::Go(guard, any_late) => break (guard, any_late),
                Step::Wait(again, ended) => {
                    claim = again;
                    ended.cancelled().await;
                }
            }
        };
        if any_late {
            let mut collected = std::mem::replace(files, self.table.data_files());
            let task = cpu.spawn(async move {
                let left_out = collected.leave_out(&self.table, &|ids| self.are_stored(ids)).await;
                (collected, left_out)
            });
            let (collected, left_out) = task.await?;
            *files = collected;
            for (day, rows) in left_out? {
                report.leave_out(day, rows);
            }
        }
        Ok(Some(guard))
    }

    fn step(&self, mut claim: Claim, ids: &SeenSet, looked_up: IndexState) -> Result<Step, LakeError> {
        match self.gate.claim(&mut claim)? {
            Claimed::Wait(ended) => Ok(Step::Wait(claim, ended)),
            // Only now: whoever stored one of them before has ended, so the table tells.
            Claimed::Held(guard) => {
                let any_late = self.gate.any_stored(&self.table, ids, self.now_ms, looked_up)?;
                Ok(Step::Go(guard, any_late))
            }
        }
    }

    fn are_stored(&self, ids: &StringArray) -> Result<BooleanArray, LakeError> {
        let hashes: Vec<IdHash> = ids.iter().map(|id| IdHash::of(id.unwrap_or_default())).collect();
        let (stored, _) = self.gate.are_stored(&self.table, &hashes, self.now_ms)?;
        Ok(BooleanArray::from(stored))
    }
}

impl KnownIds for Repeats {
    fn are_new(&self, ids: &StringArray) -> Result<BooleanArray, Box<dyn Error + Send + Sync>> {
        let brought: Vec<usize> =
            (0..ids.len()).filter(|row| ids.is_valid(*row) && !ids.value(*row).is_empty()).collect();
        let mut new = vec![true; ids.len()];
        if brought.is_empty() {
            return Ok(BooleanArray::from(new));
        }
        let hashes: Vec<IdHash> = brought.iter().map(|row| IdHash::of(ids.value(*row))).collect();
        let (stored, state) = self.gate.are_stored(&self.table, &hashes, self.now_ms)?;
        let mut own = self.own.lock().unwrap_or_else(PoisonError::into_inner);
        own.first_state.get_or_insert(state);
        let mut look = own.ids.look();
        let before: io::Result<Vec<bool>> = hashes.iter().map(|hash| Ok(look.newest(*hash)?.is_some())).collect();
        for ((row, hash), known) in brought.into_iter().zip(hashes).zip(stored.into_iter().zip(before?)) {
            new[row] = known == (false, false) && own.ids.insert(hash, self.now_ms);
        }
        if own.ids.is_full() {
            own.ids.spill(i64::MIN)?;
            own.ids.tidy();
        }
        Ok(BooleanArray::from(new))
    }
}
