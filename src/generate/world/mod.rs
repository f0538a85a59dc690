//! The world of the generated company: places, networks, devices, services, files.
//!
//! The first of each kind are written by hand; `anomalake demo` uses those alone. Addresses come from the ranges reserved
//! for documentation and benchmarks (RFC 2544, RFC 3849, RFC 5737), autonomous systems from those for documentation and
//! private use (RFC 5398, RFC 6996), so that no real network is accused of anything.

mod devices;
mod files;
mod names;
mod networks;
mod places;
mod services;

pub(super) use devices::{DESKTOPS, Device, PHONES, PRIVATE_COMPUTER, REMOVABLE_DRIVE, SERVER};
pub(super) use files::{File, file};
pub(super) use names::{account_name, service_account_name};
pub(super) use networks::{ANONYMOUS, CLOUD, HOME_NETWORKS, MOBILE, NETWORKS, Network, OFFICE};
pub(super) use places::{COUNTRIES, FAR_AWAY, HOME_WEIGHTS, HOMES, Place};
pub(super) use services::{
    ACTIONS_PER_SERVICE, APPS, Action, Effect, FILE_SERVICE, MAIL_SERVICE, SERVICES, Service, WRITTEN_SERVICES,
};

use super::random::Weighted;

/// Domain of the company.
pub(super) const DOMAIN: &str = "acme.example";

/// Domains of those it works with.
pub(super) const PARTNERS: [&str; 4] = ["partner.example", "agency.example", "supplier.example", "audit.example"];

/// Everything there is, by number. The same for every seed.
#[derive(Debug)]
pub(super) struct World {
    pub(super) places: Vec<Place>,
    /// The first place of each country, and how many it has; those of the demo are not in it.
    pub(super) countries: Vec<(u16, u16)>,
    /// A country; Zipf 1.7.
    pub(super) country: Weighted,
    pub(super) networks: Vec<Network>,
    pub(super) devices: Vec<Device>,
    pub(super) services: Vec<Service>,
    pub(super) actions: Vec<Action>,
}

impl World {
    pub(super) fn new() -> Self {
        let (places, countries) = places::places();
        let (services, actions) = services::services();
        Self {
            places,
            countries,
            country: Weighted::zipf(COUNTRIES, 1.7),
            networks: networks::networks(),
            devices: devices::devices(),
            services,
            actions,
        }
    }

    /// The action of a service with this name; the service's first where it has none.
    pub(super) fn action(&self, service: usize, name: &str) -> u16 {
        let first = self.services[service].first_action;
        let found = (first..first + ACTIONS_PER_SERVICE).find(|action| self.actions[usize::from(*action)].name == name);
        found.unwrap_or(first)
    }
}

/// A number of bytes, ms or events out of a drawn one.
#[expect(clippy::cast_possible_truncation, reason = "draws are bounded far below")]
pub(super) fn whole(drawn: f64) -> i64 {
    drawn as i64
}

/// A table's position as it is kept with each event.
pub(super) fn id16(position: usize) -> u16 {
    u16::try_from(position).unwrap_or(u16::MAX)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_number_fits_and_names_differ_within_a_service() {
        let world = World::new();
        assert!((1_400..1_700).contains(&world.places.len()), "{}", world.places.len());
        assert_eq!(world.countries.len(), COUNTRIES as usize);
        assert_eq!(world.networks.len(), NETWORKS);
        assert!(world.actions.len() < usize::from(u16::MAX));
        for (number, service) in world.services.iter().enumerate() {
            let actions = &world.actions[usize::from(service.first_action)..][..usize::from(ACTIONS_PER_SERVICE)];
            let names: HashSet<_> = actions.iter().map(|action| action.name.as_str()).collect();
            assert_eq!(names.len(), actions.len(), "{}", service.name);
            assert!(actions.iter().all(|action| usize::from(action.service) == number));
            assert!(actions.iter().any(|action| action.effect == Effect::Read), "{}", service.name);
            for action in actions {
                assert_eq!(world.actions[usize::from(action.failed)].effect, Effect::Failed, "{}", action.name);
            }
        }
        let services: HashSet<_> = world.services.iter().map(|service| &service.name).collect();
        assert_eq!(services.len(), SERVICES + APPS);
    }
}
