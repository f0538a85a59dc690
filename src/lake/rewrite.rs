//! Replacing files of a table by others: how compaction, retention and the erasing of a user commit.
//!
//! The new files are written and durable before; nothing refers to them yet. The table's writer then
//! checks that every file to be replaced is still live and commits removals and additions as one
//! version. The check is ours because the library's is not enough: two rewrites of one file that both
//! say `dataChange=false` would both commit, and every row would be there twice.

use std::collections::HashMap;
use std::sync::Arc;

use deltalake::kernel::transaction::CommitBuilder;
use deltalake::kernel::{Action, Add, Remove};
use deltalake::logstore::LogStoreRef;
use deltalake::protocol::DeltaOperation;
use deltalake::table::state::DeltaTableState;
use tokio::sync::oneshot;

use super::checksums::digest_metadata;
use super::delta::commit_properties;
use super::error::LakeError;
use super::table::bytes_of;
use super::writer::Writer;

/// What a rewrite does to the rows of the files that it replaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rewrite {
    /// The new files hold exactly the rows of the old ones: compaction. Answers stay the same, and
    /// evidence made before stays complete.
    SameRows,
    /// The new files hold some of the rows of the old ones, or there are none: retention, erasing a user.
    LessRows,
}

/// A rewrite that is committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Replaced {
    /// Version of the table without the old and with the new files.
    pub version: u64,
    /// Rows that are gone; none for a rewrite of the same rows.
    pub rows_removed: u64,
    /// Size of the files that are no longer live, in bytes.
    pub bytes_removed: u64,
    /// Size of the files that became live, in bytes.
    pub bytes_added: u64,
}

/// One rewrite on its way to the table's writer.
#[derive(Debug)]
pub(super) struct Replace {
    pub(super) removed: Vec<String>,
    pub(super) added: Vec<Add>,
    pub(super) rewrite: Rewrite,
    pub(super) reply: oneshot::Sender<Result<Replaced, LakeError>>,
}

/// What a commit changed, for those who read.
#[derive(Debug, Default)]
pub(super) struct Removals {
    pub(super) paths: Vec<String>,
    pub(super) bytes: u64,
}

/// The removals of a rewrite, once it is known to be sound.
#[derive(Debug)]
struct Checked {
    actions: Vec<Action>,
    removals: Removals,
    rows_removed: u64,
}

impl Rewrite {
    const fn changes_data(self) -> bool {
        matches!(self, Self::LessRows)
    }

    /// As the log names it.
    fn operation(self) -> DeltaOperation {
        match self {
            Self::SameRows => DeltaOperation::Optimize { predicate: None, target_size: 0 },
            Self::LessRows => DeltaOperation::Delete { predicate: None },
        }
    }
}

impl Writer {
    /// Commits a rewrite. `Err` means that the outcome is unknown and the table must be opened again.
    pub(super) async fn replace(&mut self, job: Replace) -> Result<(), Arc<dyn std::error::Error + Send + Sync>> {
        let Replace { removed, added, rewrite, reply } = job;
        let checked = match self.table.snapshot().map_err(LakeError::from) {
            Ok(state) => check(state, &removed, &added, rewrite),
            Err(error) => Err(error),
        };
        let checked = match checked {
            Ok(checked) => self.folder.all_exist(&added).await.map(|()| checked),
            Err(error) => Err(error),
        };
        let checked = match checked {
            Ok(checked) => checked,
            Err(refusal) => {
                self.folder.delete_uncommitted(&added).await;
                // A receiver that is gone wants no answer.
                let _ = reply.send(Err(refusal));
                return Ok(());
            }
        };
        let Checked { actions, removals, rows_removed } = checked;
        let (bytes_removed, bytes_added) = (removals.bytes, bytes_of(&added));
        match commit(self.table.state.as_ref(), self.table.log_store(), actions, rewrite).await {
            Ok((state, version)) => {
                self.table.state = Some(state);
                let gained = if rewrite.changes_data() { added.as_slice() } else { &[] };
                self.published.publish_rewrite(self.table.clone(), version, gained, &added, &removals);
                let _ = reply.send(Ok(Replaced { version, rows_removed, bytes_removed, bytes_added }));
                self.checkpoint_when_due(version);
                Ok(())
            }
            Err(error) => {
                self.give_up(&added);
                let error: Arc<dyn std::error::Error + Send + Sync> = Arc::new(error);
                let _ = reply.send(Err(LakeError::Interrupted(Box::new(Arc::clone(&error)))));
                Err(error)
            }
        }
    }
}

async fn commit(
    state: Option<&DeltaTableState>,
    log: LogStoreRef,
    actions: Vec<Action>,
    rewrite: Rewrite,
) -> Result<(DeltaTableState, u64), LakeError> {
    let snapshot = state.map(|state| state as &dyn deltalake::kernel::transaction::TableReference);
    let properties = commit_properties().with_metadata(digest_metadata(&actions));
    let finalized =
        CommitBuilder::from(properties).with_actions(actions).build(snapshot, log, rewrite.operation()).await?;
    Ok((finalized.snapshot(), finalized.version()))
}

/// The actions of a rewrite: every removed file must be live, and the numbers of rows must fit.
fn check(state: &DeltaTableState, removed: &[String], added: &[Add], rewrite: Rewrite) -> Result<Checked, LakeError> {
    let mut wanted: HashMap<&str, bool> = removed.iter().map(|path| (path.as_str(), false)).collect();
    if removed.is_empty() || wanted.len() != removed.len() {
        return Err(LakeError::Inconsistent("a rewrite must name the files it removes, each once".to_owned()));
    }
    let mut actions = Vec::with_capacity(removed.len() + added.len());
    let mut removals = Removals::default();
    let mut rows = 0_u64;
    for file in state.log_data().iter() {
        let path = file.path();
        let Some(found) = wanted.get_mut(path.as_ref()) else { continue };
        *found = true;
        let counted = file.num_records().ok_or_else(|| uncounted(&path))?;
        rows += counted as u64;
        removals.bytes += u64::try_from(file.size()).unwrap_or(0);
        removals.paths.push(path.into_owned());
        let action: Remove = file.remove_action(rewrite.changes_data());
        actions.push(Action::Remove(action));
    }
    if let Some((path, _)) = wanted.iter().find(|(_, found)| !**found) {
        return Err(LakeError::Superseded { path: (*path).to_owned() });
    }
    let mut rows_added = 0_u64;
    for add in added {
        rows_added += row_count(add).ok_or_else(|| uncounted(&add.path))?;
        actions.push(Action::Add(Add { data_change: rewrite.changes_data(), ..add.clone() }));
    }
    let fits = match rewrite {
        Rewrite::SameRows => rows_added == rows,
        Rewrite::LessRows => rows_added <= rows,
    };
    if !fits {
        let message = format!("a rewrite would put {rows_added} rows in the place of {rows}; nothing was changed");
        return Err(LakeError::Inconsistent(message));
    }
    Ok(Checked { actions, removals, rows_removed: rows - rows_added })
}

fn uncounted(path: &str) -> LakeError {
    LakeError::Inconsistent(format!("the log does not tell how many rows {path} has"))
}

/// Rows of a file from the statistics of the action that adds it.
fn row_count(add: &Add) -> Option<u64> {
    #[derive(serde::Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Counted {
        num_records: u64,
    }
    serde_json::from_str::<Counted>(add.stats.as_deref()?).ok().map(|counted| counted.num_records)
}
