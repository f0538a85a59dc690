//! A table's state from its log, read by means of our own, so that a fault of the library or of its memory shows.

use std::collections::BTreeMap;

use deltalake::kernel::{Action, Add};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::lake::checksums::{ACTIONS_FIELD, actions_digest};
use crate::lake::delta::INGEST_APP;

/// State of a table at one version.
#[derive(Debug, Clone, Default)]
pub struct State {
    /// Files that hold its rows, by path below the table's folder.
    pub live: BTreeMap<String, Add>,
    /// Files that were removed and may still be there.
    pub removed: BTreeMap<String, i64>,
    /// Number of the last ingest group; 0 before the first.
    pub last_group: i64,
}

/// One entry of the log.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    /// What it changes.
    pub(super) actions: Vec<Action>,
    /// Why it is not the entry that was committed, where that can be told.
    pub(super) changed: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Line<'a> {
    #[serde(borrow)]
    commit_info: Option<&'a RawValue>,
}

/// Reads an entry.
///
/// # Errors
/// The number of the line that is no action, and why.
pub(super) fn read_entry(bytes: &[u8]) -> Result<Entry, String> {
    let mut actions = Vec::new();
    let mut commit_info = None;
    for (n, line) in bytes.split(|b| *b == b'\n').enumerate().filter(|(_, line)| !line.is_empty()) {
        let bad = |error: serde_json::Error| format!("line {}: {error}", n + 1);
        match serde_json::from_slice::<Line<'_>>(line).map_err(bad)?.commit_info {
            Some(info) => commit_info = Some(serde_json::from_str::<serde_json::Value>(info.get()).map_err(bad)?),
            None => actions.push(serde_json::from_slice(line).map_err(bad)?),
        }
    }
    let changed = match commit_info {
        // Every commit has one, those of other writers too; a text that ends early may lack it.
        None => Some("it has no commitInfo".to_owned()),
        Some(info) => match info.get(ACTIONS_FIELD).and_then(|digest| digest.as_str()) {
            Some(digest) if digest != actions_digest(&actions) => {
                Some("its actions are not those that it was committed with".to_owned())
            }
            _ => None,
        },
    };
    Ok(Entry { actions, changed })
}

impl State {
    /// Applies an entry.
    pub fn apply(&mut self, actions: impl IntoIterator<Item = Action>) {
        // Removed before added, whatever the order of the lines: the protocol gives it no meaning.
        let (removes, rest): (Vec<_>, Vec<_>) =
            actions.into_iter().partition(|action| matches!(action, Action::Remove(_)));
        for action in removes.into_iter().chain(rest) {
            match action {
                Action::Remove(remove) => {
                    self.live.remove(&remove.path);
                    self.removed.insert(remove.path, remove.deletion_timestamp.unwrap_or(0));
                }
                Action::Add(add) => {
                    self.removed.remove(&add.path);
                    self.live.insert(add.path.clone(), add);
                }
                Action::Txn(txn) if txn.app_id == INGEST_APP => self.last_group = txn.version,
                _ => {}
            }
        }
    }

    /// What differs in another state that should be the same: the first few differences in words.
    #[must_use]
    pub fn differences(&self, other: &Self) -> Vec<String> {
        let mut found = Vec::new();
        for (path, add) in &self.live {
            match other.live.get(path) {
                None => found.push(format!("{path} is missing")),
                Some(theirs) if theirs.size != add.size => {
                    found.push(format!("{path} has {} bytes instead of {}", theirs.size, add.size));
                }
                Some(_) => {}
            }
        }
        found.extend(other.live.keys().filter(|path| !self.live.contains_key(*path)).map(|p| format!("{p} is added")));
        if self.last_group != other.last_group {
            found.push(format!("the last group is {} instead of {}", other.last_group, self.last_group));
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use deltalake::kernel::{Remove, Transaction};

    use super::*;

    fn add(path: &str, size: i64) -> Action {
        Action::Add(Add { path: path.to_owned(), size, ..Add::default() })
    }

    fn remove(path: &str) -> Action {
        Action::Remove(Remove { path: path.to_owned(), deletion_timestamp: Some(5), ..Remove::default() })
    }

    #[test]
    fn the_order_of_lines_does_not_matter() {
        let mut state = State::default();
        state.apply([add("a", 1), add("b", 1), Action::Txn(Transaction::new(INGEST_APP, 1))]);
        state.apply([add("c", 2), remove("a"), remove("b"), Action::Txn(Transaction::new("other", 9))]);
        assert_eq!(state.live.keys().collect::<Vec<_>>(), ["c"]);
        assert_eq!((state.removed.len(), state.last_group), (2, 1));
        let mut other = state.clone();
        assert!(state.differences(&other).is_empty());
        other.apply([remove("c"), add("d", 1), Action::Txn(Transaction::new(INGEST_APP, 2))]);
        assert_eq!(state.differences(&other).len(), 3);
    }

    #[test]
    fn an_entry_is_known_by_its_digest() {
        let actions = [add("a", 1), Action::Txn(Transaction::new(INGEST_APP, 1))];
        let digest = actions_digest(&actions);
        let line = |action: &Action| serde_json::to_string(action).unwrap();
        let info = format!(r#"{{"commitInfo":{{"timestamp":1,"{ACTIONS_FIELD}":"{digest}"}}}}"#);
        let whole = format!("{info}\n{}\n{}\n", line(&actions[0]), line(&actions[1]));
        let entry = read_entry(whole.as_bytes()).unwrap();
        assert_eq!((entry.actions.len(), entry.changed), (2, None));
        let larger = whole.replace("\"size\":1", "\"size\":2");
        assert!(read_entry(larger.as_bytes()).unwrap().changed.is_some());
        let shorter = format!("{info}\n{}\n", line(&actions[0]));
        assert!(read_entry(shorter.as_bytes()).unwrap().changed.is_some());
        assert!(read_entry(line(&actions[0]).as_bytes()).unwrap().changed.is_some(), "no commitInfo");
        assert!(read_entry(&whole.as_bytes()[..whole.len() - 5]).unwrap_err().starts_with("line 3: "));
        let older = "{\"commitInfo\":{\"timestamp\":1}}\n";
        assert!(read_entry(older.as_bytes()).unwrap().changed.is_none(), "a commit of an earlier version");
    }
}
