//! Cloud services and their actions.

use super::id16;

/// What an action does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::generate) enum Effect {
    SignIn,
    Failed,
    Read,
    Download,
    Upload,
    Update,
    Share,
    Delete,
    Administer,
}

impl Effect {
    pub(in crate::generate) const fn method(self) -> &'static str {
        match self {
            Self::Read | Self::Download => "GET",
            Self::SignIn | Self::Failed | Self::Upload | Self::Share | Self::Administer => "POST",
            Self::Update => "PUT",
            Self::Delete => "DELETE",
        }
    }
}

/// An action of a service.
#[derive(Debug, Clone)]
pub(in crate::generate) struct Action {
    pub(in crate::generate) name: String,
    pub(in crate::generate) service: u16,
    pub(in crate::generate) effect: Effect,
    /// The action that stands for its failing.
    pub(in crate::generate) failed: u16,
    /// It is on a folder, not on a file.
    pub(in crate::generate) folder: bool,
    /// How often it happens in the demo; 0 for those that are not written by hand.
    pub(in crate::generate) weight: u32,
}

/// A cloud service.
#[derive(Debug, Clone)]
pub(in crate::generate) struct Service {
    pub(in crate::generate) name: String,
    pub(in crate::generate) csp_id: i64,
    pub(in crate::generate) instance_id: i64,
    pub(in crate::generate) site: String,
    pub(in crate::generate) target_type: &'static str,
    /// The first part of an object's URL.
    pub(in crate::generate) url: String,
    /// Its objects are files with names and sizes.
    pub(in crate::generate) files: bool,
    /// Its actions begin here, the most frequent first.
    pub(in crate::generate) first_action: u16,
}

/// Services that people use.
pub(in crate::generate) const SERVICES: usize = 60;
/// Further services, which only an attacker opens.
pub(in crate::generate) const APPS: usize = 80;
/// Actions of each service, without those that stand for failing.
pub(in crate::generate) const ACTIONS_PER_SERVICE: u16 = 120;
/// Position of the file service.
pub(in crate::generate) const FILE_SERVICE: usize = 0;
/// Position of the mail service.
pub(in crate::generate) const MAIL_SERVICE: usize = 1;

type Written =
    (&'static str, i64, i64, &'static str, &'static str, u32, &'static str, &'static [(&'static str, Effect, u32)]);

/// Services of the demo: name, ids, site, kind of object, weight, the name of a failed sign-in, actions. Reads are about
/// four in five.
const WRITTEN: [Written; WRITTEN_SERVICES] = [
    (
        "Box",
        4080,
        11_253,
        "https://acme.box.example",
        "FILE",
        34,
        "LOGIN_FAILED",
        &[
            ("FILE_PREVIEW", Effect::Read, 400),
            ("FOLDER_LIST", Effect::Read, 260),
            ("FILE_SEARCH", Effect::Read, 120),
            ("FILE_DOWNLOAD", Effect::Download, 60),
            ("FILE_UPLOAD", Effect::Upload, 55),
            ("FILE_EDIT", Effect::Update, 45),
            ("FILE_RENAME", Effect::Update, 12),
            ("FILE_DELETE", Effect::Delete, 12),
            ("COLLABORATION_INVITE", Effect::Share, 9),
            ("SHARED_LINK_CREATE", Effect::Share, 7),
            ("USER_AUTHENTICATE_OAUTH2_ACCESS_TOKEN_CREATE", Effect::SignIn, 20),
        ],
    ),
    (
        "Example Mail",
        4101,
        11_260,
        "https://mail.acme.example",
        "MESSAGE",
        30,
        "UserLoginFailed",
        &[
            ("MailItemsAccessed", Effect::Read, 700),
            ("SearchQueryPerformed", Effect::Read, 60),
            ("Send", Effect::Update, 130),
            ("MoveToDeletedItems", Effect::Delete, 60),
            ("AttachmentDownloaded", Effect::Download, 25),
            ("New-InboxRule", Effect::Administer, 1),
            ("UserLoggedIn", Effect::SignIn, 24),
        ],
    ),
    (
        "Example CRM",
        4117,
        11_301,
        "https://acme.crm.example",
        "RECORD",
        16,
        "LoginFailed",
        &[
            ("RecordView", Effect::Read, 600),
            ("ListView", Effect::Read, 200),
            ("ReportRun", Effect::Read, 50),
            ("RecordUpdate", Effect::Update, 100),
            ("ReportExport", Effect::Download, 10),
            ("Login", Effect::SignIn, 40),
        ],
    ),
    (
        "Example Code",
        4160,
        11_340,
        "https://code.acme.example",
        "REPOSITORY",
        14,
        "user.login_failed",
        &[
            ("git.fetch", Effect::Read, 620),
            ("pull_request.view", Effect::Read, 180),
            ("git.push", Effect::Upload, 110),
            ("git.clone", Effect::Download, 30),
            ("pull_request.merge", Effect::Update, 40),
            ("repo.add_member", Effect::Administer, 3),
            ("user.login", Effect::SignIn, 17),
        ],
    ),
    (
        "Example Chat",
        4188,
        11_377,
        "https://acme.chat.example",
        "CHANNEL",
        6,
        "user_login_failed",
        &[
            ("channel_read", Effect::Read, 800),
            ("message_post", Effect::Update, 150),
            ("file_shared", Effect::Share, 20),
            ("user_login", Effect::SignIn, 30),
        ],
    ),
];

/// Services that are written by hand.
pub(in crate::generate) const WRITTEN_SERVICES: usize = 5;

const VERBS: [(&str, Effect); 10] = [
    ("View", Effect::Read),
    ("List", Effect::Read),
    ("Update", Effect::Update),
    ("Search", Effect::Read),
    ("Download", Effect::Download),
    ("Create", Effect::Update),
    ("Sync", Effect::Read),
    ("Upload", Effect::Upload),
    ("Share", Effect::Share),
    ("Delete", Effect::Delete),
];

const OBJECTS: [&str; 25] = [
    "File",
    "Folder",
    "Page",
    "Sheet",
    "Entry",
    "Report",
    "Message",
    "Calendar",
    "Task",
    "Board",
    "Channel",
    "Contact",
    "Invoice",
    "Ticket",
    "Dashboard",
    "Dataset",
    "Query",
    "Key",
    "Policy",
    "Group",
    "Role",
    "Token",
    "Job",
    "Image",
    "Site",
];

const KINDS: [&str; 7] = ["FILE", "RECORD", "PAGE", "TICKET", "DATASET", "MESSAGE", "PROJECT"];

/// Names of actions that services share: as many as verbs and objects make.
const SHARED_NAMES: usize = VERBS.len() * OBJECTS.len();

/// All services, those of the demo first, and all their actions.
pub(super) fn services() -> (Vec<Service>, Vec<Action>) {
    let (mut services, mut actions) = (Vec::new(), Vec::new());
    for (number, written) in WRITTEN.into_iter().enumerate() {
        let (name, csp_id, instance_id, site, target_type, share, sign_in_failed, own) = written;
        services.push(Service {
            name: name.to_owned(),
            csp_id,
            instance_id,
            site: site.to_owned(),
            target_type,
            url: format!("{site}/{}/", target_type.to_ascii_lowercase()),
            files: target_type == "FILE",
            first_action: id16(actions.len()),
        });
        push_actions(&mut actions, number, own, share, Some(sign_in_failed));
    }
    for (number, csp_id) in (WRITTEN_SERVICES..SERVICES + APPS).zip(5_000..) {
        let name = if number < SERVICES { format!("Service {number:02}") } else { format!("App {number:03}") };
        let site = format!("https://{}.example", name.to_ascii_lowercase().replace(' ', "-"));
        let target_type = KINDS[number % KINDS.len()];
        services.push(Service {
            name,
            csp_id,
            instance_id: csp_id + 7_000,
            url: format!("{site}/{}/", target_type.to_ascii_lowercase()),
            site,
            target_type,
            files: target_type == "FILE",
            first_action: id16(actions.len()),
        });
        push_actions(&mut actions, number, &[], 0, None);
    }
    (services, actions)
}

/// The actions of a service: those written by hand, shared names up to the full number, then those that stand for failing.
fn push_actions(
    actions: &mut Vec<Action>,
    service: usize,
    own: &[(&str, Effect, u32)],
    share: u32,
    sign_in_failed: Option<&str>,
) {
    let first = actions.len();
    let count = usize::from(ACTIONS_PER_SERVICE);
    let own_actions = own.iter().map(|(name, effect, weight)| ((*name).to_owned(), *effect, weight * share));
    let shared = (0..count - own.len()).map(|rank| {
        // 7 shares no divisor with the number of names, so the names of a service differ.
        let n = (service * 31 + rank * 7) % SHARED_NAMES;
        let (verb, effect) = VERBS[n % VERBS.len()];
        (format!("{}{verb}", OBJECTS[n / VERBS.len()]), effect, 0)
    });
    let service_id = id16(service);
    for (rank, (name, effect, weight)) in own_actions.chain(shared).enumerate() {
        // Of a service that signs people in by itself, that is what fails.
        let failed = if sign_in_failed.is_some() && rank < own.len() { first + count } else { first + count + rank };
        let folder = name.starts_with("FOLDER") || name.starts_with("Folder");
        actions.push(Action { name, service: service_id, effect, failed: id16(failed), folder, weight });
    }
    for rank in 0..count {
        let name = match sign_in_failed {
            Some(name) if rank == 0 => name.to_owned(),
            _ => format!("{}Failed", actions[first + rank].name),
        };
        let failed = id16(actions.len());
        actions.push(Action { name, service: service_id, effect: Effect::Failed, failed, folder: false, weight: 0 });
    }
}
