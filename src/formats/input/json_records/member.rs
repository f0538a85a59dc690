//! The object within a wrapper: under a key, as it is or as a text of JSON.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

/// The first of these members that is an object or a text of one, if the wrapper is sound JSON.
pub(super) fn object_of<'a>(wrapper: &'a [u8], members: &[String]) -> Option<Cow<'a, [u8]>> {
    let mut json = serde_json::Deserializer::from_slice(wrapper);
    let found = json.deserialize_map(Members(members)).ok()?;
    // What is not sound is left as it is; reading the record will tell.
    json.end().ok()?;
    found.into_iter().flatten().find_map(|value| match value.get().as_bytes() {
        object @ [b'{', ..] => Some(Cow::Borrowed(object)),
        [b'"', ..] => {
            let text: String = serde_json::from_str(value.get()).ok()?;
            text.trim_start().starts_with('{').then(|| Cow::Owned(text.trim().as_bytes().to_vec()))
        }
        _ => None,
    })
}

struct Members<'m>(&'m [String]);

impl<'de> Visitor<'de> for Members<'_> {
    type Value = Vec<Option<&'de RawValue>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = vec![None; self.0.len()];
        while let Some(key) = map.next_key::<Cow<'de, str>>()? {
            match self.0.iter().position(|member| *member == key) {
                Some(member) => found[member] = Some(map.next_value()?),
                None => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(found)
    }
}
