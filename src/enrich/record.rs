//! Records of MMDB files, in the layouts there are.
//!
//! `MaxMind` (`GeoLite2`, `GeoIP2`) and DB-IP nest places (`country.iso_code`, `city.names.en`) and name networks
//! flatly, or below `traits` where a file has both. Collections made of them are flat throughout
//! (`country_code`, `state1`, and `city` is a text). Other keys are skipped.

use std::fmt;

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, MapAccess, Visitor};

/// What a record may tell.
#[derive(Debug, Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
pub(super) struct Record<'a> {
    pub(super) city: Named<'a>,
    pub(super) country: Named<'a>,
    pub(super) subdivisions: Vec<Named<'a>>,
    pub(super) country_code: Option<&'a str>,
    pub(super) state1: Option<&'a str>,
    pub(super) autonomous_system_number: Option<i64>,
    pub(super) autonomous_system_organization: Option<&'a str>,
    pub(super) isp: Option<&'a str>,
    pub(super) organization: Option<&'a str>,
    pub(super) traits: Traits<'a>,
}

/// Networks in files that also hold places.
#[derive(Debug, Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
pub(super) struct Traits<'a> {
    pub(super) autonomous_system_number: Option<i64>,
    pub(super) autonomous_system_organization: Option<&'a str>,
    pub(super) isp: Option<&'a str>,
    pub(super) organization: Option<&'a str>,
}

/// A place of some size: an object with names and a code, or a name alone.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Named<'a> {
    /// Code of ISO 3166.
    pub(super) code: Option<&'a str>,
    /// Name in English, or in the first language that the file has.
    pub(super) name: Option<&'a str>,
}

impl<'de: 'a, 'a> Deserialize<'de> for Named<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NamedVisitor)
    }
}

struct NamedVisitor;

impl<'de> Visitor<'de> for NamedVisitor {
    type Value = Named<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a place or its name")
    }

    fn visit_borrowed_str<E>(self, name: &'de str) -> Result<Named<'de>, E> {
        Ok(Named { code: None, name: Some(name) })
    }

    fn visit_map<M: MapAccess<'de>>(self, map: M) -> Result<Named<'de>, M::Error> {
        let Keys { iso_code, names } = Keys::deserialize(MapAccessDeserializer::new(map))?;
        Ok(Named { code: iso_code, name: names.0 })
    }
}

#[derive(Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
struct Keys<'a> {
    iso_code: Option<&'a str>,
    names: Names<'a>,
}

/// The one name that is taken of those by language.
#[derive(Default)]
struct Names<'a>(Option<&'a str>);

impl<'de: 'a, 'a> Deserialize<'de> for Names<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(NamesVisitor)
    }
}

struct NamesVisitor;

impl<'de> Visitor<'de> for NamesVisitor {
    type Value = Names<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("names by language")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Names<'de>, M::Error> {
        let mut taken = None;
        while let Some((language, name)) = map.next_entry::<&str, &str>()? {
            if language == "en" || taken.is_none() {
                taken = Some(name);
            }
        }
        Ok(Names(taken))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_layout_is_read_and_other_keys_are_skipped() {
        let nested = r#"{"continent":{"code":"EU"},"city":{"geoname_id":1,"names":{"de":"München","en":"Munich"}},
            "country":{"iso_code":"DE","names":{"en":"Germany"}},"location":{"latitude":1.5},
            "subdivisions":[{"iso_code":"BY","names":{"en":"Bavaria"}},{"names":{"en":"Upper Bavaria"}}],
            "traits":{"autonomous_system_number":3320,"isp":"Telekom","user_type":"x"}}"#;
        let record: Record<'_> = serde_json::from_str(nested).unwrap();
        assert_eq!((record.city.name, record.country.code), (Some("Munich"), Some("DE")));
        assert_eq!(record.subdivisions[0], Named { code: Some("BY"), name: Some("Bavaria") });
        assert_eq!((record.traits.autonomous_system_number, record.traits.isp), (Some(3320), Some("Telekom")));
        let flat = r#"{"city":"Munich","country_code":"DE","state1":"Bavaria","latitude":48.1}"#;
        let record: Record<'_> = serde_json::from_str(flat).unwrap();
        assert_eq!(
            (record.city.name, record.country_code, record.state1),
            (Some("Munich"), Some("DE"), Some("Bavaria"))
        );
        let one_language = r#"{"city":{"names":{"fr":"Munich (fr)"}}}"#;
        assert_eq!(serde_json::from_str::<Record<'_>>(one_language).unwrap().city.name, Some("Munich (fr)"));
        assert!(serde_json::from_str::<Record<'_>>(r#"{"city":5}"#).is_err());
    }
}
