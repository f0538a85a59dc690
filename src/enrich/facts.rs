//! What is known about an address, in the letter case of the wire.

use super::record::Record;

/// Everything known about an address.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Facts {
    pub(super) place: Option<Place>,
    pub(super) network: Option<Network>,
}

/// Where it is.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Place {
    /// Lower case.
    pub(super) city: Option<String>,
    /// ISO 3166-1, upper case.
    pub(super) country: Option<String>,
    /// The subdivision's code of ISO 3166-2 where the file has it (`ca`), else its name; lower case.
    pub(super) region: Option<String>,
    /// The subdivision's name in lower case: what vendors write who do not write its code.
    pub(super) region_name: Option<String>,
}

/// Whose it is.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Network {
    pub(super) asn: Option<i64>,
    /// Owner of the autonomous system; lower case, without commas.
    pub(super) asn_name: Option<String>,
    /// Who holds the address: the organisation, else its provider, else the system's owner; likewise.
    pub(super) organization: Option<String>,
}

impl Facts {
    pub(super) fn of(record: &Record<'_>) -> Self {
        Self { place: Place::of(record), network: Network::of(record) }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.place.is_none() && self.network.is_none()
    }

    /// Adds what another file knows. A place is taken whole from the first file that has one, as two files may mean
    /// different places; of a network that the first has, only what it lacks.
    pub(super) fn add(&mut self, other: Self) {
        self.place = self.place.take().or(other.place);
        let Some(theirs) = other.network else { return };
        let ours = self.network.get_or_insert_default();
        if ours.asn.is_none() || theirs.asn.is_none() || ours.asn == theirs.asn {
            ours.asn = ours.asn.or(theirs.asn);
            ours.asn_name = ours.asn_name.take().or(theirs.asn_name);
            ours.organization = ours.organization.take().or(theirs.organization);
        }
    }
}

impl Place {
    fn of(record: &Record<'_>) -> Option<Self> {
        let region = record.subdivisions.first().copied().unwrap_or_default();
        let region_name = text(region.name.or(record.state1));
        let place = Self {
            city: text(record.city.name),
            country: record.country.code.or(record.country_code).and_then(country),
            region: text(region.code).or_else(|| region_name.clone()),
            region_name,
        };
        // A region without a country or a city is in no place.
        (place.country.is_some() || place.city.is_some()).then_some(place)
    }
}

impl Network {
    fn of(record: &Record<'_>) -> Option<Self> {
        let traits = &record.traits;
        let asn_name = record.autonomous_system_organization.or(traits.autonomous_system_organization);
        let organization = record.organization.or(traits.organization).or(record.isp).or(traits.isp);
        let network = Self {
            asn: record.autonomous_system_number.or(traits.autonomous_system_number).filter(|number| *number > 0),
            asn_name: asn_name.and_then(name),
            organization: organization.or(asn_name).and_then(name),
        };
        (network != Self::default()).then_some(network)
    }
}

fn text(text: Option<&str>) -> Option<String> {
    text.map(str::trim).filter(|text| !text.is_empty()).map(str::to_lowercase)
}

fn name(name: &str) -> Option<String> {
    text(Some(&name.replace(',', "")))
}

/// `ZZ` is what some files say of addresses that are nowhere.
fn country(code: &str) -> Option<String> {
    let code = code.trim().to_ascii_uppercase();
    (code.len() == 2 && code.bytes().all(|byte| byte.is_ascii_uppercase()) && code != "ZZ").then_some(code)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(json: &str) -> Facts {
        Facts::of(&serde_json::from_str(json).unwrap())
    }

    #[test]
    fn letter_case_and_commas_are_those_of_the_wire() {
        let found = facts(
            r#"{"city":{"names":{"en":"Frankfurt am Main"}},"country":{"iso_code":"de"},
                "subdivisions":[{"iso_code":"HE","names":{"en":"Hesse"}}],
                "autonomous_system_number":16509,"autonomous_system_organization":"Amazon.com, Inc.",
                "organization":"A100 ROW GmbH","isp":"Amazon"}"#,
        );
        let place = Place {
            city: text(Some("frankfurt am main")),
            country: country("DE"),
            region: text(Some("he")),
            region_name: text(Some("hesse")),
        };
        let network = Network {
            asn: Some(16509),
            asn_name: text(Some("amazon.com inc.")),
            organization: text(Some("a100 row gmbh")),
        };
        assert_eq!(found, Facts { place: Some(place), network: Some(network) });
    }

    #[test]
    fn what_stands_in_for_what_is_missing() {
        let found = facts(r#"{"city":{"names":{"en":"X"}},"subdivisions":[{"names":{"en":"Hesse"}}]}"#);
        assert_eq!(found.place.unwrap().region, text(Some("hesse")));
        let network = |json| facts(json).network.unwrap();
        assert_eq!(network(r#"{"autonomous_system_organization":"A, B"}"#).organization, text(Some("a b")));
        assert_eq!(network(r#"{"traits":{"isp":"P","autonomous_system_number":5}}"#).organization, text(Some("p")));
        for nothing in [
            r#"{"country":{"iso_code":"ZZ"}}"#,
            r#"{"country_code":"--"}"#,
            r#"{"city":{"names":{"en":" "}}}"#,
            r#"{"subdivisions":[{"iso_code":"HE"}]}"#,
            r#"{"autonomous_system_number":0}"#,
            r#"{"location":{"latitude":1.0}}"#,
        ] {
            assert!(facts(nothing).is_empty(), "{nothing}");
        }
    }

    #[test]
    fn files_are_added_without_mixing_places_or_systems() {
        let mut found = facts(r#"{"country_code":"DE"}"#);
        found.add(facts(r#"{"country_code":"DE","city":"Bonn","autonomous_system_number":1}"#));
        found.add(facts(r#"{"autonomous_system_number":1,"autonomous_system_organization":"One"}"#));
        found.add(facts(r#"{"autonomous_system_number":2,"autonomous_system_organization":"Two","isp":"Two"}"#));
        assert_eq!(found.place.unwrap().city, None);
        let one = Network { asn: Some(1), asn_name: text(Some("one")), organization: text(Some("one")) };
        assert_eq!(found.network, Some(one));
    }
}
