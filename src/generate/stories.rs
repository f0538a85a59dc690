//! The stories of the demo: what its anomalies are about, with the truth of what was planted.

use super::accounts::Origin;
use super::event::Event;
use super::plants::{Choice, Ground, Truth, act};
use super::random::Random;
use super::world::{ANONYMOUS, FAR_AWAY, FILE_SERVICE, MAIL_SERVICE, PRIVATE_COMPUTER, whole};
use crate::domain::day::DAY_MS;

const HOUR_MS: i64 = 3_600_000;
const MINUTE_MS: i64 = 60_000;

/// Whom the stories are about, by position.
pub(super) const INSIDER: usize = 3;
pub(super) const TRAVELLER: usize = 8;

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

/// Where the traveller is not: the last of the demo's origins.
pub(super) fn far_origin() -> Origin {
    Origin { address: "198.51.100.77".to_owned(), place: FAR_AWAY, network: ANONYMOUS }
}

/// A story: its truth, until when the account does nothing else, and its events.
pub(super) type Told = (Truth, i64, Vec<Event>);

/// An insider downloads files through one night and is not seen again.
///
/// The night is the last whole one at least six hours before the end of the data.
pub(super) fn insider(ground: &Ground<'_>) -> Told {
    let mut random = Random::of_part(ground.plan.seed, &[12, 0]);
    let (end_ms, who) = (ground.plan.end_ms, &ground.accounts.all[INSIDER]);
    let night_ms = 5 * HOUR_MS;
    let offset_ms = ground.world.places[usize::from(who.home)].utc_hours * HOUR_MS;
    let today = (end_ms + offset_ms).div_euclid(DAY_MS);
    let mut from_ms = today * DAY_MS - offset_ms + 22 * HOUR_MS;
    while from_ms + night_ms + 6 * HOUR_MS > end_ms {
        from_ms -= DAY_MS;
    }
    let downloads = 1_150 + random.below(101);
    // The night's last quarter hour stays empty, whatever the gaps sum up to.
    let gap_ms = (night_ms - HOUR_MS / 4).div_euclid(i64::try_from(downloads).unwrap_or(i64::MAX) + 4);
    let mut at = from_ms;
    let mut events = Vec::new();
    let download = ground.world.action(FILE_SERVICE, "FILE_DOWNLOAD");
    let others = [("USER_AUTHENTICATE_OAUTH2_ACCESS_TOKEN_CREATE", 1), ("FOLDER_LIST", 3)];
    let before = others.into_iter().flat_map(|(name, times)| std::iter::repeat_n(name, times));
    let before = before.map(|name| ground.world.action(FILE_SERVICE, name));
    for action in before.chain((0..downloads).map(|_| download)) {
        events.push(act(INSIDER, at, (action, PRIVATE_COMPUTER, who.origins[0]), &mut random));
        at += random.between(gap_ms / 2, gap_ms);
    }
    let truth =
        Truth { kind: "insider", account: INSIDER, from_ms, to_ms: from_ms + night_ms, of: Choice::Action(download) };
    (truth, i64::MAX, events)
}

/// An account works at home, and within the hour from the other side of the world.
///
/// It happens at ten in the morning at home, three days before the end of the data.
pub(super) fn two_countries(ground: &Ground<'_>) -> Told {
    let mut random = Random::of_part(ground.plan.seed, &[12, 1]);
    let (world, who) = (ground.world, &ground.accounts.all[TRAVELLER]);
    let offset_ms = world.places[usize::from(who.home)].utc_hours * HOUR_MS;
    let day = (ground.plan.end_ms + offset_ms).div_euclid(DAY_MS) - 3;
    let from_ms = day * DAY_MS - offset_ms + 10 * HOUR_MS;
    let to_ms = from_ms + 2 * HOUR_MS;
    let mut events = Vec::new();
    let mut at = from_ms;
    while at < from_ms + 25 * MINUTE_MS {
        let name = *random.pick(&["MailItemsAccessed", "MailItemsAccessed", "Send", "SearchQueryPerformed"]);
        let what = (world.action(MAIL_SERVICE, name), who.devices[0], who.origins[0]);
        events.push(act(TRAVELLER, at, what, &mut random));
        at += 20_000 + whole(random.log_normal(20_000.0, 0.8).min(120_000.0));
    }
    let far = u32::try_from(ground.accounts.origins.len()).unwrap_or(1) - 1;
    let signed_in = world.action(MAIL_SERVICE, "UserLoggedIn");
    let failed = world.actions[usize::from(signed_in)].failed;
    // Seven guesses, then in; a rule hides the answers; then everything is read.
    at = from_ms + 40 * MINUTE_MS;
    for _ in 0..7 {
        events.push(act(TRAVELLER, at, (failed, PRIVATE_COMPUTER, far), &mut random));
        at += random.between(3_000, 9_000);
    }
    for name in ["UserLoggedIn", "New-InboxRule", "SearchQueryPerformed"] {
        let action = world.action(MAIL_SERVICE, name);
        events.push(act(TRAVELLER, at, (action, PRIVATE_COMPUTER, far), &mut random));
        at += random.between(20_000, 60_000);
    }
    let loot = ["MailItemsAccessed", "MailItemsAccessed", "MailItemsAccessed", "AttachmentDownloaded"];
    for _ in 0..60 {
        let name = *random.pick(&loot);
        let action = world.action(MAIL_SERVICE, name);
        events.push(act(TRAVELLER, at, (action, PRIVATE_COMPUTER, far), &mut random));
        at += random.between(4_000, 30_000);
    }
    let truth = Truth { kind: "two-countries", account: TRAVELLER, from_ms, to_ms, of: Choice::Origin(far) };
    (truth, to_ms, events)
}
