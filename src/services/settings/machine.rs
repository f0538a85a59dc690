//! What the machine has, for defaults.

use std::sync::LazyLock;

/// Memory that this process may use, in bytes: that of the machine, or of its control group where that is less. None where
/// the system does not tell.
pub(super) fn memory_bytes() -> Option<u64> {
    static BYTES: LazyLock<Option<u64>> = LazyLock::new(|| {
        let machine = total(&read("/proc/meminfo")?);
        let group = read("/sys/fs/cgroup/memory.max").and_then(|text| text.trim().parse().ok());
        machine.into_iter().chain(group).min()
    });
    *BYTES
}

fn read(path: &str) -> Option<String> {
    std::fs::read_to_string(path).ok()
}

/// `MemTotal` of `/proc/meminfo`, in bytes.
fn total(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_total_is_found_among_other_lines() {
        assert_eq!(total("MemFree:  1 kB\nMemTotal:       24614456 kB\n"), Some(24_614_456 << 10));
        assert_eq!(total("MemTotal: much"), None);
        assert_eq!(total(""), None);
    }
}
