//! What a caller is told about a body that was stored.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::domain::day::Day;
use crate::formats::input::{DecodeReport, RecordError};

/// What became of a body that was stored.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct IngestAnswer {
    /// Records stored.
    pub accepted: u64,
    /// Records refused; only with `on_error=skip` beside stored ones.
    pub rejected: u64,
    /// Records left out as repeats: the lake has their `activityId` since less than 7 days, or a record before them.
    pub duplicates: u64,
    /// How many records that were not refused carried each key that is not stored.
    pub unknown_keys: BTreeMap<String, u64>,
    /// Records that were not refused whose `tenantId` named another tenant and was replaced.
    pub tenant_id_replaced: u64,
    /// In how many records that were not refused a column became null because its text is no address; only for
    /// sources other than `activities`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub nulled: BTreeMap<String, u64>,
    /// UTC days of the stored records.
    #[schema(value_type = Vec<String>, example = json!(["2026-11-22"]))]
    pub days: Vec<Day>,
    /// The first 20 refusals.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<Object>)]
    pub errors: Vec<RecordError>,
}

impl From<DecodeReport> for IngestAnswer {
    fn from(report: DecodeReport) -> Self {
        Self {
            accepted: report.accepted,
            rejected: report.rejected,
            duplicates: report.duplicates,
            unknown_keys: report.unknown_keys,
            tenant_id_replaced: report.tenant_id_replaced,
            nulled: report.nulled,
            days: report.days.into_keys().collect(),
            errors: report.errors,
        }
    }
}
