//! Alerts: pages by filter, and a durable cursor for those who follow them.

use std::sync::Arc;

use sqlx::Connection;

use super::error::{UciError, field};
use super::search::{Page, check_page};
use crate::domain::clock::Clock;
use crate::domain::uci::alert::ALERT_LIFETIME_MS;
use crate::domain::uci::alert_filter::AlertFilter;
use crate::registry::tenants::Tenant;
use crate::registry::uci::alerts::{self, Alert};
use crate::registry::uci::cursors::{self, Cursor, Place};
use crate::services::Services;

/// Most alerts of one page of an export.
pub const MAX_EXPORT_PAGE: i64 = 10_000;

/// Longest name of an index, in bytes.
const MAX_INDEX_BYTES: usize = 128;

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
    /// Up to when this index has been read, ms since epoch: the time of the last alert before its cursor or,
    /// after a move to a time behind all alerts, that time; 0 when there is none.
    pub hwm_ms: i64,
    /// The page holds as many as a page can; more may be there already.
    pub full: bool,
}

/// First ms of which alerts are kept: what is 90 days old to the ms is gone.
fn kept_since_ms(clock: &dyn Clock) -> i64 {
    clock.now_ms().saturating_sub(ALERT_LIFETIME_MS).saturating_add(1)
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
        check_page(offset, limit)?;
        let kept_since_ms = kept_since_ms(&*self.clock);
        let (registry, key) = (Arc::clone(&self.registry), tenant.key);
        let read = self.cpu.spawn(async move {
            let mut conn = registry.read().await?;
            let mut moment = conn.begin().await?;
            let total = alerts::count(&mut moment, key, &filter, kept_since_ms).await?;
            let rows = alerts::page(&mut moment, key, &filter, kept_since_ms, offset, limit).await?;
            moment.rollback().await?;
            Ok::<_, UciError>(Page { total, rows })
        });
        read.await?
    }

    /// The rows of [`Services::alerts`], without counting all that match.
    ///
    /// # Errors
    /// As [`Services::alerts`].
    pub async fn list_alerts(
        &self,
        tenant: &Tenant,
        filter: AlertFilter,
        offset: i64,
        limit: i64,
    ) -> Result<Vec<Alert>, UciError> {
        check_page(offset, limit)?;
        let kept_since_ms = kept_since_ms(&*self.clock);
        let (registry, key) = (Arc::clone(&self.registry), tenant.key);
        let read = self.cpu.spawn(async move {
            let mut conn = registry.read().await?;
            Ok::<_, UciError>(alerts::page(&mut conn, key, &filter, kept_since_ms, offset, limit).await?)
        });
        read.await?
    }

    /// Moves and reads the cursor of an index (its name: 1 to 128 bytes). Success means: the cursor's new place is
    /// durable, and [`ExportOperation::Resend`] gives the same page until the next move, also after a crash; of a crash
    /// before that nothing is left. One request at a time reads from an index.
    ///
    /// What is repeated lacks what was dropped for its age or erased since.
    ///
    /// # Errors
    /// [`UciError::IndexBusy`], [`UciError::NoPage`], [`UciError::Field`] (`index`), [`UciError::Registry`].
    pub async fn export_alerts(
        &self,
        tenant: &Tenant,
        index: &str,
        operation: ExportOperation,
    ) -> Result<ExportPage, UciError> {
        if index.is_empty() || index.len() > MAX_INDEX_BYTES {
            return Err(field("index", format!("must have 1 to {MAX_INDEX_BYTES} bytes")));
        }
        let reading = self.indexes_in_use.of((tenant.key, index.to_owned()));
        let turn = reading.try_lock_owned().map_err(|_| UciError::IndexBusy(index.to_owned()))?;
        let (registry, clock, key) = (Arc::clone(&self.registry), Arc::clone(&self.clock), tenant.key);
        let name = index.to_owned();
        // A caller that goes away has moved the cursor or not; `resend` gives what it did not get.
        let export = self.cpu.spawn(async move {
            let _turn = turn;
            let mut conn = registry.read().await?;
            let before = cursors::get(&mut conn, key, &name).await?;
            let (behind, up_to) = match operation {
                ExportOperation::From(epoch_ms) => (Place::at(epoch_ms), i64::MAX),
                ExportOperation::Next => (before.map_or(Place::HEAD, |cursor| cursor.next), i64::MAX),
                ExportOperation::Head => (Place::HEAD, i64::MAX),
                ExportOperation::Tail => (cursors::tail(&mut conn, key).await?, i64::MAX),
                ExportOperation::Resend => {
                    let cursor = before.ok_or_else(|| UciError::NoPage(name.clone()))?;
                    (cursor.page, cursor.next.id)
                }
            };
            // What is older is gone for the other routes too; a page is repeated as it was given.
            let first_ms = if operation == ExportOperation::Resend { i64::MIN } else { kept_since_ms(&*clock) };
            let page = Place { made_at_ms: behind.made_at_ms.max(first_ms), ..behind };
            let limit = if operation == ExportOperation::Tail { 0 } else { MAX_EXPORT_PAGE };
            let alerts = cursors::read(&mut conn, key, page, up_to, limit).await?;
            drop(conn);
            // Of the page alone, not of what lies behind it: so a repeated page is the same in this too.
            let full = i64::try_from(alerts.len()).is_ok_and(|found| found == MAX_EXPORT_PAGE);
            let end = alerts.last().map_or(behind, |last| Place { made_at_ms: last.made_at_ms, id: last.id.get() });
            let cursor = match (operation, before) {
                (ExportOperation::Resend, Some(cursor)) => cursor,
                // An empty page leaves the cursor where it is, however old that is.
                _ if alerts.is_empty() => Cursor { page: behind, next: behind },
                _ => Cursor { page, next: end },
            };
            if Some(cursor) != before {
                let write = registry.write(move |conn| {
                    Box::pin(async move { cursors::put(conn, key, &name, cursor, clock.now_ms()).await })
                });
                write.await?;
            }
            Ok::<_, UciError>(ExportPage { alerts, hwm_ms: cursor.next.made_at_ms.max(0), full })
        });
        export.await?
    }
}
