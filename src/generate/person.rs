//! People and service accounts: where they are, what they use, how much they do.

use super::random::Random;
use super::record::Record;
use super::world::{
    Action, CLOUD, DEVICES, DOMAIN, Device, Effect, FIRST_NAMES, HOMES, LAST_NAMES, Network, OFFICE, PARTNERS,
    PRIVATE_NETWORKS, Place, SERVER, Service, file, whole,
};

/// Somewhere a request comes from.
#[derive(Debug, Clone)]
pub(super) struct Origin {
    pub(super) place: &'static Place,
    pub(super) network: Network,
    pub(super) address: String,
    pub(super) device: Device,
}

/// An account of the company.
#[derive(Debug)]
pub(super) struct Person {
    pub(super) email: String,
    pub(super) home: &'static Place,
    /// The home first, then the office and the phone; a service account has one.
    pub(super) origins: Vec<Origin>,
    /// Runs by itself, at a steady rate.
    pub(super) service_account: bool,
    /// Median of the activities on an active day.
    pub(super) daily: f64,
}

/// Service accounts per person: few, but they make two fifths of all activities.
const SERVICE_ACCOUNTS: [&str; 3] = ["svc-backup", "svc-sync", "svc-reporting"];

/// The company's accounts, service accounts last.
pub(super) fn people(seed: u64, count: usize) -> Vec<Person> {
    let services = SERVICE_ACCOUNTS.len().min(count / 10);
    (0..count)
        .map(|index| {
            let mut random = Random::of_part(seed, &[1, index as u64]);
            match (index + services).checked_sub(count) {
                Some(service) => service_account(SERVICE_ACCOUNTS[service], &mut random),
                None => person(index, &mut random),
            }
        })
        .collect()
}

fn service_account(name: &str, random: &mut Random) -> Person {
    let home = &HOMES[0].0;
    let address = format!("192.0.2.{}", 1 + random.below(250));
    Person {
        email: format!("{name}@{DOMAIN}"),
        home,
        origins: vec![Origin { place: home, network: CLOUD, address, device: SERVER }],
        service_account: true,
        daily: 480.0,
    }
}

fn person(index: usize, random: &mut Random) -> Person {
    // 7 and the number of last names share no divisor, so pairs repeat late.
    let (first, last) = (FIRST_NAMES[index % FIRST_NAMES.len()], LAST_NAMES[index * 7 % LAST_NAMES.len()]);
    let again = index / (FIRST_NAMES.len() * LAST_NAMES.len() / 4);
    let suffix = if again == 0 { String::new() } else { again.to_string() };
    let home = &random.pick_weighted(&HOMES, |(_, weight)| *weight).0;
    let computer = *random.pick(&DEVICES[..4]);
    let phone = *random.pick(&DEVICES[4..]);
    let broadband = *random.pick(&PRIVATE_NETWORKS[..4]);
    let mut private = || format!("198.{}.{}.{}", 18 + random.below(2), random.below(256), 1 + random.below(254));
    let (at_home, on_the_road) = (private(), private());
    let office = format!("203.0.113.{}", 1 + random.below(4));
    Person {
        email: format!("{first}.{last}{suffix}@{DOMAIN}"),
        home,
        origins: vec![
            Origin { place: home, network: broadband, address: at_home, device: computer },
            Origin { place: home, network: OFFICE, address: office, device: computer },
            Origin { place: home, network: PRIVATE_NETWORKS[4], address: on_the_road, device: phone },
        ],
        service_account: false,
        daily: random.log_normal(52.0, 0.5),
    }
}

impl Person {
    /// What an account does with a service at a time.
    pub(super) fn act(
        &self,
        time_stamp: i64,
        service: &'static Service,
        action: &'static Action,
        origin: &Origin,
        random: &mut Random,
    ) -> Record {
        let Origin { place, network, address, device } = origin;
        let mut record = Record {
            time_stamp,
            activity_id: format!("{:016x}", random.next()),
            user: self.email.clone(),
            service_name: service.name,
            action_name: action.name,
            operation: action.name,
            object_type: "ACTIVITY",
            csp_id: service.csp_id,
            sub_csp_id: service.csp_id,
            instance_id: service.instance_id,
            source_identifier: "Cloud Service API",
            source_ip: address.clone(),
            asn: network.asn,
            asn_name: network.owner,
            geo_org_name_v1: network.owner,
            city: place.city,
            region: place.region,
            country: place.country,
            location_id: format!("{}::{}::{}", place.city, place.country, place.region),
            network_type: network.kind,
            is_source_trusted: network.trusted,
            trust_entity: network.trusted.then_some("Acme IT"),
            trust_reason: network.trusted.then_some("Trusted Organization"),
            proxy_description: network.proxy.map(|(description, _)| description),
            proxy_type: network.proxy.map(|(_, kind)| kind),
            client_category: device.category,
            client_name: device.client,
            client_os: device.os,
            device_managed: device.managed,
            collab_group: DOMAIN,
            http_method: method(action.effect),
            site_url: service.site,
            ..Record::default()
        };
        self.on_object(&mut record, service, action.effect, random);
        record
    }

    /// What the action is on, and what it moves.
    fn on_object(&self, record: &mut Record, service: &'static Service, effect: Effect, random: &mut Random) {
        if matches!(effect, Effect::SignIn | Effect::SignInFailed) {
            return;
        }
        let target = format!("{:012x}", random.next() >> 16);
        let mut bytes = whole(random.log_normal(20_000.0, 1.5).min(5e8));
        if service.files {
            let file = file(random);
            bytes = file.size;
            record.file_folder_path = Some(file.folder);
            record.file_name = Some(file.name);
            record.file_type = Some(file.kind);
            record.file_size = Some(file.size);
            record.file_owner = Some(self.email.clone());
            record.file_sharing_enabled = Some(effect == Effect::Share || random.chance(0.2));
            record.directory = record.action_name.starts_with("FOLDER");
        }
        match effect {
            Effect::Download => record.download_bytes = bytes,
            Effect::Upload => record.upload_bytes = bytes,
            Effect::Share => record.collab_group_and_target = Some(format!("{}::{target}", random.pick(&PARTNERS))),
            _ => {}
        }
        record.url = Some(format!("{}/{}/{target}", service.site, service.target_type.to_ascii_lowercase()));
        record.target_id = Some(target);
        record.target_type = Some(service.target_type);
        record.no_of_objects = 1.0;
    }
}

fn method(effect: Effect) -> &'static str {
    match effect {
        Effect::Read | Effect::Download => "GET",
        Effect::SignIn | Effect::SignInFailed | Effect::Upload | Effect::Share | Effect::Administer => "POST",
        Effect::Update => "PUT",
        Effect::Delete => "DELETE",
    }
}
