//! Files: names and paths nearly unique, sizes log-normal.

use super::whole;
use crate::generate::random::Random;

const SUBJECTS: [&str; 16] = [
    "budget",
    "contract",
    "roadmap",
    "invoice",
    "forecast",
    "design",
    "minutes",
    "offer",
    "payroll",
    "review",
    "pricing",
    "customer list",
    "audit",
    "training",
    "launch plan",
    "org chart",
];

const FOLDERS: [&str; 8] = [
    "/Finance",
    "/Legal/Contracts",
    "/Sales/Accounts",
    "/Engineering/Specs",
    "/People",
    "/Marketing/Launch",
    "/Board",
    "/Projects/2026",
];

const TYPES: [&str; 6] = ["xlsx", "docx", "pdf", "pptx", "csv", "zip"];

/// Share of files that are empty.
const EMPTY: f64 = 0.24;
/// Median of the others' sizes, bytes.
const MEDIAN_BYTES: f64 = 100_000.0;
/// Sigma of the logarithm of their sizes: the 99th percentile of all files is then 1 GB.
const SIGMA: f64 = 4.14;
/// Nothing is larger than 1 TB.
const MAX_BYTES: f64 = 1e12;

/// A file, derived from a number: the same number is the same file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::generate) struct File {
    pub(in crate::generate) folder: &'static str,
    /// Number of the project within the folder.
    pub(in crate::generate) project: u64,
    pub(in crate::generate) subject: &'static str,
    /// Number in the name.
    pub(in crate::generate) number: u64,
    pub(in crate::generate) kind: &'static str,
    /// Bytes.
    pub(in crate::generate) size: i64,
    /// A number to choose its owner by.
    pub(in crate::generate) owner: u64,
}

/// The file with this number.
pub(in crate::generate) fn file(number: u64) -> File {
    let mut random = Random::of_part(number, &[]);
    let bits = random.next();
    let pick =
        |values: &'static [&'static str], bits: u64| values[usize::try_from(bits % 64).unwrap_or(0) % values.len()];
    let size = if random.chance(EMPTY) { 0.0 } else { random.log_normal(MEDIAN_BYTES, SIGMA) };
    File {
        folder: pick(&FOLDERS, bits),
        subject: pick(&SUBJECTS, bits >> 6),
        kind: pick(&TYPES, bits >> 12),
        project: random.below(1_000_000),
        number: random.below(1_000_000_000),
        size: whole(size.min(MAX_BYTES)),
        owner: bits >> 18,
    }
}

impl File {
    /// Writes the folder's path over `text`.
    pub(in crate::generate) fn write_folder(&self, text: &mut String) {
        text.clear();
        text.push_str(self.folder);
        text.push_str("/project ");
        text.push_str(itoa::Buffer::new().format(self.project));
    }

    /// Writes the file's name over `text`.
    pub(in crate::generate) fn write_name(&self, text: &mut String) {
        text.clear();
        text.push_str(self.subject);
        text.push(' ');
        text.push_str(itoa::Buffer::new().format(self.number));
        text.push('.');
        text.push_str(self.kind);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_the_published_percentiles() {
        let mut sizes: Vec<i64> = (0..100_000).map(|n| file(n).size).collect();
        sizes.sort_unstable();
        let empty = sizes.iter().filter(|size| **size == 0).count();
        assert!((23_000..25_500).contains(&empty), "{empty}");
        let median = sizes[empty + (sizes.len() - empty) / 2];
        assert!((85_000..115_000).contains(&median), "{median}");
        assert!((700_000_000..1_400_000_000).contains(&sizes[99_000]), "{}", sizes[99_000]);
    }
}
