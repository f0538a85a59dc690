//! Whatever happens, in whatever order, the index answers as the list in memory does.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering};

use proptest::prelude::*;
use tokio::runtime::Runtime;

use super::naive::{Expected, Naive, Record, Told, spelling, users};
use super::{HOUR, NOW, TestUci, impact};
use crate::domain::day::DAY_MS;
use crate::domain::uci::alert_filter::AlertFilter;
use crate::registry::tenants::Tenant;
use crate::registry::uci::records::{UciActivity, UciAnomaly};
use crate::services::auth::Actor;
use crate::services::uci::{SearchFilters, SearchRequest, UciError, UsersRequest};

const SOURCES: [&str; 3] = ["OKTA", "okta", "Crowd"];

#[derive(Debug, Clone)]
enum Step {
    Impact { user: usize, variant: usize, points: i64, ago: i64, source: usize, key: Option<u8> },
    Allow(prop::sample::Index),
    Reset(Vec<usize>),
    Clock(i64),
    Settle,
    Window(i64),
}

fn step() -> impl Strategy<Value = Step> {
    let ago = prop_oneof![
        3 => 0..2 * HOUR,
        3 => 0..40 * DAY_MS,
        1 => 80 * DAY_MS..100 * DAY_MS,
        1 => -300_000..0_i64,
    ];
    let points = prop_oneof![1..60_i64, 1..=1000_i64];
    let impact = (users(), 0..2_usize, points, ago, 0..SOURCES.len(), prop::option::weighted(0.3, 0..4_u8));
    prop_oneof![
        10 => impact.prop_map(|(user, variant, points, ago, source, key)| Step::Impact {
            user, variant, points, ago, source, key,
        }),
        3 => any::<prop::sample::Index>().prop_map(Step::Allow),
        2 => prop::collection::vec(users(), 1..4).prop_map(Step::Reset),
        3 => prop_oneof![-2 * DAY_MS..3 * DAY_MS, 0..3 * HOUR, 0..25 * DAY_MS].prop_map(Step::Clock),
        2 => Just(Step::Settle),
        1 => prop_oneof![Just(DAY_MS), Just(30 * DAY_MS), Just(90 * DAY_MS)].prop_map(Step::Window),
    ]
}

#[derive(Debug, Clone)]
struct Asked {
    users: Option<Vec<usize>>,
    sources: Option<Vec<usize>>,
    range: Option<(i64, i64)>,
    activity: Option<bool>,
    offset: usize,
    limit: usize,
}

fn asked() -> impl Strategy<Value = Asked> {
    let days = -100..10_i64;
    (
        prop::option::of(prop::collection::vec(users(), 0..3)),
        prop::option::of(prop::collection::vec(0..SOURCES.len(), 0..3)),
        prop::option::of((days.clone(), days).prop_map(|(a, b)| (NOW + a * DAY_MS, NOW + b * DAY_MS))),
        prop::option::of(any::<bool>()),
        0..6_usize,
        1..9_usize,
    )
        .prop_map(|(users, sources, range, activity, offset, limit)| Asked {
            users,
            sources,
            range,
            activity,
            offset,
            limit,
        })
}

fn record(anomaly: &UciAnomaly) -> Record {
    Record {
        id: anomaly.id.get(),
        user_key: anomaly.user_key.clone(),
        user: anomaly.user.clone(),
        time: anomaly.time_ms,
        points: anomaly.score,
        source: anomaly.source.clone(),
        created: anomaly.created_at_ms,
        allowed: anomaly.allowed.is_some(),
    }
}

struct Run<'a> {
    t: &'a TestUci,
    tenant: Tenant,
    model: Naive,
}

impl Run<'_> {
    async fn step(&mut self, step: Step) -> Result<(), TestCaseError> {
        let actor = Actor::command_line();
        match step {
            Step::Impact { user, variant, points, ago, source, key } => {
                let mut request = impact(&spelling(user, variant), points, self.model.now - ago);
                request.source = SOURCES[source].to_owned();
                request.idempotency_key = key.map(|key| key.to_string());
                let answer = self.t.try_accept(&self.tenant, request.clone()).await;
                let id = answer.as_ref().map_or(0, |answer| answer.anomaly.id.get());
                match self.model.impact(&request, id) {
                    Expected::Stored => {
                        let answer = answer.unwrap();
                        prop_assert!(!answer.replayed);
                        prop_assert_eq!(&record(&answer.anomaly), self.model.records.last().unwrap());
                    }
                    Expected::Replayed(first) => {
                        let answer = answer.unwrap();
                        prop_assert_eq!((answer.replayed, answer.anomaly.id.get()), (true, first));
                    }
                    Expected::Conflict => prop_assert!(matches!(answer, Err(UciError::KeyConflict(_)))),
                }
            }
            Step::Allow(which) if !self.model.records.is_empty() => {
                let place = which.index(self.model.records.len());
                let Record { id, points, .. } = self.model.records[place];
                let answer = self
                    .t
                    .services
                    .allow_impact(&actor, &self.tenant, id.try_into().unwrap(), Some("fine".into()))
                    .await;
                if points == 0 {
                    prop_assert!(matches!(answer, Err(UciError::NotAnImpact)));
                } else {
                    self.model.allow(place);
                    prop_assert_eq!(&record(&answer.unwrap()), &self.model.records[place]);
                }
            }
            Step::Allow(_) => {}
            Step::Reset(which) => {
                let names: Vec<_> = which.iter().map(|&user| spelling(user, 1)).collect();
                let unknown: Vec<_> =
                    which.iter().copied().filter(|&u| !self.model.is_known(&spelling(u, 0))).collect();
                let answer = self.t.services.reset_users(&actor, &self.tenant, names).await;
                if unknown.is_empty() {
                    let mut order: Vec<usize> = Vec::new();
                    for user in which {
                        if !order.contains(&user) {
                            order.push(user);
                        }
                    }
                    let expected: Vec<_> = order.iter().map(|&user| self.model.spelling(&spelling(user, 0))).collect();
                    prop_assert_eq!(answer.unwrap(), expected);
                    let newest = self.t.services.list_anomalies(&self.tenant, None, None, 10).await.unwrap();
                    let ids: Vec<i64> = newest.iter().take(order.len()).map(|(a, _)| a.id.get()).rev().collect();
                    for (user, id) in order.into_iter().zip(ids) {
                        self.model.reset(&spelling(user, 0), id);
                        prop_assert_eq!(self.t.score(&self.tenant, &spelling(user, 0)).await, 1000);
                    }
                } else {
                    prop_assert!(matches!(answer, Err(UciError::UnknownUsers(_))));
                }
            }
            Step::Clock(by) => {
                self.t.clock.advance(by);
                self.model.now += by;
            }
            Step::Settle => self.settle().await?,
            Step::Window(window_ms) => {
                let uci = crate::registry::settings::UciOverrides { window_ms: Some(window_ms), ..Default::default() };
                self.tenant = self.t.set(&self.tenant, uci).await;
                self.model.window = window_ms;
            }
        }
        self.check_scores().await
    }

    /// In which order users are brought up to date is not promised, so their alerts are compared without it.
    async fn settle(&mut self) -> Result<(), TestCaseError> {
        let before = self.model.alerts.len();
        self.t.services.settle_uci().await.unwrap();
        users().for_each(|user| self.model.settle(&spelling(user, 0)));
        let sorted = |told: &[Told]| {
            let mut told = told.to_vec();
            told.sort_by_key(|told| (told.user.clone(), told.name.as_str()));
            told
        };
        let mut conn = self.t.services.registry.read().await.unwrap();
        let made: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM alerts WHERE tenant_id = ?")
            .bind(self.tenant.key.id.get())
            .fetch_one(&mut *conn)
            .await
            .unwrap();
        prop_assert_eq!(made, i64::try_from(self.model.alerts.len()).unwrap());
        let stamp = sqlx::query_scalar("SELECT last_ms FROM modified_clock WHERE tenant_id = ?");
        let stamp: Option<i64> = stamp.bind(self.tenant.key.id.get()).fetch_optional(&mut *conn).await.unwrap();
        self.model.last_stamp = stamp.unwrap_or(i64::MIN);
        if made > i64::try_from(before).unwrap() {
            let mut new = self.alerts().await;
            new.drain(..new.len() + before - self.model.alerts.len());
            prop_assert_eq!(sorted(&new), sorted(&self.model.alerts[before..]));
            self.model.alerts.splice(before.., new);
        }
        Ok(())
    }

    async fn alerts(&self) -> Vec<Told> {
        let page = self.t.services.alerts(&self.tenant, AlertFilter::default(), 0, 10_000).await.unwrap();
        assert_eq!(page.total, i64::try_from(page.rows.len()).unwrap());
        page.rows
            .into_iter()
            .map(|a| Told { made: a.made_at_ms, name: a.name, user: a.user, points: a.points, score: a.score })
            .collect()
    }

    async fn check_scores(&self) -> Result<(), TestCaseError> {
        let listed = self.t.services.users_by_band(&self.tenant, UsersRequest::default()).await.unwrap().users;
        let listed: BTreeMap<_, _> = listed.into_iter().map(|user| (user.user, user.score)).collect();
        let mut expected = BTreeMap::new();
        for user in users().map(|user| spelling(user, 0)).filter(|user| self.model.is_known(user)) {
            let score = self.model.score_at(&user, self.model.now);
            prop_assert!((0..=1000).contains(&score));
            expected.insert(self.model.spelling(&user), score);
            let explained = self.t.services.explain_user(&self.tenant, &user).await.unwrap();
            prop_assert_eq!(explained.score, score);
            let missing: i64 = explained.impacts.iter().map(|counting| counting.anomaly.score).sum();
            prop_assert_eq!((1000 - missing).max(0), score, "every missing point is explained");
        }
        prop_assert_eq!(listed, expected);
        Ok(())
    }

    async fn check_days(&self, from: i64, cap: usize) -> Result<(), TestCaseError> {
        let names: Vec<_> = users().map(|user| spelling(user, 1)).chain(["nobody".to_owned()]).collect();
        let cap_per_user = Some(i64::try_from(cap).unwrap());
        let found = self.t.services.confidences(&self.tenant, names.clone(), from, cap_per_user).await.unwrap();
        for (name, found) in names.iter().zip(found) {
            let days: Vec<_> = found.days.iter().map(|day| (day.start_ms, day.score)).collect();
            prop_assert_eq!(days, self.model.days(name, from, cap));
            prop_assert_eq!(found.user, self.model.spelling(name));
        }
        Ok(())
    }

    async fn check_search(&self, asked: &Asked) -> Result<(), TestCaseError> {
        let names = |list: &Vec<usize>| list.iter().map(|&user| spelling(user, 1)).collect::<Vec<_>>();
        let sources = |list: &Vec<usize>| list.iter().map(|&n| SOURCES[n].to_owned()).collect::<Vec<_>>();
        let request = SearchRequest {
            activity: asked.activity.map(|impact| UciActivity::ALL[usize::from(!impact)].as_str().to_owned()),
            filters: SearchFilters {
                users: asked.users.as_ref().map(names),
                sources: asked.sources.as_ref().map(sources),
                start_ms: asked.range.map(|range| range.0),
                end_ms: asked.range.map(|range| range.1),
                anomaly_ids: None,
            },
            offset: i64::try_from(asked.offset).unwrap(),
            limit: i64::try_from(asked.limit).unwrap(),
        };
        let page = self.t.services.search_uci_anomalies(&self.tenant, request).await.unwrap();
        let keys = asked
            .users
            .as_ref()
            .map(|list| list.iter().map(|&u| spelling(u, 0).trim().to_lowercase()).collect::<Vec<_>>());
        let wanted = asked.sources.as_ref().map(sources);
        let matching: Vec<_> = self
            .model
            .records
            .iter()
            .filter(|r| keys.as_ref().is_none_or(|keys| keys.contains(&r.user_key)))
            .filter(|r| wanted.as_ref().is_none_or(|sources| sources.contains(&r.source)))
            .filter(|r| asked.activity.is_none_or(|impact| impact == (r.points > 0)))
            .filter(|r| asked.range.is_none_or(|(start, end)| (start..end).contains(&r.time)))
            .filter(|r| r.time >= self.model.now - 90 * DAY_MS)
            .cloned()
            .collect();
        prop_assert_eq!(page.total, i64::try_from(matching.len()).unwrap());
        let expected: Vec<_> = matching.into_iter().skip(asked.offset).take(asked.limit).collect();
        prop_assert_eq!(page.rows.iter().map(record).collect::<Vec<_>>(), expected);
        Ok(())
    }
}

#[test]
fn the_index_is_the_list() {
    let runtime = Runtime::new().unwrap();
    let t = runtime.block_on(TestUci::new());
    let next_tenant = AtomicI64::new(1);
    let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) };
    let input = (prop::collection::vec(step(), 1..40), prop::collection::vec(asked(), 4), 0..120_i64, 0..50_usize);
    proptest!(config, |((steps, searches, from_days, cap) in input)| {
        runtime.block_on(async {
            t.clock.set(NOW);
            let tenant = t.tenant(next_tenant.fetch_add(1, Ordering::Relaxed)).await;
            let model = Naive::new(NOW, 30 * DAY_MS, 651);
            let mut run = Run { t: &t, tenant, model };
            for step in steps {
                run.step(step).await?;
            }
            let kept: Vec<_> =
                run.model.alerts.iter().filter(|a| a.made > run.model.now - 90 * DAY_MS).cloned().collect();
            prop_assert_eq!(run.alerts().await, kept);
            for asked in &searches {
                run.check_search(asked).await?;
            }
            run.check_days(if from_days == 0 { 0 } else { NOW - from_days * DAY_MS }, cap).await?;
            Ok::<_, TestCaseError>(())
        })?;
    });
    runtime.block_on(t.services.close());
    // What the services hold of runtimes may not end inside one.
    drop(t);
}
