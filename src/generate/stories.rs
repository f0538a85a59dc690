//! Planted stories: what the anomalies of the demo are about, with the truth of what was planted.

use super::person::{Origin, Person};
use super::random::Random;
use super::record::Record;
use super::world::{
    ANONYMOUS, Action, Effect, FAR_AWAY, FILE_DOWNLOAD, FILE_SERVICE, MAIL_SERVICE, PRIVATE_COMPUTER, SERVICES, whole,
};
use crate::domain::day::DAY_MS;

const HOUR_MS: i64 = 3_600_000;
const MINUTE_MS: i64 = 60_000;

/// What was planted about one account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Story {
    /// The account.
    pub user: String,
    /// First moment of the story, ms since epoch.
    pub from_ms: i64,
    /// First moment after the story, ms since epoch. The account has no other activities in between.
    pub to_ms: i64,
    /// All activities of the story.
    pub activities: u64,
    /// Those among them that the story is about: downloads, or activities from far away.
    pub suspicious: u64,
}

/// An insider downloads files through one night and is not seen again.
///
/// The night is the last whole one at least six hours before the end of the data.
pub(super) fn insider(person: &Person, end_ms: i64, random: &mut Random) -> (Story, Vec<Record>) {
    let night_ms = 5 * HOUR_MS;
    let offset_ms = person.home.utc_hours * HOUR_MS;
    let today = (end_ms + offset_ms).div_euclid(DAY_MS);
    let mut from_ms = today * DAY_MS - offset_ms + 22 * HOUR_MS;
    while from_ms + night_ms + 6 * HOUR_MS > end_ms {
        from_ms -= DAY_MS;
    }
    let service = &SERVICES[FILE_SERVICE];
    let origin = Origin { device: PRIVATE_COMPUTER, ..person.origins[0].clone() };
    let downloads = 1_150 + random.below(101);
    // The night's last quarter hour stays empty, whatever the gaps sum up to.
    let gap_ms = (night_ms - HOUR_MS / 4).div_euclid(i64::try_from(downloads).unwrap_or(i64::MAX) + 4);
    let mut at = from_ms;
    let mut records = Vec::new();
    let others = [("USER_AUTHENTICATE_OAUTH2_ACCESS_TOKEN_CREATE", 1), ("FOLDER_LIST", 3)];
    let plan = others.into_iter().flat_map(|(name, times)| std::iter::repeat_n(name, times));
    for name in plan.chain((0..downloads).map(|_| FILE_DOWNLOAD)) {
        let Some(action) = service.actions.iter().find(|action| action.name == name) else { continue };
        records.push(person.act(at, service, action, &origin, random));
        at += random.between(gap_ms / 2, gap_ms);
    }
    let story = Story {
        user: person.email.clone(),
        from_ms,
        to_ms: from_ms + night_ms,
        activities: records.len() as u64,
        suspicious: records.iter().filter(|record| record.action_name == FILE_DOWNLOAD).count() as u64,
    };
    (story, records)
}

static FAILED: Action = Action { name: "UserLoginFailed", effect: Effect::SignInFailed, weight: 0 };

/// An account works at home, and within the hour from the other side of the world.
///
/// It happens at ten in the morning at home, three days before the end of the data.
pub(super) fn two_countries(person: &Person, end_ms: i64, random: &mut Random) -> (Story, Vec<Record>) {
    let offset_ms = person.home.utc_hours * HOUR_MS;
    let day = (end_ms + offset_ms).div_euclid(DAY_MS) - 3;
    let from_ms = day * DAY_MS - offset_ms + 10 * HOUR_MS;
    let to_ms = from_ms + 2 * HOUR_MS;
    let mail = &SERVICES[MAIL_SERVICE];
    let mut records = Vec::new();
    let mut at = from_ms;
    while at < from_ms + 25 * MINUTE_MS {
        let action = random.pick_weighted(mail.actions, |action| action.weight);
        records.push(person.act(at, mail, action, &person.origins[0], random));
        at += 20_000 + whole(random.log_normal(20_000.0, 0.8).min(120_000.0));
    }
    let at_home = records.len();
    let far =
        Origin { place: &FAR_AWAY, network: ANONYMOUS, address: "198.51.100.77".to_owned(), device: PRIVATE_COMPUTER };
    // Seven guesses, then in; a rule hides the answers; then everything is read.
    at = from_ms + 40 * MINUTE_MS;
    for _ in 0..7 {
        records.push(person.act(at, mail, &FAILED, &far, random));
        at += random.between(3_000, 9_000);
    }
    for name in ["UserLoggedIn", "New-InboxRule", "SearchQueryPerformed"] {
        let Some(action) = mail.actions.iter().find(|action| action.name == name) else { continue };
        records.push(person.act(at, mail, action, &far, random));
        at += random.between(20_000, 60_000);
    }
    let loot: &[&str] = &["MailItemsAccessed", "MailItemsAccessed", "MailItemsAccessed", "AttachmentDownloaded"];
    for _ in 0..60 {
        let name = *random.pick(loot);
        let Some(action) = mail.actions.iter().find(|action| action.name == name) else { continue };
        records.push(person.act(at, mail, action, &far, random));
        at += random.between(4_000, 30_000);
    }
    let story = Story {
        user: person.email.clone(),
        from_ms,
        to_ms,
        activities: records.len() as u64,
        suspicious: (records.len() - at_home) as u64,
    };
    (story, records)
}
