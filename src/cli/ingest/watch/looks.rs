//! What earlier looks at a folder have shown: which files stand still, and which wait for a better moment.

use std::collections::HashMap;
use std::ffi::OsString;
use std::time::{Duration, Instant};

use super::inbox::File;

/// Longest time until a file is tried again.
const LONGEST_WAIT: Duration = Duration::from_mins(1);

/// Files by name, as they were last seen.
#[derive(Debug)]
pub(super) struct Looks {
    seen: HashMap<OsString, Seen>,
    shortest_wait: Duration,
}

#[derive(Debug)]
struct Seen {
    file: File,
    put_off: Option<PutOff>,
}

#[derive(Debug, Clone)]
struct PutOff {
    until: Instant,
    wait: Duration,
    reason: String,
}

impl Looks {
    pub(super) fn new(shortest_wait: Duration) -> Self {
        Self { seen: HashMap::new(), shortest_wait }
    }

    /// Of the files that are there now, those that looked the same before and do not wait; oldest first.
    pub(super) fn ready(&mut self, files: Vec<File>, now: Instant) -> Vec<File> {
        let mut before = std::mem::take(&mut self.seen);
        let mut ready = Vec::new();
        for file in files {
            let same = before.remove(&file.name).filter(|seen| seen.file == file);
            let put_off = match same {
                None => None,
                Some(Seen { put_off: Some(put_off), .. }) if put_off.until > now => Some(put_off),
                Some(Seen { put_off, .. }) => {
                    ready.push(file.clone());
                    put_off
                }
            };
            self.seen.insert(file.name.clone(), Seen { file, put_off });
        }
        ready.sort();
        ready
    }

    /// Lets a file wait, twice as long each time; whether the reason is news.
    pub(super) fn put_off(&mut self, file: &File, reason: &str, now: Instant) -> bool {
        let Some(seen) = self.seen.get_mut(&file.name) else { return true };
        let before = seen.put_off.take();
        let wait = before.as_ref().map_or(self.shortest_wait, |before| (before.wait * 2).min(LONGEST_WAIT));
        let is_news = before.is_none_or(|before| before.reason != reason);
        seen.put_off = Some(PutOff { until: now + wait, wait, reason: reason.to_owned() });
        is_news
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;

    fn file(name: &str, bytes: u64, second: u64) -> File {
        File { name: name.into(), bytes, modified: SystemTime::UNIX_EPOCH + Duration::from_secs(second) }
    }

    #[test]
    fn a_file_is_ready_when_it_looks_the_same_twice() {
        let mut looks = Looks::new(Duration::from_secs(1));
        let now = Instant::now();
        assert!(looks.ready(vec![file("a", 1, 5), file("b", 1, 4)], now).is_empty());
        assert_eq!(looks.ready(vec![file("a", 1, 5), file("b", 1, 4)], now), [file("b", 1, 4), file("a", 1, 5)]);
        for grown in [file("a", 2, 5), file("a", 2, 6)] {
            assert!(looks.ready(vec![grown.clone()], now).is_empty(), "{grown:?}");
        }
        assert!(looks.ready(vec![], now).is_empty());
        assert!(looks.ready(vec![file("a", 2, 6)], now).is_empty(), "it was away");
    }

    #[test]
    fn a_file_that_waits_is_tried_less_and_less_often() {
        let second = Duration::from_secs(1);
        let mut looks = Looks::new(second);
        let (a, mut now) = (file("a", 1, 1), Instant::now());
        looks.ready(vec![a.clone()], now);
        let ready = |looks: &mut Looks, now| !looks.ready(vec![a.clone()], now).is_empty();
        assert!(ready(&mut looks, now));
        for (wait, reason, is_news) in [(1, "busy", true), (2, "busy", false), (4, "full", true), (8, "busy", true)] {
            assert_eq!(looks.put_off(&a, reason, now), is_news, "{wait}");
            now += second * wait;
            assert!(!ready(&mut looks, now.checked_sub(second / 2).unwrap()), "{wait}");
            assert!(ready(&mut looks, now), "{wait}");
        }
        for _ in 0..10 {
            looks.put_off(&a, "busy", now);
        }
        assert!(ready(&mut looks, now + LONGEST_WAIT));
        looks.put_off(&a, "busy", now);
        looks.ready(vec![file("a", 2, 1)], now);
        assert_eq!(looks.ready(vec![file("a", 2, 1)], now).len(), 1, "another content does not wait");
    }
}
