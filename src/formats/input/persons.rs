//! What is derived from `user`: the key of all matching, and the sketch where the input has none.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, StringArray, StringBuilder};

use crate::domain::user_count::sketch_of_user;
use crate::domain::user_key::user_key;

/// Users remembered. Logs repeat theirs; a miss costs a hash of the name and two small allocations.
const REMEMBERED: usize = 4_096;

/// Longest remembered name, in bytes.
const MAX_REMEMBERED_BYTES: usize = 256;

#[derive(Debug)]
struct Person {
    /// None for a name of nothing but white space, which is nobody.
    key: Option<Box<str>>,
    sketch: Box<str>,
}

impl Person {
    fn of(user: &str) -> Self {
        let key = Some(user_key(user)).filter(|key| !key.is_empty()).map(String::into_boxed_str);
        Self { key, sketch: sketch_of_user(user).into_boxed_str() }
    }
}

/// Derives, and remembers for the next rows.
#[derive(Debug)]
pub(super) struct Persons {
    places: HashMap<Box<str>, usize>,
    people: Vec<Person>,
}

impl Persons {
    pub(super) fn new() -> Self {
        Self { places: HashMap::new(), people: Vec::new() }
    }

    /// `userKey` and `userCount` of each row. A row without a user has no key, and only the sketch
    /// that the input brought.
    pub(super) fn derive(
        &mut self,
        users: Option<&StringArray>,
        counts: Option<&StringArray>,
        rows: usize,
    ) -> (ArrayRef, ArrayRef) {
        let mut user_keys = StringBuilder::with_capacity(rows, rows * 24);
        let mut user_counts = StringBuilder::with_capacity(rows, rows * 16);
        for row in 0..rows {
            let user = users.filter(|users| users.is_valid(row)).map(|users| users.value(row));
            let count = counts.filter(|counts| counts.is_valid(row)).map(|counts| counts.value(row));
            let fresh;
            let person = match user {
                None => None,
                Some(user) if user.len() > MAX_REMEMBERED_BYTES => {
                    fresh = Person::of(user);
                    Some(&fresh)
                }
                Some(user) => Some(self.recall(user)),
            };
            let named = person.and_then(|person| Some((person.key.as_deref()?, &*person.sketch)));
            user_keys.append_option(named.map(|(key, _)| key));
            user_counts.append_option(count.or(named.map(|(_, sketch)| sketch)));
        }
        (Arc::new(user_keys.finish()), Arc::new(user_counts.finish()))
    }

    fn recall(&mut self, user: &str) -> &Person {
        let place = match self.places.get(user) {
            Some(place) => *place,
            None => self.add(user),
        };
        &self.people[place]
    }

    fn add(&mut self, user: &str) -> usize {
        if self.people.len() >= REMEMBERED {
            self.places.clear();
            self.people.clear();
        }
        self.places.insert(user.into(), self.people.len());
        self.people.push(Person::of(user));
        self.people.len() - 1
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::AsArray;

    use super::*;

    fn derived(users: &[Option<&str>], counts: Option<&[Option<&str>]>) -> Vec<(Option<String>, Option<String>)> {
        let users_array = StringArray::from(users.to_vec());
        let counts_array = counts.map(|counts| StringArray::from(counts.to_vec()));
        let (keys, counts) = Persons::new().derive(Some(&users_array), counts_array.as_ref(), users.len());
        let owned = |array: &ArrayRef, row| {
            let array = array.as_string::<i32>();
            array.is_valid(row).then(|| array.value(row).to_owned())
        };
        (0..users.len()).map(|row| (owned(&keys, row), owned(&counts, row))).collect()
    }

    #[test]
    fn key_and_sketch_follow_the_user() {
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(
            derived(&[Some("Box"), None, Some(""), Some(" \t"), Some("Box")], None),
            [
                (some("box"), some("AQAAAQAAAACzEA==")),
                (None, None),
                (None, None),
                (None, None),
                (some("box"), some("AQAAAQAAAACzEA==")),
            ]
        );
        assert_eq!(
            derived(&[Some("Box"), None, Some("Box")], Some(&[Some("own"), Some("own"), None])),
            [(some("box"), some("own")), (None, some("own")), (some("box"), some("AQAAAQAAAACzEA=="))]
        );
    }

    #[test]
    fn more_users_than_are_remembered_and_very_long_ones() {
        let names: Vec<String> = (0..2 * REMEMBERED + 3).map(|i| format!("User{i}")).collect();
        let long = "L".repeat(MAX_REMEMBERED_BYTES + 1);
        let mut users: Vec<Option<&str>> = names.iter().map(|name| Some(name.as_str())).collect();
        users.push(Some(&long));
        users.extend_from_within(..);
        for (user, (key, count)) in users.iter().zip(derived(&users, None)) {
            let user = user.unwrap();
            assert_eq!(key, Some(user_key(user)));
            assert_eq!(count, Some(sketch_of_user(user)));
        }
    }
}
