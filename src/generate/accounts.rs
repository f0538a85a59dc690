//! Accounts: where they are, what they use, how steadily they work.

use super::random::{Random, Weighted};
use super::world::{
    ACTIONS_PER_SERVICE, CLOUD, DESKTOPS, Effect, HOME_NETWORKS, HOME_WEIGHTS, HOMES, MOBILE, NETWORKS, OFFICE, PHONES,
    SERVER, SERVICES, WRITTEN_SERVICES, World, account_name, id16, service_account_name, whole,
};
use super::{Plan, Profile};

/// Somewhere a request comes from; its number is what an event keeps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Origin {
    pub(super) address: String,
    pub(super) place: u16,
    pub(super) network: u16,
}

/// The actions that an account uses, and how often.
#[derive(Debug)]
pub(super) struct Mix {
    actions: Vec<u16>,
    weights: Weighted,
}

impl Mix {
    pub(super) fn pick(&self, random: &mut Random) -> u16 {
        self.actions[self.weights.pick(random)]
    }
}

/// An account of the company.
#[derive(Debug)]
pub(super) struct Account {
    pub(super) name: String,
    /// Runs by itself, at a steady rate.
    pub(super) service: bool,
    /// Places it works from, the usual first; numbers of origins.
    pub(super) origins: Vec<u32>,
    /// Of its computer and, for people, of its phone.
    pub(super) devices: Vec<u16>,
    /// Number of its mix.
    pub(super) mix: u32,
    /// Number of the place it lives in.
    pub(super) home: u16,
}

/// All accounts, people first, with what they share.
#[derive(Debug)]
pub(super) struct Accounts {
    pub(super) all: Vec<Account>,
    /// Number of people; the others are service accounts.
    pub(super) people: usize,
    pub(super) origins: Vec<Origin>,
    pub(super) mixes: Vec<Mix>,
    /// Rows of a service account, the first being the sync client.
    pub(super) service_weights: Vec<f64>,
}

/// Share of the addresses by popularity that are offices of the company.
const OFFICES: u64 = 100;

impl Accounts {
    pub(super) fn new(plan: &Plan, world: &World) -> Self {
        match plan.profile {
            Profile::Workload => workload(plan, world),
            Profile::Demo => demo(plan, world),
        }
    }
}

/// A large tenant: homes shared by Zipf 1.0, an own mix of actions for each account, one service account in a hundred.
fn workload(plan: &Plan, world: &World) -> Accounts {
    let services = (plan.users / 100).max(1);
    let people = plan.users - services;
    let pool = people as u64 * 2;
    let mut origins: Vec<Origin> = (0..pool).map(|rank| pooled_origin(plan.seed, rank, world)).collect();
    let popularity = Weighted::zipf(u32::try_from(pool).unwrap_or(u32::MAX), 1.0);
    let (mut all, mut mixes) = (Vec::with_capacity(plan.users), Vec::with_capacity(plan.users));
    let ranks = Weighted::zipf(u32::from(ACTIONS_PER_SERVICE), 1.4);
    let used = Weighted::zipf(u32::try_from(SERVICES).unwrap_or(1), 1.2);
    for index in 0..people {
        let mut random = Random::of_part(plan.seed, &[1, index as u64]);
        let homes = 1 + random.below(3);
        let own: Vec<u32> = (0..homes).map(|_| u32::try_from(popularity.pick(&mut random)).unwrap_or(0)).collect();
        let home = origins[own[0] as usize].place;
        let count = random.below(world.devices.len() as u64 - u64::from(SERVER) - 2);
        let phone = DESKTOPS + id16(usize::try_from(random.below(u64::from(PHONES - DESKTOPS))).unwrap_or(0));
        all.push(Account {
            name: account_name(index),
            service: false,
            origins: own,
            devices: vec![SERVER + 2 + id16(usize::try_from(count).unwrap_or(0)), phone],
            mix: u32::try_from(mixes.len()).unwrap_or(0),
            home,
        });
        let wanted = whole(random.log_normal(5.5, 0.6).clamp(2.0, 60.0));
        mixes.push(own_mix(world, wanted, &used, &ranks, &mut random));
    }
    for index in 0..services {
        let mut random = Random::of_part(plan.seed, &[2, index as u64]);
        origins.push(server_origin(&mut random));
        let wanted = random.between(3, 7);
        mixes.push(own_mix(world, wanted, &used, &ranks, &mut random));
        all.push(service_account(index, origins.len() - 1, mixes.len() - 1));
    }
    // The sync client makes a tenth of all rows, the others share the rest of the services' rows.
    let others: f64 = (1..services).map(|rank| 1.0 / rank_number(rank)).sum();
    let sync = if services == 1 { 1.0 } else { super::schedule::SYNC_SHARE / plan.profile.shape().service_share };
    let rest = (1..services).map(|rank| (1.0 - sync) / others / rank_number(rank));
    let service_weights = std::iter::once(sync).chain(rest).collect();
    Accounts { all, people, origins, mixes, service_weights }
}

fn rank_number(rank: usize) -> f64 {
    u32::try_from(rank).map_or(f64::MAX, f64::from)
}

/// The company of the demo: everybody has a home, an office and a phone, and nobody travels.
fn demo(plan: &Plan, world: &World) -> Accounts {
    let services = (plan.users / 10).clamp(1, 3);
    let people = plan.users - services;
    let homes = Weighted::of(HOME_WEIGHTS);
    let (mut all, mut origins) = (Vec::new(), Vec::new());
    for index in 0..people {
        let mut random = Random::of_part(plan.seed, &[1, index as u64]);
        let place = id16(homes.pick(&mut random) % HOMES);
        let broadband = id16(usize::try_from(random.below(u64::from(HOME_NETWORKS))).unwrap_or(0));
        let mut private = || format!("198.{}.{}.{}", 18 + random.below(2), random.below(256), 1 + random.below(254));
        let (at_home, on_the_road) = (private(), private());
        let office = format!("203.0.113.{}", 1 + random.below(4));
        let first = u32::try_from(origins.len()).unwrap_or(0);
        origins.push(Origin { address: at_home, place, network: broadband });
        origins.push(Origin { address: office, place, network: OFFICE });
        origins.push(Origin { address: on_the_road, place, network: MOBILE });
        let computer = id16(usize::try_from(random.below(u64::from(DESKTOPS))).unwrap_or(0));
        let phone = DESKTOPS + id16(usize::try_from(random.below(u64::from(PHONES - DESKTOPS))).unwrap_or(0));
        all.push(Account {
            name: account_name(index),
            service: false,
            origins: vec![first, first + 1, first + 2],
            devices: vec![computer, phone],
            mix: 0,
            home: place,
        });
    }
    for index in 0..services {
        let mut random = Random::of_part(plan.seed, &[2, index as u64]);
        origins.push(server_origin(&mut random));
        all.push(service_account(index, origins.len() - 1, 1));
    }
    Accounts { all, people, origins, mixes: demo_mixes(world), service_weights: vec![1.0; services] }
}

/// What people of the demo do, and what its service accounts do.
fn demo_mixes(world: &World) -> Vec<Mix> {
    let of = |wanted: &dyn Fn(usize, Effect) -> bool| {
        let written = (0_u16..).zip(&world.actions).filter(|(_, action)| action.weight > 0);
        let written = written.filter(|(_, action)| wanted(usize::from(action.service), action.effect));
        let (actions, weights): (Vec<u16>, Vec<f64>) =
            written.map(|(number, action)| (number, f64::from(action.weight))).unzip();
        Mix { actions, weights: Weighted::of(weights) }
    };
    let people = of(&|service, _| service < WRITTEN_SERVICES);
    let moving = of(&|service, effect| {
        service == super::world::FILE_SERVICE && matches!(effect, Effect::Read | Effect::Upload | Effect::Update)
    });
    vec![people, moving]
}

fn service_account(index: usize, origin: usize, mix: usize) -> Account {
    Account {
        name: service_account_name(index),
        service: true,
        origins: vec![u32::try_from(origin).unwrap_or(0)],
        devices: vec![SERVER],
        mix: u32::try_from(mix).unwrap_or(0),
        home: 0,
    }
}

fn server_origin(random: &mut Random) -> Origin {
    let address = format!("192.0.2.{}", 1 + random.below(250));
    Origin { address, place: 0, network: CLOUD }
}

/// An address by its popularity. Popular ones are offices; the benchmark range holds the first, IPv6 the others.
fn pooled_origin(seed: u64, rank: u64, world: &World) -> Origin {
    const BENCHMARK_RANGE: u64 = 2 << 16;
    let mut random = Random::of_part(seed, &[4, rank]);
    let address = if rank < BENCHMARK_RANGE {
        format!("198.{}.{}.{}", 18 + rank / 65_536, rank / 256 % 256, rank % 256)
    } else {
        format!("2001:db8:1::{:x}:{:x}", rank >> 16, rank & 0xffff)
    };
    let place = any_place(world, &mut random);
    let network = if rank.is_multiple_of(OFFICES) { OFFICE } else { any_network(&mut random) };
    Origin { address, place, network }
}

/// A place: countries by Zipf 1.7, cities within them by Zipf 0.66.
pub(super) fn any_place(world: &World, random: &mut Random) -> u16 {
    let (first, cities) = world.countries[world.country.pick(random)];
    first + id16(usize::try_from(random.zipf_of_many(u64::from(cities), 0.66)).unwrap_or(0))
}

/// A network of people, the popular ones first.
pub(super) fn any_network(random: &mut Random) -> u16 {
    let further = random.zipf_of_many(NETWORKS as u64 - 8, 0.7);
    8 + id16(usize::try_from(further).unwrap_or(0))
}

/// Actions of one to four services, reads four in five.
fn own_mix(world: &World, wanted: i64, used: &Weighted, ranks: &Weighted, random: &mut Random) -> Mix {
    let services: Vec<usize> = (0..=random.below(4)).map(|_| used.pick(random)).collect();
    let (mut reads, mut others): (Vec<u16>, Vec<u16>) = (Vec::new(), Vec::new());
    for _ in 0..wanted * 4 {
        let service = &world.services[*random.pick(&services)];
        let action = service.first_action + id16(ranks.pick(random));
        let is_read = world.actions[usize::from(action)].effect == Effect::Read;
        let (list, most) = if is_read { (&mut reads, (wanted + 1) / 2) } else { (&mut others, wanted / 2) };
        if !list.contains(&action) && i64::try_from(list.len()).unwrap_or(0) < most {
            list.push(action);
        }
    }
    let first = world.services[services[0]].first_action;
    let known = first..first + ACTIONS_PER_SERVICE;
    if reads.is_empty() {
        reads.extend(known.clone().find(|action| world.actions[usize::from(*action)].effect == Effect::Read));
    }
    if others.is_empty() {
        others.extend(known.clone().find(|action| world.actions[usize::from(*action)].effect != Effect::Read));
    }
    let part = |list: &[u16], share: f64| {
        let weights: Vec<f64> = (1..=list.len()).map(|rank| rank_number(rank).powf(-1.4)).collect();
        let sum: f64 = weights.iter().sum();
        weights.into_iter().map(move |weight| share * weight / sum).collect::<Vec<_>>()
    };
    let weights = [part(&reads, 0.8), part(&others, 0.2)].concat();
    Mix { actions: [reads, others].concat(), weights: Weighted::of(weights) }
}
