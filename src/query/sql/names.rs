//! Names of an answer's columns, each once.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::StreamExt;

/// `SELECT a.x, b.x` gives two columns called `x`, which JSON objects cannot hold: the second becomes `x_2`. None
/// where all names differ.
fn renamed(schema: &Schema) -> Option<SchemaRef> {
    let mut taken: HashSet<String> = HashSet::new();
    let given: HashSet<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    if given.len() == schema.fields().len() {
        return None;
    }
    let fields = schema.fields().iter().map(|field| {
        let mut name = field.name().clone();
        let mut number = 2_usize;
        while !taken.insert(name.clone()) {
            loop {
                name = format!("{}_{number}", field.name());
                number += 1;
                if !given.contains(name.as_str()) {
                    break;
                }
            }
        }
        field.as_ref().clone().with_name(name)
    });
    Some(Arc::new(Schema::new(fields.collect::<Vec<Field>>())))
}

/// The rows with every name once.
pub(super) fn once_each(rows: SendableRecordBatchStream) -> SendableRecordBatchStream {
    let Some(schema) = renamed(&rows.schema()) else { return rows };
    let named = Arc::clone(&schema);
    let rows = rows.map(move |batch| {
        let (_, columns, _) = batch?.into_parts();
        Ok(RecordBatch::try_new(Arc::clone(&named), columns)?)
    });
    Box::pin(RecordBatchStreamAdapter::new(schema, rows))
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::DataType;

    use super::*;

    #[test]
    fn a_name_that_comes_again_gets_the_next_free_number() {
        let schema = |names: &[&str]| {
            Schema::new(names.iter().map(|name| Field::new(*name, DataType::Null, true)).collect::<Vec<_>>())
        };
        let names = renamed(&schema(&["x", "x", "x_2", "x", "y"])).unwrap();
        let names: Vec<_> = names.fields().iter().map(|field| field.name().as_str()).collect();
        assert_eq!(names, ["x", "x_3", "x_2", "x_4", "y"]);
        assert!(renamed(&schema(&["x", "X", "y"])).is_none());
    }
}
