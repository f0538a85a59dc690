//! Rules that hold for each row of the activities table.

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::Int64Type;

use super::finding::Kind;
use crate::domain::activity::{TENANT_ID, TIME_STAMP, USER, USER_KEY};
use crate::domain::day::{DAY_MS, Day};
use crate::domain::tenant::TenantId;
use crate::domain::user_key::user_key;

/// Counts the rows of one file that break a rule.
#[derive(Debug)]
pub(super) struct RowCheck {
    tenant: TenantId,
    day: Option<String>,
    wrong_day: Count,
    wrong_tenant: Count,
    wrong_key: Count,
}

/// How often, and where first.
#[derive(Debug, Default)]
struct Count {
    rows: u64,
    example: Option<i64>,
}

impl Count {
    fn add(&mut self, example: i64) {
        self.rows += 1;
        self.example.get_or_insert(example);
    }

    fn found(&self, what: &str, of: &str) -> Option<String> {
        let example = self.example?;
        let rows = if self.rows == 1 { "1 row has".to_owned() } else { format!("{} rows have", self.rows) };
        Some(format!("{rows} {what}, the first {of} {example}"))
    }
}

impl RowCheck {
    pub(super) fn new(tenant: TenantId, day: Option<String>) -> Self {
        let count = Count::default;
        Self { tenant, day, wrong_day: count(), wrong_tenant: count(), wrong_key: count() }
    }

    /// Looks at a batch of the file's rows.
    pub(super) fn add(&mut self, batch: &RecordBatch) {
        let numbers = |name| batch.column_by_name(name).and_then(|c| c.as_primitive_opt::<Int64Type>());
        let Some(times) = numbers(TIME_STAMP) else { return };
        // Rows of a day lie together: the day's text is made once for each.
        let mut known: Option<(i64, bool)> = None;
        for time in times.values() {
            let day = time.div_euclid(DAY_MS);
            let fits = match known {
                Some((last, fits)) if last == day => fits,
                _ => Day::of_time_stamp(*time).map(|d| d.to_string()) == self.day,
            };
            known = Some((day, fits));
            if !fits {
                self.wrong_day.add(*time);
            }
        }
        if let Some(tenants) = numbers(TENANT_ID) {
            for tenant in tenants.values().iter().filter(|tenant| **tenant != self.tenant.get()) {
                self.wrong_tenant.add(*tenant);
            }
        }
        let texts = |name| batch.column_by_name(name).and_then(|c| c.as_string_opt::<i32>());
        let (Some(users), Some(keys)) = (texts(USER), texts(USER_KEY)) else { return };
        let mut last: Option<(&str, String)> = None;
        for row in 0..batch.num_rows() {
            let key = users.is_valid(row).then(|| users.value(row)).map(|user| match last.take() {
                Some((same, key)) if same == user => (user, key),
                _ => (user, user_key(user)),
            });
            let stored = keys.is_valid(row).then(|| keys.value(row));
            if key.as_ref().map(|(_, key)| key.as_str()) != stored {
                self.wrong_key.add(times.value(row));
            }
            last = key;
        }
    }

    /// What broke a rule.
    pub(super) fn findings(&self) -> Vec<(Kind, String)> {
        let found = [
            (Kind::WrongDay, self.wrong_day.found("another day than their folder", "of timeStamp")),
            (Kind::WrongTenant, self.wrong_tenant.found("another tenant", "of tenantId")),
            (Kind::WrongUserKey, self.wrong_key.found("a userKey that is not their user's", "of timeStamp")),
        ];
        found.into_iter().filter_map(|(kind, how)| Some((kind, how?))).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::StringArray;

    use super::*;
    use crate::lake::testing::{rows, tenant};

    fn findings(batch: &RecordBatch, tenant: TenantId) -> Vec<(Kind, String)> {
        let mut check = RowCheck::new(tenant, Some("1970-01-01".to_owned()));
        check.add(batch);
        check.findings()
    }

    #[test]
    fn each_rule_is_told_with_its_count_and_its_first_row() {
        let good = rows(&[(5, "Bob ", "b"), (6, "bob", "c"), (DAY_MS - 1, "ann", "a")]);
        assert!(findings(&good, tenant().id).is_empty());
        let late = rows(&[(5, "bob", "b"), (DAY_MS, "ann", "a"), (DAY_MS + 1, "ann", "a")]);
        let told =
            [(Kind::WrongDay, "2 rows have another day than their folder, the first of timeStamp 86400000".into())];
        assert_eq!(findings(&late, tenant().id), told);
        let other = TenantId::try_from(7).unwrap();
        assert_eq!(findings(&rows(&[(5, "bob", "b")]), other)[0].0, Kind::WrongTenant);
        let at = good.schema().index_of(USER_KEY).unwrap();
        let mut columns = good.columns().to_vec();
        columns[at] = Arc::new(StringArray::from(vec![Some("bob"), None, Some("ann")]));
        let keyless = RecordBatch::try_new(good.schema(), columns).unwrap();
        let told =
            [(Kind::WrongUserKey, "1 row has a userKey that is not their user's, the first of timeStamp 6".into())];
        assert_eq!(findings(&keyless, tenant().id), told);
    }
}
