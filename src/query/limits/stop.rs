//! Ending a statement from outside of the task that works on it.
//!
//! A task is stopped between two of its steps, and one step of a join can take minutes: it tries all pairs of its rows
//! before it looks up. So the conditions of joins ask, each time they are evaluated, whether anybody still wants them.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use arrow::array::RecordBatch;
use arrow::datatypes::{FieldRef, Schema};
use datafusion::common::{DataFusionError, exec_datafusion_err};
use datafusion::logical_expr::ColumnarValue;
use datafusion::physical_expr::PhysicalExpr;

/// Whether a statement is still wanted.
#[derive(Debug)]
pub struct Stop {
    stopped: AtomicBool,
    deadline: Instant,
}

impl Stop {
    /// Wanted until the deadline.
    #[must_use]
    pub fn at(deadline: Instant) -> Arc<Self> {
        Arc::new(Self { stopped: AtomicBool::new(false), deadline })
    }

    /// Until when it is wanted.
    #[must_use]
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Whether the deadline has passed.
    #[must_use]
    pub fn is_late(&self) -> bool {
        Instant::now() >= self.deadline
    }

    /// Whether it is still wanted.
    ///
    /// # Errors
    /// When it is not.
    pub(super) fn check(&self) -> Result<(), DataFusionError> {
        if self.stopped.load(Ordering::Relaxed) || self.is_late() {
            return Err(exec_datafusion_err!("the statement is not wanted any more"));
        }
        Ok(())
    }
}

/// Stops a statement when it is dropped. It belongs to whoever waits for the rows.
#[derive(Debug)]
pub struct StopOnDrop(pub Arc<Stop>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.stopped.store(true, Ordering::Relaxed);
    }
}

/// A condition that fails once the statement is not wanted any more.
#[derive(Debug)]
pub(super) struct Watched {
    inner: Arc<dyn PhysicalExpr>,
    stop: Arc<Stop>,
}

impl Watched {
    pub(super) fn over(inner: Arc<dyn PhysicalExpr>, stop: &Arc<Stop>) -> Arc<dyn PhysicalExpr> {
        Arc::new(Self { inner, stop: Arc::clone(stop) })
    }
}

impl PartialEq for Watched {
    fn eq(&self, other: &Self) -> bool {
        self.inner.eq(&other.inner)
    }
}

impl Eq for Watched {}

impl Hash for Watched {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.inner.hash(state);
    }
}

impl fmt::Display for Watched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

impl PhysicalExpr for Watched {
    fn return_field(&self, schema: &Schema) -> Result<FieldRef, DataFusionError> {
        self.inner.return_field(schema)
    }

    fn evaluate(&self, batch: &RecordBatch) -> Result<ColumnarValue, DataFusionError> {
        self.stop.check()?;
        self.inner.evaluate(batch)
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        vec![&self.inner]
    }

    fn with_new_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn PhysicalExpr>>,
    ) -> Result<Arc<dyn PhysicalExpr>, DataFusionError> {
        match (children.pop(), children.is_empty()) {
            (Some(inner), true) => Ok(Self::over(inner, &self.stop)),
            _ => Err(DataFusionError::Internal("a watched condition has one part".to_owned())),
        }
    }

    fn fmt_sql(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt_sql(f)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_statement_is_wanted_until_its_deadline_or_until_nobody_waits() {
        let stop = Stop::at(Instant::now() + Duration::from_hours(1));
        let waits = StopOnDrop(Arc::clone(&stop));
        assert!(stop.check().is_ok() && !stop.is_late());
        drop(waits);
        assert!(stop.check().is_err() && !stop.is_late());
        let late = Stop::at(Instant::now());
        assert!(late.check().is_err() && late.is_late());
    }
}
