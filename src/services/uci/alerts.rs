//! Alerts: pages by filter, and a durable cursor for those who follow them.

use super::error::UciError;
use super::search::Page;
use crate::domain::uci::alert_filter::AlertFilter;
use crate::registry::tenants::Tenant;
use crate::registry::uci::alerts::Alert;
use crate::services::Services;

/// Most alerts of one page of an export.
pub const MAX_EXPORT_PAGE: i64 = 10_000;

/// Alerts in the order in which they were made, and how many there are in all.
pub type AlertPage = Page<Alert>;

/// What to do with an export's cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExportOperation {
    /// Go to the first alert made at this time or later, ms since epoch, and read from there.
    From(i64),
    /// Read on; an index that was never read begins at its head.
    Next,
    /// Repeat the last page.
    Resend,
    /// Go to the oldest alert kept, and read from there.
    Head,
    /// Go behind the newest alert; the page is empty.
    Tail,
}

/// A page of an export.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportPage {
    /// Alerts in the order in which they were made.
    pub alerts: Vec<Alert>,
    /// When the last alert was made that this index has given so far or, after a move, that lies before its
    /// cursor; ms since epoch, 0 when there is none.
    pub hwm_ms: i64,
    /// More alerts are there already.
    pub more: bool,
}

impl Services {
    /// A page of alerts, in the order in which they were made.
    ///
    /// # Errors
    /// [`UciError::Field`] for a negative `offset` or a `limit` outside 1 to 10,000, [`UciError::Registry`].
    pub async fn alerts(
        &self,
        tenant: &Tenant,
        filter: AlertFilter,
        offset: i64,
        limit: i64,
    ) -> Result<AlertPage, UciError> {
        todo!()
    }

    /// Moves and reads the cursor of an index (its name: 1 to 128 bytes). Success means: the cursor's new place is
    /// durable, and [`ExportOperation::Resend`] gives the same page until the next move, also after a crash; of a crash
    /// before that nothing is left. One request at a time reads from an index.
    ///
    /// # Errors
    /// [`UciError::IndexBusy`], [`UciError::NoPage`], [`UciError::Field`] (`index`), [`UciError::Registry`].
    pub async fn export_alerts(
        &self,
        tenant: &Tenant,
        index: &str,
        operation: ExportOperation,
    ) -> Result<ExportPage, UciError> {
        todo!()
    }
}
