//! The tree of fields that a source reads, as Arrow's types.

use arrow::datatypes::{DataType, Field};

/// A key on the way to a field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Key {
    pub(super) name: String,
    /// The key holds a list; what follows is of its elements.
    pub(super) list: bool,
}

/// Fields of one object.
#[derive(Debug, Default)]
pub(super) struct Fields(Vec<Node>);

#[derive(Debug)]
struct Node {
    key: Key,
    value: Value,
}

#[derive(Debug)]
enum Value {
    Leaf(DataType),
    Object(Fields),
}

impl Fields {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds the field at the end of a path, or says which key means two things.
    pub(super) fn add(&mut self, path: &[Key], data_type: &DataType) -> Result<(), String> {
        let Some((key, rest)) = path.split_first() else { return Ok(()) };
        let Some(node) = self.0.iter_mut().find(|node| node.key.name == key.name) else {
            let mut inner = Self::default();
            inner.add(rest, data_type)?;
            let value = if rest.is_empty() { Value::Leaf(data_type.clone()) } else { Value::Object(inner) };
            self.0.push(Node { key: key.clone(), value });
            return Ok(());
        };
        match &mut node.value {
            Value::Object(inner) if node.key.list == key.list && !rest.is_empty() => inner.add(rest, data_type),
            _ => Err(format!("`{}` is given before as something else", key.name)),
        }
    }

    pub(super) fn into_arrow(self) -> Vec<Field> {
        let field = |Node { key, value }| {
            let value = match value {
                Value::Leaf(data_type) => data_type,
                Value::Object(fields) => DataType::Struct(fields.into_arrow().into()),
            };
            let data_type = if key.list { DataType::new_list(value, true) } else { value };
            Field::new(key.name, data_type, true)
        };
        self.0.into_iter().map(field).collect()
    }
}
