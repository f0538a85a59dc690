//! What the functions of a statement make: counted while it lives, whoever holds it.
//!
//! No operator reserves the results of its expressions before they are there, and a projection makes all its columns
//! for a batch before the next operator sees one: each function may keep to its bound and a hundred of them not.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow::array::{Array, ArrayData, ArrayRef, make_array};
use arrow::buffer::Buffer;
use arrow::error::ArrowError;
use bytes::Bytes;
use datafusion::common::{DataFusionError, exec_datafusion_err, resources_datafusion_err};

use super::stop::Stop;
use super::{Limit, LimitsMet};

/// What may be on its way between operators beside the statement's memory, in bytes. What an operator has reserved is
/// counted here too, so that the statement's memory alone would leave no room for the next batch.
const ON_ITS_WAY_BYTES: u64 = 64 << 20;

/// Most bytes that functions may make of constants, in one statement: the planner copies what it has computed each time
/// that it rewrites the plan.
const MAX_CONSTANTS_BYTES: u64 = 16 << 20;

/// What the functions of one statement may do.
#[derive(Debug)]
pub struct Values {
    met: Arc<LimitsMet>,
    stop: Arc<Stop>,
    live: AtomicU64,
    most: u64,
    constants: AtomicU64,
}

impl Values {
    /// For a statement with this much memory, in bytes.
    #[must_use]
    pub fn new(memory_bytes: usize, met: Arc<LimitsMet>, stop: Arc<Stop>) -> Arc<Self> {
        let most = (memory_bytes as u64).saturating_add(ON_ITS_WAY_BYTES);
        Arc::new(Self { met, stop, live: AtomicU64::new(0), most, constants: AtomicU64::new(0) })
    }

    /// Notes the limit, for an error that says what is too large or too slow.
    pub(crate) fn refuse(&self, limit: Limit, what: std::fmt::Arguments<'_>) -> DataFusionError {
        self.met.note(limit);
        exec_datafusion_err!("{what}")
    }

    /// Whether the statement is still wanted.
    ///
    /// # Errors
    /// When it is not.
    pub(crate) fn go_on(&self) -> Result<(), DataFusionError> {
        self.stop.check()
    }

    /// Counts bytes that are about to be made of constants. They are never given back: the plan keeps them.
    ///
    /// # Errors
    /// When there are too many of them.
    pub(crate) fn keep(&self, bytes: u64) -> Result<(), DataFusionError> {
        if add(&self.constants, bytes, MAX_CONSTANTS_BYTES) {
            return Ok(());
        }
        Err(self.refuse(Limit::Value, format_args!("the functions of constants make too much")))
    }

    /// Counts bytes that are about to be made.
    ///
    /// # Errors
    /// When there are too many with those that live.
    pub(crate) fn charge(self: &Arc<Self>, bytes: u64) -> Result<Charge, DataFusionError> {
        if !add(&self.live, bytes, self.most) {
            self.met.note(Limit::Memory);
            return Err(resources_datafusion_err!("no {bytes} bytes more for the results of functions"));
        }
        Ok(Charge { values: Arc::clone(self), bytes })
    }
}

/// Adds unless that is more than `most`.
fn add(count: &AtomicU64, bytes: u64, most: u64) -> bool {
    let sum = |counted: u64| counted.checked_add(bytes).filter(|sum| *sum <= most);
    count.fetch_update(Ordering::AcqRel, Ordering::Acquire, sum).is_ok()
}

/// Bytes that are counted; given back when dropped.
#[derive(Debug)]
pub(crate) struct Charge {
    values: Arc<Values>,
    bytes: u64,
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.values.live.fetch_sub(self.bytes, Ordering::AcqRel);
    }
}

impl Charge {
    /// Counts them as long as a buffer of the array lives; less, when it turns out smaller.
    ///
    /// # Errors
    /// When the array breaks the rules of its type.
    pub(crate) fn hold(mut self, array: &ArrayRef) -> Result<ArrayRef, ArrowError> {
        let surplus = self.bytes.saturating_sub(array.get_array_memory_size() as u64);
        self.values.live.fetch_sub(surplus, Ordering::AcqRel);
        self.bytes -= surplus;
        Ok(make_array(held(array.to_data(), &Arc::new(self))?))
    }
}

/// A buffer with the count that it is a part of.
struct Held {
    buffer: Buffer,
    _charge: Arc<Charge>,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.buffer
    }
}

fn held(data: ArrayData, charge: &Arc<Charge>) -> Result<ArrayData, ArrowError> {
    let hold =
        |buffer: &Buffer| Buffer::from(Bytes::from_owner(Held { buffer: buffer.clone(), _charge: Arc::clone(charge) }));
    let buffers = data.buffers().iter().map(hold).collect();
    let children = data.child_data().iter().map(|child| held(child.clone(), charge));
    let children = children.collect::<Result<Vec<_>, _>>()?;
    data.into_builder().buffers(buffers).child_data(children).build()
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use arrow::array::{AsArray, ListArray, StringArray, StringViewArray};
    use arrow::datatypes::Int64Type;

    use super::*;

    fn values() -> (Arc<Values>, Arc<LimitsMet>) {
        let met = Arc::<LimitsMet>::default();
        let stop = Stop::at(Instant::now() + Duration::from_hours(1));
        (Values::new(0, Arc::clone(&met), stop), met)
    }

    #[test]
    fn results_are_counted_until_the_last_piece_is_gone() {
        let (values, met) = values();
        let long = "x".repeat(100);
        let lists = ListArray::from_iter_primitive::<Int64Type, _, _>([Some(vec![Some(1); 10]), None]);
        let arrays: [ArrayRef; 3] = [
            Arc::new(StringArray::from(vec![Some("a"), None, Some(&long)])),
            Arc::new(StringViewArray::from(vec![Some("a"), None, Some(&long)])),
            Arc::new(lists),
        ];
        for array in arrays {
            let held = values.charge(ON_ITS_WAY_BYTES).unwrap().hold(&array).unwrap();
            assert_eq!(&held, &array);
            let counted = values.live.load(Ordering::Acquire);
            assert_eq!(counted, array.get_array_memory_size() as u64);
            assert!(values.charge(ON_ITS_WAY_BYTES - counted).is_ok());
            let piece = held.slice(0, 1);
            drop(held);
            assert!(values.charge(ON_ITS_WAY_BYTES).is_err());
            assert_eq!(met.last(), Some(Limit::Memory));
            drop(piece);
            assert_eq!(values.live.load(Ordering::Acquire), 0);
        }
    }

    #[test]
    fn constants_are_counted_to_the_end() {
        let (values, met) = values();
        values.keep(MAX_CONSTANTS_BYTES).unwrap();
        assert!(values.keep(0).is_ok() && values.keep(1).is_err());
        assert_eq!(met.last(), Some(Limit::Value));
        let empty: ArrayRef = Arc::new(StringArray::from(Vec::<&str>::new()));
        assert!(values.charge(3).unwrap().hold(&empty).unwrap().as_string::<i32>().is_empty());
        assert_eq!(values.live.load(Ordering::Acquire), 0);
    }
}
