//! Several sorted lists of ids as one.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;
use std::io;

use super::Entry;
use super::run::Entries;

/// Where entries come from, in ascending order.
pub(super) enum Source {
    Waiting(std::vec::IntoIter<Entry>),
    Run(Entries),
}

impl Source {
    fn next(&mut self) -> io::Result<Option<Entry>> {
        match self {
            Self::Waiting(entries) => Ok(entries.next()),
            Self::Run(entries) => entries.next().transpose(),
        }
    }
}

/// Sorted entries of several sources as one; of equal ids the latest time.
pub(super) struct Merged {
    sources: Vec<Source>,
    heads: BinaryHeap<Reverse<(Entry, usize)>>,
}

impl Merged {
    pub(super) fn new(mut sources: Vec<Source>) -> io::Result<Self> {
        let mut heads = BinaryHeap::new();
        for (at, source) in sources.iter_mut().enumerate() {
            heads.extend(source.next()?.map(|entry| Reverse((entry, at))));
        }
        Ok(Self { sources, heads })
    }

    fn pop(&mut self) -> io::Result<Option<Entry>> {
        let Some(mut head) = self.heads.peek_mut() else { return Ok(None) };
        let Reverse((entry, at)) = *head;
        match self.sources[at].next()? {
            // In place, which costs half of a removal and an insertion.
            Some(next) => *head = Reverse((next, at)),
            None => drop(PeekMut::pop(head)),
        }
        Ok(Some(entry))
    }
}

impl Iterator for Merged {
    type Item = io::Result<Entry>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut entry = match self.pop() {
            Ok(entry) => entry?,
            Err(error) => return Some(Err(error)),
        };
        while self.heads.peek().is_some_and(|Reverse((next, _))| next.0 == entry.0) {
            match self.pop() {
                // Ascending by time too, so the last one is the latest.
                Ok(Some(later)) => entry = later,
                Ok(None) => break,
                Err(error) => return Some(Err(error)),
            }
        }
        Some(Ok(entry))
    }
}
