//! What the log says of a data file's rows, and whether the rows keep to it.

use std::collections::BTreeMap;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::{max, max_string, min, min_string};
use arrow::datatypes::{DataType, Int64Type};
use serde::Deserialize;
use serde_json::Value;

use crate::domain::activity::STATISTICS_COLUMNS;

/// Statistics of a file as the log holds them.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Statistics {
    /// Rows of the file.
    pub(super) num_records: Option<u64>,
    #[serde(default)]
    min_values: BTreeMap<String, Value>,
    #[serde(default)]
    max_values: BTreeMap<String, Value>,
}

/// A smallest or largest value.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Bound {
    Number(i64),
    Text(String),
}

impl Bound {
    fn of(value: &Value) -> Option<Self> {
        match value {
            Value::Number(number) => number.as_i64().map(Self::Number),
            Value::String(text) => Some(Self::Text(text.clone())),
            _ => None,
        }
    }
}

impl Statistics {
    /// Why these values of a column are not within its bounds; a queries' choice of files would miss them. A bound
    /// that is absent bounds nothing.
    pub(super) fn contradiction(&self, column: &str, least: &Bound, most: &Bound) -> Option<String> {
        let low = self.min_values.get(column).and_then(Bound::of);
        let high = self.max_values.get(column).and_then(Bound::of);
        let below = low.is_some_and(|low| *least < low);
        let above = high.is_some_and(|high| *most > high);
        (below || above).then(|| {
            let shown =
                |values: &BTreeMap<String, Value>| values.get(column).map_or("none".to_owned(), Value::to_string);
            // The values themselves are people's data: only numbers are shown.
            match (least, most) {
                (Bound::Number(least), Bound::Number(most)) => format!(
                    "{column} goes from {least} to {most}, the log says from {} to {}",
                    shown(&self.min_values),
                    shown(&self.max_values)
                ),
                _ => format!("{column} holds values outside of the log's bounds"),
            }
        })
    }
}

/// Bounds of the columns that have statistics, over all batches of a file.
#[derive(Debug, Default)]
pub(super) struct Bounds(BTreeMap<&'static str, (Bound, Bound)>);

impl Bounds {
    /// Widens the bounds by a batch.
    pub(super) fn add(&mut self, batch: &RecordBatch) {
        for name in STATISTICS_COLUMNS {
            let Some(column) = batch.column_by_name(name) else { continue };
            let found = match column.data_type() {
                DataType::Int64 => {
                    let numbers = column.as_primitive::<Int64Type>();
                    min(numbers).zip(max(numbers)).map(|(low, high)| (Bound::Number(low), Bound::Number(high)))
                }
                DataType::Utf8 => {
                    let texts = column.as_string::<i32>();
                    let text = |found: Option<&str>| found.map(|text| Bound::Text(text.to_owned()));
                    text(min_string(texts)).zip(text(max_string(texts)))
                }
                _ => None,
            };
            if let Some((low, high)) = found {
                let bounds = self.0.entry(name).or_insert_with(|| (low.clone(), high.clone()));
                bounds.0 = bounds.0.clone().min(low);
                bounds.1 = bounds.1.clone().max(high);
            }
        }
    }

    /// Contradictions between the rows and the log.
    pub(super) fn against(&self, statistics: &Statistics) -> Vec<String> {
        self.0.iter().filter_map(|(name, (low, high))| statistics.contradiction(name, low, high)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lake::testing::rows;

    fn contradictions(statistics: &str) -> Vec<String> {
        let mut bounds = Bounds::default();
        bounds.add(&rows(&[(5, "Bob", "b"), (7, "ann", "a")]));
        bounds.add(&rows(&[(3, "carl", "c")]));
        bounds.against(&serde_json::from_str(statistics).unwrap())
    }

    #[test]
    fn rows_must_lie_within_the_bounds() {
        let wide =
            r#"{"numRecords":3,"minValues":{"timeStamp":3,"userKey":"a"},"maxValues":{"timeStamp":7,"userKey":"d"}}"#;
        assert!(contradictions(wide).is_empty());
        assert!(contradictions("{}").is_empty(), "no bounds");
        let late = r#"{"minValues":{"timeStamp":4},"maxValues":{"timeStamp":9}}"#;
        assert_eq!(contradictions(late), ["timeStamp goes from 3 to 7, the log says from 4 to 9"]);
        let short = contradictions(r#"{"minValues":{"userKey":"a"},"maxValues":{"userKey":"c"}}"#);
        assert_eq!(short, ["userKey holds values outside of the log's bounds"], "no names are shown");
    }
}
