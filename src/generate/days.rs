//! Ordinary days: sessions in office hours for people, a steady rate for service accounts.

use super::person::Person;
use super::random::Random;
use super::record::Record;
use super::world::{Action, Effect, FILE_SERVICE, SERVICES, Service, whole};
use crate::domain::day::DAY_MS;

const HOUR_MS: i64 = 3_600_000;
const MINUTE_MS: i64 = 60_000;

/// Share of people who are active on a work day, and at a weekend.
const ACTIVE: (f64, f64) = (0.62, 0.08);

/// Most activities of a person on one day.
const MAX_DAILY: f64 = 1_500.0;

static SIGN_IN_FAILED: Action = Action { name: "LOGIN_FAILED", effect: Effect::SignInFailed, weight: 0 };

/// What a person does on a day of the place where they live; `day` counts from 1970-01-01.
pub(super) fn ordinary_day(person: &Person, day: i64, random: &mut Random) -> Vec<Record> {
    if person.service_account {
        return steady_day(person, day, random);
    }
    // 1970-01-01 was a Thursday.
    let weekend = matches!((day + 4).rem_euclid(7), 0 | 6);
    if !random.chance(if weekend { ACTIVE.1 } else { ACTIVE.0 }) {
        return Vec::new();
    }
    let mut left = whole(random.log_normal(person.daily, 0.9).clamp(1.0, MAX_DAILY));
    let sessions = 1 + random.below(4);
    let in_office = random.chance(0.5);
    let mut records = Vec::new();
    for session in 0..sessions {
        let events = if session + 1 == sessions { left } else { random.between(0, left + 1) };
        left -= events;
        let origin = match (in_office, random.chance(0.12)) {
            (_, true) => &person.origins[2],
            (true, false) => &person.origins[1],
            (false, false) => &person.origins[0],
        };
        let mut at = local_ms(person, day, hour_of_session(random));
        let service = sign_in_service(random);
        if random.chance(0.03) {
            records.push(person.act(at, service, &SIGN_IN_FAILED, origin, random));
            at += 20_000;
        }
        for event in 0..events {
            let service = if event == 0 { service } else { sign_in_service(random) };
            let action = random.pick_weighted(service.actions, |action| action.weight);
            records.push(person.act(at, service, action, origin, random));
            at += whole(random.log_normal(25_000.0, 1.0).min(600_000.0));
        }
    }
    records
}

/// Hour of a session's begin: ten times as likely in office hours as at night.
fn hour_of_session(random: &mut Random) -> f64 {
    let hour = if random.chance(0.93) { random.between(8, 18) } else { random.between(0, 24) };
    f64::from(i32::try_from(hour).unwrap_or(0)) + random.unit()
}

fn local_ms(person: &Person, day: i64, hour: f64) -> i64 {
    day * DAY_MS - person.home.utc_hours * HOUR_MS + whole(hour * 3_600_000.0)
}

fn sign_in_service(random: &mut Random) -> &'static Service {
    random.pick_weighted(&SERVICES, |service| service.weight)
}

/// A service account reads and copies files around the clock.
fn steady_day(person: &Person, day: i64, random: &mut Random) -> Vec<Record> {
    let service = &SERVICES[FILE_SERVICE];
    let count = whole(person.daily);
    (0..count)
        .map(|n| {
            let at = day * DAY_MS + n * DAY_MS / count + random.between(0, MINUTE_MS);
            let action = random.pick_weighted(service.actions, |action| match action.effect {
                Effect::Read | Effect::Upload | Effect::Update => action.weight,
                _ => 0,
            });
            person.act(at, service, action, &person.origins[0], random)
        })
        .collect()
}
