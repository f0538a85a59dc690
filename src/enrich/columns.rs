//! The columns that are filled, each group as a whole: what the source brought is never changed, and where it
//! contradicts what was found, nothing of that group is filled. A city of one country beside another country
//! would be worse than none.

use std::borrow::Cow;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Int64Array, StringArray};
use arrow::datatypes::Int64Type;

use super::facts::{Network, Place};
use super::fill::Origin;
use crate::domain::location::location_id;
use crate::domain::trust::{Judged, TrustList};
use crate::formats::input::{WireBatch, slot_of};

/// A text column of a batch, where it has one.
pub(super) fn texts(batch: &WireBatch, name: &str) -> Option<StringArray> {
    column(batch, name)?.as_string_opt().cloned()
}

fn column<'b>(batch: &'b WireBatch, name: &str) -> Option<&'b ArrayRef> {
    batch.columns.get(slot_of(name)?)?.as_ref()
}

fn set(batch: &mut WireBatch, name: &str, column: impl Array + 'static) {
    if let Some(place) = slot_of(name).and_then(|slot| batch.columns.get_mut(slot)) {
        *place = Some(Arc::new(column));
    }
}

fn cell(texts: Option<&StringArray>, row: usize) -> Option<&str> {
    texts.filter(|texts| texts.is_valid(row)).map(|texts| texts.value(row))
}

/// Whether two spellings may mean the same; what is not said contradicts nothing.
fn agree(brought: Option<&str>, found: Option<&str>) -> bool {
    match (brought, found) {
        (Some(brought), Some(found)) => brought.to_lowercase() == found.to_lowercase(),
        _ => true,
    }
}

/// A row's place.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Placed<'r> {
    city: Option<&'r str>,
    region: Option<&'r str>,
    country: Option<&'r str>,
    location_id: Option<Cow<'r, str>>,
}

impl<'r> Placed<'r> {
    /// The place with what it lacks; none where nothing is to be filled.
    fn filled(&self, found: &'r Place) -> Option<Self> {
        let region_agrees =
            agree(self.region, found.region.as_deref()) || agree(self.region, found.region_name.as_deref());
        let agrees = agree(self.country, found.country.as_deref()) && agree(self.city, found.city.as_deref());
        if !(agrees && region_agrees) {
            return None;
        }
        let city = self.city.or(found.city.as_deref());
        let region = self.region.or(found.region.as_deref());
        let country = self.country.or(found.country.as_deref());
        if (city, region, country) == (self.city, self.region, self.country) {
            return None;
        }
        // One that only joins what the source brought is joined anew from more.
        let joined = location_id(self.city, self.country, self.region);
        let is_own = self.location_id.is_some() && self.location_id.as_deref() != joined.as_deref();
        let location_id =
            if is_own { self.location_id.clone() } else { location_id(city, country, region).map(Cow::Owned) };
        Some(Self { city, region, country, location_id })
    }
}

/// Fills `city`, `region`, `country` and `locationId`.
pub(super) fn fill_places(batch: &mut WireBatch, origins: &[Origin]) {
    let [cities, regions, countries, ids] = ["city", "region", "country", "locationId"].map(|name| texts(batch, name));
    let mut changed = false;
    let mut places = Vec::with_capacity(origins.len());
    for (row, origin) in origins.iter().enumerate() {
        let brought = Placed {
            city: cell(cities.as_ref(), row),
            region: cell(regions.as_ref(), row),
            country: cell(countries.as_ref(), row),
            location_id: cell(ids.as_ref(), row).map(Cow::Borrowed),
        };
        let filled = origin.facts.place.as_ref().and_then(|found| brought.filled(found));
        changed |= filled.is_some();
        places.push(filled.unwrap_or(brought));
    }
    if changed {
        set(batch, "city", places.iter().map(|place| place.city).collect::<StringArray>());
        set(batch, "region", places.iter().map(|place| place.region).collect::<StringArray>());
        set(batch, "country", places.iter().map(|place| place.country).collect::<StringArray>());
        set(batch, "locationId", places.iter().map(|place| place.location_id.as_deref()).collect::<StringArray>());
    }
}

/// A row's network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Owned<'r> {
    asn: Option<i64>,
    asn_name: Option<&'r str>,
    organization: Option<&'r str>,
}

impl<'r> Owned<'r> {
    fn filled(&self, found: &'r Network) -> Option<Self> {
        let agrees = match (self.asn, found.asn) {
            (Some(brought), Some(found)) => brought == found,
            // Names are spelled in many ways; they decide only where there is no number.
            _ => agree(self.asn_name, found.asn_name.as_deref()),
        };
        let filled = Self {
            asn: self.asn.or(found.asn),
            asn_name: self.asn_name.or(found.asn_name.as_deref()),
            organization: self.organization.or(found.organization.as_deref()),
        };
        (agrees && filled != *self).then_some(filled)
    }
}

/// Fills `asn`, `asnName` and `geoOrgNameV1`.
pub(super) fn fill_networks(batch: &mut WireBatch, origins: &[Origin]) {
    let numbers = numbers(batch);
    let [names, organizations] = ["asnName", "geoOrgNameV1"].map(|name| texts(batch, name));
    let mut changed = false;
    let mut networks = Vec::with_capacity(origins.len());
    for (row, origin) in origins.iter().enumerate() {
        let brought = Owned {
            asn: number(numbers.as_ref(), row),
            asn_name: cell(names.as_ref(), row),
            organization: cell(organizations.as_ref(), row),
        };
        let filled = origin.facts.network.as_ref().and_then(|found| brought.filled(found));
        changed |= filled.is_some();
        networks.push(filled.unwrap_or(brought));
    }
    if changed {
        set(batch, "asn", networks.iter().map(|network| network.asn).collect::<Int64Array>());
        set(batch, "asnName", networks.iter().map(|network| network.asn_name).collect::<StringArray>());
        set(batch, "geoOrgNameV1", networks.iter().map(|network| network.organization).collect::<StringArray>());
    }
}

fn numbers(batch: &WireBatch) -> Option<Int64Array> {
    column(batch, "asn")?.as_primitive_opt::<Int64Type>().cloned()
}

fn number(numbers: Option<&Int64Array>, row: usize) -> Option<i64> {
    numbers.filter(|numbers| numbers.is_valid(row)).map(|numbers| numbers.value(row))
}

/// Fills `isSourceTrusted`, `trustEntity` and `trustReason`, in rows of which the source says nothing.
pub(super) fn fill_trust(batch: &mut WireBatch, origins: &[Origin], list: &TrustList) {
    let systems = numbers(batch);
    let trusted = column(batch, "isSourceTrusted").and_then(|column| column.as_boolean_opt()).cloned();
    let [entities, reasons] = ["trustEntity", "trustReason"].map(|name| texts(batch, name));
    let mut changed = false;
    let mut rows: Vec<(Option<bool>, Option<&str>, Option<&str>)> = Vec::with_capacity(origins.len());
    for (row, origin) in origins.iter().enumerate() {
        let is_trusted = trusted.as_ref().filter(|trusted| trusted.is_valid(row)).map(|trusted| trusted.value(row));
        let brought = (is_trusted, cell(entities.as_ref(), row), cell(reasons.as_ref(), row));
        let judged = match brought {
            (None, None, None) => list.judge(origin.address, number(systems.as_ref(), row)),
            _ => Judged::Unknown,
        };
        changed |= judged != Judged::Unknown;
        rows.push(match judged {
            Judged::Known(trust) => (Some(trust.trusted), Some(&*trust.entity), Some(&*trust.reason)),
            Judged::Foreign => (Some(false), None, None),
            Judged::Unknown => brought,
        });
    }
    if changed {
        set(batch, "isSourceTrusted", rows.iter().map(|row| row.0).collect::<BooleanArray>());
        set(batch, "trustEntity", rows.iter().map(|row| row.1).collect::<StringArray>());
        set(batch, "trustReason", rows.iter().map(|row| row.2).collect::<StringArray>());
    }
}
