//! What a process uses, as the system counts it (Linux).

use std::path::PathBuf;
use std::time::Duration;

/// Unit of the times in `/proc`; the same on every Linux.
const TICKS_PER_SECOND: u64 = 100;

/// A process.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Usage(u32);

impl Usage {
    pub(crate) const fn of(pid: u32) -> Self {
        Self(pid)
    }

    fn folder(self) -> PathBuf {
        PathBuf::from(format!("/proc/{}", self.0))
    }

    /// Resident memory in bytes.
    pub(crate) fn resident_bytes(self) -> u64 {
        self.status_bytes("VmRSS:")
    }

    /// Most resident memory in bytes since the start or [`Usage::reset_peak`].
    pub(crate) fn peak_bytes(self) -> u64 {
        self.status_bytes("VmHWM:")
    }

    /// Begins to look for the most resident memory anew.
    pub(crate) fn reset_peak(self) {
        std::fs::write(self.folder().join("clear_refs"), "5").unwrap();
    }

    fn status_bytes(self, name: &str) -> u64 {
        let status = std::fs::read_to_string(self.folder().join("status")).unwrap();
        let kib = status.lines().find_map(|line| line.strip_prefix(name)?.trim().strip_suffix(" kB"));
        kib.unwrap().parse::<u64>().unwrap() * 1024
    }

    /// Open file descriptors.
    pub(crate) fn open_files(self) -> usize {
        std::fs::read_dir(self.folder().join("fd")).unwrap().count()
    }

    /// Processor time so far, of all threads.
    pub(crate) fn cpu_time(self) -> Duration {
        let stat = std::fs::read_to_string(self.folder().join("stat")).unwrap();
        // The name in parentheses may hold spaces; user and system time are the 12th and 13th field after it.
        let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
        let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
        Duration::from_millis(ticks * 1000 / TICKS_PER_SECOND)
    }
}
