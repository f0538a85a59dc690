//! What the clients sent and were answered, and what must therefore be found.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;
use serde_json::json;

use crate::support::DAY_MS;
use crate::support::records::{Seeded, ndjson};

/// One request as its client knows it.
#[derive(Debug, Clone)]
pub(super) struct Sent {
    pub(super) key: String,
    pub(super) user: String,
    pub(super) names: Vec<String>,
    pub(super) body: String,
    /// The first good answer.
    pub(super) answer: Option<Bytes>,
    in_flight: bool,
}

/// The row of a day that was stored long ago, and goes when the tenant's retention gets short enough.
#[derive(Debug, Clone)]
pub(super) struct Old {
    pub(super) name: String,
    pub(super) age_days: i64,
}

/// An anomaly of a user that was acknowledged.
#[derive(Debug, Clone)]
pub(super) struct Anomaly {
    pub(super) id: i64,
    pub(super) user: String,
}

#[derive(Debug, Default)]
pub(super) struct Books {
    pub(super) sent: Vec<Sent>,
    pub(super) anomalies: Vec<Anomaly>,
    pub(super) old: Vec<Old>,
    /// The shortest that the tenant has been told to keep activities.
    pub(super) retention_days: i64,
    pub(super) exports: u64,
    pub(super) refused: u64,
    pub(super) upkeep: u64,
    pub(super) violations: Vec<String>,
}

/// Shared by all clients.
#[derive(Debug, Clone)]
pub(super) struct Ledger {
    books: Arc<Mutex<Books>>,
    now_ms: i64,
}

/// Rows that broke the promise.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Damage {
    /// Acknowledged and not there.
    pub(crate) lost: usize,
    /// There more than once.
    pub(crate) duplicated: usize,
    /// Of requests of which some rows are there and some are not.
    pub(crate) torn: usize,
    /// Sent by nobody.
    pub(crate) unknown: usize,
}

impl Ledger {
    pub(super) fn new(now_ms: i64) -> Self {
        Self { books: Arc::default(), now_ms }
    }

    pub(super) fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap()
    }

    pub(super) fn answered(&self) -> usize {
        self.books().sent.iter().filter(|sent| sent.answer.is_some()).count()
    }

    /// The next request of a client: one that has no answer yet, or a new one.
    pub(super) fn begin(&self, chance: &mut Seeded) -> (usize, Sent) {
        let mut books = self.books();
        let open: Vec<_> =
            (0..books.sent.len()).filter(|n| books.sent[*n].answer.is_none() && !books.sent[*n].in_flight).collect();
        let number = if !open.is_empty() && chance.below(2) == 0 {
            open[usize::try_from(chance.below(open.len() as u64)).unwrap()]
        } else {
            let sent = self.make(books.sent.len(), chance);
            books.sent.push(sent);
            books.sent.len() - 1
        };
        books.sent[number].in_flight = true;
        (number, books.sent[number].clone())
    }

    fn make(&self, number: usize, chance: &mut Seeded) -> Sent {
        let user = format!("user-{}", chance.below(8));
        let names: Vec<String> = (0..=chance.below(6)).map(|row| format!("{number}-{row}")).collect();
        let time = self.now_ms - i64::try_from(chance.below(3)).unwrap() * DAY_MS;
        let record = |name: &String| json!({ "timeStamp": time, "user": user, "fileName": name, "activityId": name, "city": "x".repeat(200) });
        let body = ndjson(&names.iter().map(record).collect::<Vec<_>>());
        Sent { key: format!("key-{number}"), user, names, body, answer: None, in_flight: false }
    }

    /// A request got this answer, or none.
    pub(super) fn finish(&self, number: usize, answer: Option<Bytes>) {
        let mut books = self.books();
        let sent = &mut books.sent[number];
        sent.in_flight = false;
        if answer.is_some() {
            sent.answer = answer;
        }
    }

    /// Notes something that must not be.
    pub(super) fn accuse(&self, what: String) {
        self.books().violations.push(what);
    }

    /// Rows of days that retention has dropped so far.
    pub(super) fn dropped(&self, stored: &BTreeMap<String, usize>) -> usize {
        self.books().old.iter().filter(|old| !stored.contains_key(&old.name)).count()
    }

    /// All clients are gone; tells how many requests wait for an answer.
    pub(super) fn settle(&self) -> usize {
        let mut books = self.books();
        books.sent.iter_mut().for_each(|sent| sent.in_flight = false);
        books.sent.iter().filter(|sent| sent.answer.is_none()).count()
    }

    /// Compares what is stored with what was answered.
    pub(super) fn compare(&self, stored: &BTreeMap<String, usize>) -> Damage {
        let mut damage = Damage::default();
        let mut known = 0;
        let books = self.books();
        for sent in &books.sent {
            let counts: Vec<usize> = sent.names.iter().map(|name| stored.get(name).copied().unwrap_or(0)).collect();
            known += counts.iter().filter(|count| **count > 0).count();
            let absent = counts.iter().filter(|count| **count == 0).count();
            damage.duplicated += counts.iter().filter(|count| **count > 1).count();
            if absent > 0 {
                match sent.answer {
                    Some(_) => damage.lost += absent,
                    None if absent < counts.len() => damage.torn += absent,
                    None => {}
                }
            }
        }
        for old in &books.old {
            let count = stored.get(&old.name).copied().unwrap_or(0);
            known += usize::from(count > 0);
            damage.duplicated += usize::from(count > 1);
            // A day more: it counts from the end of its day.
            damage.lost += usize::from(count == 0 && old.age_days + 1 < books.retention_days);
        }
        damage.unknown = stored.len() - known;
        damage
    }

    /// Names of a user's rows among those stored.
    pub(super) fn of_user<'s>(&self, stored: &'s BTreeMap<String, usize>, user: &str) -> Vec<&'s str> {
        let books = self.books();
        let names = books.sent.iter().filter(|sent| sent.user == user).flat_map(|sent| &sent.names);
        let mut found: Vec<&str> = names.filter_map(|name| Some(stored.get_key_value(name)?.0.as_str())).collect();
        found.sort_unstable();
        found
    }
}
