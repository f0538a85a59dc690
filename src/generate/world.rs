//! The world of the generated company: places, networks, services, devices, words.
//!
//! Addresses and autonomous systems come from the ranges reserved for documentation and benchmarks
//! (RFC 2544, RFC 3849, RFC 5398, RFC 5737), so that no real network is accused of anything.

use super::random::Random;

/// Domain of the company.
pub(super) const DOMAIN: &str = "acme.example";

/// Domains of those it works with.
pub(super) const PARTNERS: [&str; 4] = ["partner.example", "agency.example", "supplier.example", "audit.example"];

/// A place on the map.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) city: &'static str,
    pub(super) region: &'static str,
    pub(super) country: &'static str,
    /// Offset of its clock from UTC, in hours.
    pub(super) utc_hours: i64,
}

const fn place(city: &'static str, region: &'static str, country: &'static str, utc_hours: i64) -> Place {
    Place { city, region, country, utc_hours }
}

/// Where people of the company live, with the number of people in ten.
pub(super) const HOMES: [(Place, u32); 5] = [
    (place("portland", "or", "US", -8), 3),
    (place("san francisco", "ca", "US", -8), 2),
    (place("austin", "tx", "US", -6), 2),
    (place("dublin", "leinster", "IE", 0), 2),
    (place("berlin", "be", "DE", 1), 1),
];

/// Where nobody of the company lives.
pub(super) const FAR_AWAY: Place = place("singapore", "central singapore", "SG", 8);

/// A way into the internet.
#[derive(Debug, Clone, Copy)]
pub(super) struct Network {
    pub(super) asn: i64,
    pub(super) owner: &'static str,
    pub(super) kind: &'static str,
    pub(super) trusted: bool,
    pub(super) proxy: Option<(&'static str, &'static str)>,
}

const fn network(asn: i64, owner: &'static str, kind: &'static str) -> Network {
    Network { asn, owner, kind, trusted: false, proxy: None }
}

/// Networks of homes and phones.
pub(super) const PRIVATE_NETWORKS: [Network; 5] = [
    network(64_496, "cascadia fiber", "broadband"),
    network(64_497, "golden coast cable", "broadband"),
    network(64_498, "lone star telecom", "broadband"),
    network(64_499, "island broadband", "broadband"),
    network(64_500, "roam mobile", "cellular"),
];

/// The company's own network.
pub(super) const OFFICE: Network =
    Network { asn: 64_501, owner: "acme corporation", kind: "corporate", trusted: true, proxy: None };

/// A data centre where the company's service accounts run.
pub(super) const CLOUD: Network = Network {
    asn: 64_502,
    owner: "example cloud hosting",
    kind: "hosting",
    trusted: true,
    proxy: Some(("cloud", "hosting")),
};

/// An anonymous hosting network.
pub(super) const ANONYMOUS: Network = Network {
    asn: 64_510,
    owner: "anywhere vpn services",
    kind: "hosting",
    trusted: false,
    proxy: Some(("vpn", "anonymous")),
};

/// A device and what runs on it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Device {
    pub(super) category: &'static str,
    pub(super) client: &'static str,
    pub(super) os: &'static str,
    pub(super) managed: bool,
}

const fn device(category: &'static str, client: &'static str, os: &'static str, managed: bool) -> Device {
    Device { category, client, os, managed }
}

/// Devices of people; the first four belong to the company.
pub(super) const DEVICES: [Device; 6] = [
    device("Desktop", "Chrome", "Windows 11", true),
    device("Desktop", "Edge", "Windows 11", true),
    device("Desktop", "Safari", "macOS 26", true),
    device("Desktop", "Chrome", "macOS 26", true),
    device("Mobile", "Mobile Safari", "iOS 26", false),
    device("Mobile", "Chrome Mobile", "Android 16", false),
];

/// A private computer.
pub(super) const PRIVATE_COMPUTER: Device = device("Desktop", "Firefox", "Windows 10", false);

/// What service accounts run on.
pub(super) const SERVER: Device = device("Server", "sync-agent/4.2", "Linux", true);

/// What an action does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Effect {
    SignIn,
    SignInFailed,
    Read,
    Download,
    Upload,
    Update,
    Share,
    Delete,
    Administer,
}

/// An action of a service; out of all its actions' weights, how often it happens.
#[derive(Debug)]
pub(super) struct Action {
    pub(super) name: &'static str,
    pub(super) effect: Effect,
    pub(super) weight: u32,
}

const fn action(name: &'static str, effect: Effect, weight: u32) -> Action {
    Action { name, effect, weight }
}

/// A cloud service of the company.
#[derive(Debug)]
pub(super) struct Service {
    pub(super) name: &'static str,
    pub(super) csp_id: i64,
    pub(super) instance_id: i64,
    pub(super) site: &'static str,
    pub(super) target_type: &'static str,
    /// Its objects are files with names and sizes.
    pub(super) files: bool,
    pub(super) actions: &'static [Action],
    /// Share of the people's work.
    pub(super) weight: u32,
}

/// Name of the action of a file's download.
pub(super) const FILE_DOWNLOAD: &str = "FILE_DOWNLOAD";

/// Position of the file service.
pub(super) const FILE_SERVICE: usize = 0;

/// Position of the mail service.
pub(super) const MAIL_SERVICE: usize = 1;

/// The company's services. Reads are about four in five.
pub(super) const SERVICES: [Service; 5] = [
    Service {
        name: "Box",
        csp_id: 4080,
        instance_id: 11_253,
        site: "https://acme.box.example",
        target_type: "FILE",
        files: true,
        weight: 34,
        actions: &[
            action("FILE_PREVIEW", Effect::Read, 400),
            action("FOLDER_LIST", Effect::Read, 260),
            action("FILE_SEARCH", Effect::Read, 120),
            action(FILE_DOWNLOAD, Effect::Download, 60),
            action("FILE_UPLOAD", Effect::Upload, 55),
            action("FILE_EDIT", Effect::Update, 45),
            action("FILE_RENAME", Effect::Update, 12),
            action("FILE_DELETE", Effect::Delete, 12),
            action("COLLABORATION_INVITE", Effect::Share, 9),
            action("SHARED_LINK_CREATE", Effect::Share, 7),
            action("USER_AUTHENTICATE_OAUTH2_ACCESS_TOKEN_CREATE", Effect::SignIn, 20),
        ],
    },
    Service {
        name: "Example Mail",
        csp_id: 4101,
        instance_id: 11_260,
        site: "https://mail.acme.example",
        target_type: "MESSAGE",
        files: false,
        weight: 30,
        actions: &[
            action("MailItemsAccessed", Effect::Read, 700),
            action("SearchQueryPerformed", Effect::Read, 60),
            action("Send", Effect::Update, 130),
            action("MoveToDeletedItems", Effect::Delete, 60),
            action("AttachmentDownloaded", Effect::Download, 25),
            action("New-InboxRule", Effect::Administer, 1),
            action("UserLoggedIn", Effect::SignIn, 24),
        ],
    },
    Service {
        name: "Example CRM",
        csp_id: 4117,
        instance_id: 11_301,
        site: "https://acme.crm.example",
        target_type: "RECORD",
        files: false,
        weight: 16,
        actions: &[
            action("RecordView", Effect::Read, 600),
            action("ListView", Effect::Read, 200),
            action("ReportRun", Effect::Read, 50),
            action("RecordUpdate", Effect::Update, 100),
            action("ReportExport", Effect::Download, 10),
            action("Login", Effect::SignIn, 40),
        ],
    },
    Service {
        name: "Example Code",
        csp_id: 4160,
        instance_id: 11_340,
        site: "https://code.acme.example",
        target_type: "REPOSITORY",
        files: false,
        weight: 14,
        actions: &[
            action("git.fetch", Effect::Read, 620),
            action("pull_request.view", Effect::Read, 180),
            action("git.push", Effect::Upload, 110),
            action("git.clone", Effect::Download, 30),
            action("pull_request.merge", Effect::Update, 40),
            action("repo.add_member", Effect::Administer, 3),
            action("user.login", Effect::SignIn, 17),
        ],
    },
    Service {
        name: "Example Chat",
        csp_id: 4188,
        instance_id: 11_377,
        site: "https://acme.chat.example",
        target_type: "CHANNEL",
        files: false,
        weight: 6,
        actions: &[
            action("channel_read", Effect::Read, 800),
            action("message_post", Effect::Update, 150),
            action("file_shared", Effect::Share, 20),
            action("user_login", Effect::SignIn, 30),
        ],
    },
];

/// First names of people.
pub(super) const FIRST_NAMES: [&str; 20] = [
    "ada", "ben", "chen", "dana", "emil", "fatima", "goran", "hana", "ivan", "julia", "kofi", "lena", "mateo", "nadia",
    "omar", "priya", "quinn", "rosa", "sven", "tara",
];

/// Last names of people.
pub(super) const LAST_NAMES: [&str; 16] = [
    "adler", "brooks", "costa", "dietz", "evans", "fischer", "garcia", "huang", "ito", "jansen", "kumar", "lopez",
    "moreau", "novak", "okafor", "silva",
];

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

const FILE_TYPES: [&str; 6] = ["xlsx", "docx", "pdf", "pptx", "csv", "zip"];

/// A file; names are nearly unique.
#[derive(Debug)]
pub(super) struct NamedFile {
    pub(super) folder: &'static str,
    pub(super) name: String,
    pub(super) kind: &'static str,
    pub(super) size: i64,
}

/// A file as people have them: sizes log-normal around 100 kB, one in twenty empty.
pub(super) fn file(random: &mut Random) -> NamedFile {
    let kind = *random.pick(&FILE_TYPES);
    let name = format!("{} {:04}.{kind}", random.pick(&SUBJECTS), random.below(10_000));
    let size = if random.chance(0.05) { 0.0 } else { random.log_normal(100_000.0, 2.0) };
    let folder = *random.pick(&FOLDERS);
    NamedFile { folder, name, kind, size: whole(size.min(2e9)) }
}

/// A number of bytes, ms or events out of a drawn one.
#[expect(clippy::cast_possible_truncation, reason = "draws are bounded far below")]
pub(super) fn whole(drawn: f64) -> i64 {
    drawn as i64
}
