//! The object within a wrapper.

use std::fmt;

use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

/// The first of these members that is an object, if the wrapper is sound JSON.
pub(super) fn object_of<'a>(wrapper: &'a [u8], members: &[String]) -> Option<&'a [u8]> {
    let mut json = serde_json::Deserializer::from_slice(wrapper);
    let found = json.deserialize_map(Members(members)).ok()?;
    // What is not sound is left as it is; reading the record will tell.
    json.end().ok()?;
    found.into_iter().flatten().map(|value| value.get().as_bytes()).find(|value| value.starts_with(b"{"))
}

struct Members<'m>(&'m [String]);

impl<'de> Visitor<'de> for Members<'_> {
    type Value = Vec<Option<&'de RawValue>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = vec![None; self.0.len()];
        while let Some(key) = map.next_key::<std::borrow::Cow<'de, str>>()? {
            match self.0.iter().position(|member| *member == key) {
                Some(member) => found[member] = Some(map.next_value()?),
                None => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(found)
    }
}
