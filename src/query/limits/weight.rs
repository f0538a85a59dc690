//! How much memory a copy of each row of a column takes.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::DataType;

/// Bytes of a text view, of an offset with its share of bookkeeping, or of a number at most.
const CELL_BYTES: u64 = 16;

/// Bytes that a copy of each row takes. A text view is copied without its text, unless `texts` asks for that too.
#[must_use]
pub fn row_weights(column: &ArrayRef, texts: bool) -> Vec<u64> {
    let rows = column.len();
    match column.data_type() {
        DataType::Utf8 => spans(column.as_string::<i32>().value_offsets()),
        DataType::Binary => spans(column.as_binary::<i32>().value_offsets()),
        DataType::LargeUtf8 => spans(column.as_string::<i64>().value_offsets()),
        DataType::LargeBinary => spans(column.as_binary::<i64>().value_offsets()),
        DataType::Utf8View if texts => {
            column.as_string_view().lengths().map(|length| CELL_BYTES + u64::from(length)).collect()
        }
        DataType::BinaryView if texts => {
            column.as_binary_view().lengths().map(|length| CELL_BYTES + u64::from(length)).collect()
        }
        DataType::List(_) => {
            let list = column.as_list::<i32>();
            of_children(&row_weights(list.values(), true), list.value_offsets())
        }
        DataType::LargeList(_) => {
            let list = column.as_list::<i64>();
            of_children(&row_weights(list.values(), true), list.value_offsets())
        }
        DataType::Map(..) => {
            let map = column.as_map();
            let entries: ArrayRef = std::sync::Arc::new(map.entries().clone());
            of_children(&row_weights(&entries, true), map.value_offsets())
        }
        DataType::Struct(_) => {
            let mut weights = vec![CELL_BYTES; rows];
            for child in column.as_struct().columns() {
                for (weight, more) in weights.iter_mut().zip(row_weights(child, texts)) {
                    *weight = weight.saturating_add(more);
                }
            }
            weights
        }
        DataType::Dictionary(..) if texts => {
            let dictionary = column.as_any_dictionary();
            let values = row_weights(dictionary.values(), true);
            dictionary.normalized_keys().into_iter().map(|key| values.get(key).copied().unwrap_or(CELL_BYTES)).collect()
        }
        // Fixed-size types are refused before a plan is made; what is left is a number or a view.
        _ => vec![CELL_BYTES; rows],
    }
}

/// Bytes that all rows take together.
#[must_use]
pub fn weight(column: &ArrayRef) -> u64 {
    row_weights(column, true).into_iter().fold(0, u64::saturating_add)
}

fn spans<O: Copy + TryInto<u64>>(offsets: &[O]) -> Vec<u64> {
    let at = |offset: &O| (*offset).try_into().unwrap_or(0);
    offsets.windows(2).map(|pair| CELL_BYTES + at(&pair[1]).saturating_sub(at(&pair[0]))).collect()
}

fn of_children<O: Copy + TryInto<usize>>(children: &[u64], offsets: &[O]) -> Vec<u64> {
    let at = |offset: &O| (*offset).try_into().unwrap_or(0).min(children.len());
    let sum = |pair: &[O]| children.get(at(&pair[0])..at(&pair[1])).unwrap_or_default().iter().sum::<u64>();
    offsets.windows(2).map(|pair| CELL_BYTES + sum(pair)).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Int64Array, ListArray, StringArray, StringViewArray, StructArray};
    use arrow::datatypes::{Field, Int64Type};

    use super::*;

    #[test]
    fn texts_and_lists_weigh_what_a_copy_takes() {
        let long = "x".repeat(100);
        let views: ArrayRef = Arc::new(StringViewArray::from(vec![Some("a"), None, Some(&long)]));
        assert_eq!(row_weights(&views, false), [16, 16, 16]);
        assert_eq!(row_weights(&views, true), [17, 16, 116]);
        let texts: ArrayRef = Arc::new(StringArray::from(vec![Some("a"), None, Some(&long)]));
        assert_eq!(row_weights(&texts.slice(1, 2), false), [16, 116]);
        let lists = vec![Some(vec![Some(1), Some(2)]), None, Some(vec![])];
        let lists: ArrayRef = Arc::new(ListArray::from_iter_primitive::<Int64Type, _, _>(lists));
        assert_eq!(row_weights(&lists, false), [48, 16, 16]);
        assert_eq!(row_weights(&lists.slice(1, 2), false), [16, 16]);
        let numbers: ArrayRef = Arc::new(Int64Array::from(vec![1, 2, 3]));
        let field = |name: &str, array: &ArrayRef| Arc::new(Field::new(name, array.data_type().clone(), true));
        let both: ArrayRef = Arc::new(StructArray::from(vec![
            (field("l", &lists), Arc::clone(&lists)),
            (field("n", &numbers), Arc::clone(&numbers)),
        ]));
        assert_eq!(row_weights(&both, false), [80, 48, 48]);
        assert_eq!(weight(&both), 176);
    }
}
