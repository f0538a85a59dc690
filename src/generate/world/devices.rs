//! Devices and what runs on them.

/// A device and what runs on it.
#[derive(Debug, Clone)]
pub(in crate::generate) struct Device {
    pub(in crate::generate) category: &'static str,
    pub(in crate::generate) client: String,
    pub(in crate::generate) os: &'static str,
    pub(in crate::generate) managed: bool,
}

/// Computers of the company: the first ones.
pub(in crate::generate) const DESKTOPS: u16 = 4;
/// Phones of people: the ones from [`DESKTOPS`] to here.
pub(in crate::generate) const PHONES: u16 = 6;
/// A private computer.
pub(in crate::generate) const PRIVATE_COMPUTER: u16 = 6;
/// What service accounts run on.
pub(in crate::generate) const SERVER: u16 = 7;
/// A drive that is carried out of the house.
pub(in crate::generate) const REMOVABLE_DRIVE: u16 = 8;

const WRITTEN: [(&str, &str, &str, bool); 9] = [
    ("Desktop", "Chrome", "Windows 11", true),
    ("Desktop", "Edge", "Windows 11", true),
    ("Desktop", "Safari", "macOS 26", true),
    ("Desktop", "Chrome", "macOS 26", true),
    ("Mobile", "Mobile Safari", "iOS 26", false),
    ("Mobile", "Chrome Mobile", "Android 16", false),
    ("Desktop", "Firefox", "Windows 10", false),
    ("Server", "sync-agent/4.2", "Linux", true),
    ("Desktop", "Removable Drive", "Windows 11", false),
];

const FAMILIES: [(&str, &str, &str, bool); 6] = [
    ("Desktop", "Chrome", "Windows 11", true),
    ("Desktop", "Edge", "Windows 11", true),
    ("Desktop", "Firefox", "Linux", true),
    ("Desktop", "OneDrive Sync", "macOS 26", true),
    ("Mobile", "Outlook Mobile", "iOS 26", false),
    ("Tablet", "Acme App", "Android 16", false),
];

/// All devices; about 200 clients with their versions.
pub(super) fn devices() -> Vec<Device> {
    let written = WRITTEN.into_iter().map(|(category, client, os, managed)| Device {
        category,
        client: client.to_owned(),
        os,
        managed,
    });
    let versions = (0..32).flat_map(|version| {
        FAMILIES.into_iter().map(move |(category, client, os, managed)| Device {
            category,
            client: format!("{client} {}", 110 + version),
            os,
            managed,
        })
    });
    written.chain(versions).collect()
}
