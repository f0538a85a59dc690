//! The newest activities of a choice, in ascending order, in bounded memory.
//!
//! `ORDER BY … DESC LIMIT cap` over all columns would hold `cap` whole rows in an operator that
//! cannot spill, and then need a second sort. Instead the first pass orders only (timeStamp,
//! activityId) to find the oldest row that still belongs, and the second pass sorts the rows from
//! there on, which can spill.

use datafusion::common::DataFusionError;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::functions_aggregate::expr_fn::count;
use datafusion::logical_expr::{Expr, col, lit};
use futures::TryStreamExt;

use super::engine::{QueryEngine, into_lake};
use super::filter::{ActivityFilter, Place};
use crate::domain::activity::{ACTIVITY_ID, TIME_STAMP, evidence_schema};
use crate::lake::error::LakeError;
use crate::lake::table::ActivityTable;

/// Rows of a choice in ascending (timeStamp, activityId) order.
pub struct Newest {
    /// Batches of the evidence columns. The first `skip` rows of the stream do not belong.
    pub rows: SendableRecordBatchStream,
    /// Rows to leave out at the start: repeats of the row at the cap.
    pub skip: usize,
    /// Version of the table that was read.
    pub version: u64,
}

impl std::fmt::Debug for Newest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Newest").field("skip", &self.skip).field("version", &self.version).finish_non_exhaustive()
    }
}

fn column(name: &str) -> Expr {
    col(format!("\"{name}\""))
}

/// Finds the newest `cap` activities of a choice: by timeStamp, then by activityId.
///
/// # Errors
/// When the table cannot be read or the query exceeds its memory.
pub async fn newest(
    engine: &QueryEngine,
    table: &ActivityTable,
    filter: &ActivityFilter,
    cap: usize,
) -> Result<Newest, LakeError> {
    let (chosen, version) = engine.activities(table, filter).await?;
    let keys = || [column(TIME_STAMP), column(ACTIVITY_ID)];
    let narrow = chosen.clone().select(keys()).map_err(into_lake)?;
    let newest_first = narrow.clone().sort(keys().map(|key| key.sort(false, false)).to_vec()).map_err(into_lake)?;
    let oldest =
        oldest_within(newest_first.limit(0, Some(cap)).map_err(into_lake)?.execute_stream().await, cap).await?;

    let mut rows = chosen;
    let mut skip = 0;
    if let Some(oldest) = oldest {
        let mut kept = narrow;
        for condition in ActivityFilter::not_before(&oldest) {
            kept = kept.filter(condition.clone()).map_err(into_lake)?;
            rows = rows.filter(condition).map_err(into_lake)?;
        }
        skip = count_rows(kept).await?.saturating_sub(cap);
    }
    let wanted: Vec<Expr> = evidence_schema().fields().iter().map(|f| column(f.name())).collect();
    let rows = rows
        .select(wanted)
        .and_then(|rows| rows.sort(keys().map(|key| key.sort(true, false)).to_vec()))
        .map_err(into_lake)?
        .execute_stream()
        .await
        .map_err(into_lake)?;
    Ok(Newest { rows, skip, version })
}

/// The last row of the stream when it holds `cap` rows.
async fn oldest_within(
    stream: Result<SendableRecordBatchStream, DataFusionError>,
    cap: usize,
) -> Result<Option<Place>, LakeError> {
    let mut stream = stream.map_err(into_lake)?;
    let mut rows = 0;
    let mut last = None;
    while let Some(batch) = stream.try_next().await.map_err(into_lake)? {
        if batch.num_rows() > 0 {
            rows += batch.num_rows();
            last = Some(batch);
        }
    }
    let Some(batch) = last.filter(|_| rows >= cap) else { return Ok(None) };
    let row = batch.num_rows() - 1;
    let times = arrow::compute::cast(batch.column(0), &arrow::datatypes::DataType::Int64)?;
    let ids = arrow::compute::cast(batch.column(1), &arrow::datatypes::DataType::Utf8)?;
    let time_stamp_ms = arrow::array::AsArray::as_primitive::<arrow::datatypes::Int64Type>(&times).value(row);
    let activity_id = arrow::array::AsArray::as_string::<i32>(&ids).value(row).to_owned();
    Ok(Some(Place { time_stamp_ms, activity_id }))
}

async fn count_rows(rows: datafusion::dataframe::DataFrame) -> Result<usize, LakeError> {
    let counted = rows.aggregate(vec![], vec![count(lit(1))]).map_err(into_lake)?.collect().await.map_err(into_lake)?;
    let total: i64 = counted
        .iter()
        .map(|batch| {
            let counts = arrow::array::AsArray::as_primitive::<arrow::datatypes::Int64Type>(batch.column(0));
            counts.values().iter().sum::<i64>()
        })
        .sum();
    Ok(usize::try_from(total).unwrap_or(usize::MAX))
}

#[cfg(test)]
mod tests {
    use futures::StreamExt;

    use super::*;
    use crate::lake::data_files::Rows;
    use crate::lake::evidence_files::{read_wire_columns, write_evidence};
    use crate::lake::testing;
    use crate::query::engine::EngineOptions;
    use crate::query::predicate::parse_where;

    const DAY_MS: i64 = 86_400_000;

    fn filter(from_ms: i64, to_ms: i64, user: Option<&str>) -> ActivityFilter {
        ActivityFilter { from_ms, to_ms, user_key: user.map(str::to_owned), condition: None }
    }

    /// (timeStamp, activityId) of the newest rows.
    async fn run(
        engine: &QueryEngine,
        table: &ActivityTable,
        filter: &ActivityFilter,
        cap: usize,
    ) -> Vec<(i64, String)> {
        let found = newest(engine, table, filter, cap).await.unwrap();
        let batches: Vec<_> = found.rows.try_collect().await.unwrap();
        let mut rows = Vec::new();
        for batch in batches {
            let times = batch.column_by_name(TIME_STAMP).unwrap();
            let times = arrow::array::AsArray::as_primitive::<arrow::datatypes::Int64Type>(times).clone();
            let ids =
                arrow::compute::cast(batch.column_by_name(ACTIVITY_ID).unwrap(), &arrow::datatypes::DataType::Utf8)
                    .unwrap();
            let ids = arrow::array::AsArray::as_string::<i32>(&ids).clone();
            rows.extend((0..batch.num_rows()).map(|i| (times.value(i), ids.value(i).to_owned())));
        }
        rows.split_off(found.skip)
    }

    fn ids(rows: &[(i64, String)]) -> Vec<&str> {
        rows.iter().map(|(_, id)| id.as_str()).collect()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn the_newest_rows_come_in_ascending_order_with_stable_ties() {
        let dir = tempfile::tempdir().unwrap();
        let (lake, _) = testing::lake(&dir);
        let table = lake.table(testing::tenant()).await.unwrap();
        let batch = testing::rows(&[
            (5, "Ann", "c"),
            (5, "ann ", "a"),
            (5, "ann", "b"),
            (DAY_MS + 1, "ann", "d"),
            (7, "bob", "x"),
            (2, "ann", "e"),
        ]);
        table.append(Rows::Batches(vec![batch]), None).await.unwrap();
        let engine = QueryEngine::new(EngineOptions::new(dir.path().join("tmp"))).unwrap();
        let all = filter(0, 2 * DAY_MS, Some("ann"));
        assert_eq!(ids(&run(&engine, &table, &all, 10).await), ["e", "a", "b", "c", "d"]);
        assert_eq!(ids(&run(&engine, &table, &all, 3).await), ["b", "c", "d"], "ties at the cap fall by id");
        assert_eq!(ids(&run(&engine, &table, &filter(2, 5, Some("ann")), 10).await), ["e"], "the window is half open");
        assert_eq!(ids(&run(&engine, &table, &filter(0, 2 * DAY_MS, None), 2).await), ["x", "d"]);
        let mut conditioned = filter(0, i64::MAX, None);
        conditioned.condition = Some(parse_where("activityId IN ('a', 'x') OR activityId LIKE 'd%'").unwrap());
        assert_eq!(ids(&run(&engine, &table, &conditioned, 10).await), ["a", "x", "d"]);
        // The same record loaded twice: as many rows as the cap allows, no more.
        table.append(Rows::Batches(vec![testing::rows(&[(5, "ann", "b"), (5, "ann", "b")])]), None).await.unwrap();
        assert_eq!(ids(&run(&engine, &table, &all, 4).await), ["b", "b", "c", "d"]);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn evidence_reads_back_and_gained_files_are_seen() {
        let dir = tempfile::tempdir().unwrap();
        let (lake, _) = testing::lake(&dir);
        let table = lake.table(testing::tenant()).await.unwrap();
        table.append(Rows::Batches(vec![testing::rows(&[(5, "ann", "a"), (6, "ann", "b")])]), None).await.unwrap();
        let engine = QueryEngine::new(EngineOptions::new(dir.path().join("tmp"))).unwrap();
        let choice = filter(0, 100, Some("ann"));
        let found = newest(&engine, &table, &choice, 10).await.unwrap();
        let covered = found.version;
        let made = write_evidence(
            table.tenant_store(),
            "evidence/day=1970-01-01/1-1-x.parquet".to_owned(),
            found.rows.map(|batch| batch.map_err(into_lake)),
            found.skip,
            Some("Insider Threats"),
        )
        .await
        .unwrap();
        assert_eq!(made.rows, 2);
        let file = lake.tenant_folder(testing::tenant()).join(&made.path);
        let bytes = std::fs::read(&file).unwrap();
        assert_eq!(bytes.len() as u64, made.bytes);
        assert_eq!(crate::domain::hex::hex(&<sha2::Sha256 as sha2::Digest>::digest(&bytes)), made.sha256);
        let read: Vec<_> = read_wire_columns(file).unwrap().map(Result::unwrap).collect();
        assert_eq!(read.iter().map(arrow::array::RecordBatch::num_rows).sum::<usize>(), 2);
        assert_eq!(read[0].num_columns(), 56);
        let category =
            arrow::compute::cast(read[0].column_by_name("threatCategory").unwrap(), &arrow::datatypes::DataType::Utf8)
                .unwrap();
        assert_eq!(arrow::array::AsArray::as_string::<i32>(&category).value(0), "Insider Threats");

        table.append(Rows::Batches(vec![testing::rows(&[(5, "zoe", "c")])]), None).await.unwrap();
        let version = table.version();
        assert!(!table.gained_since(covered, version, &choice.wanted()).await.unwrap());
        table.append(Rows::Batches(vec![testing::rows(&[(7, "ann", "d")])]), None).await.unwrap();
        assert!(table.gained_since(covered, table.version(), &choice.wanted()).await.unwrap());
        // After a restart the log tells.
        drop((table, engine));
        let (lake, _) = testing::lake(&dir);
        let table = lake.table(testing::tenant()).await.unwrap();
        assert!(!table.gained_since(covered, version, &choice.wanted()).await.unwrap());
        assert!(table.gained_since(covered, table.version(), &choice.wanted()).await.unwrap());
    }
}
