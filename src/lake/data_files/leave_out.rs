//! Taking rows out of an ingest that is not committed yet.

use std::collections::BTreeMap;

use arrow::array::{AsArray, BooleanArray, RecordBatch, StringArray};
use arrow::compute::{cast, filter_record_batch, not};
use arrow::datatypes::{DataType, Date32Type};
use deltalake::kernel::Add;

use super::{DataFiles, FLUSH_BYTES};
use crate::domain::activity::{ACTIVITY_ID, DAY};
use crate::domain::day::Day;
use crate::lake::erase::{as_lake_rows, column, open};
use crate::lake::error::LakeError;
use crate::lake::table::ActivityTable;

/// Tells by `activityId` which rows are to go.
pub type IsRepeat<'a> = dyn Fn(&StringArray) -> Result<BooleanArray, LakeError> + Sync + 'a;

impl DataFiles {
    /// Takes rows out of what was collected so far, and tells how many of which day. Files that hold some are
    /// written anew. Run it on the CPU runtime. Cost: reads one column of the files, and reads and writes those
    /// with such rows.
    ///
    /// # Errors
    /// When a file cannot be read or written. Then it may be done in part: discard the ingest.
    pub async fn leave_out(
        &mut self,
        table: &ActivityTable,
        is_repeat: &IsRepeat<'_>,
    ) -> Result<BTreeMap<Day, u64>, LakeError> {
        let mut left_out = BTreeMap::new();
        for batch in &mut self.buffered {
            *batch = without(batch, is_repeat, &mut left_out)?;
        }
        self.buffered_bytes = self.buffered.iter().map(RecordBatch::get_array_memory_size).sum();
        let mut files = std::mem::take(&mut self.files).into_iter();
        while let Some(add) = files.next() {
            match self.anew(table, &add, is_repeat, &mut left_out).await {
                Ok(None) => self.files.push(add),
                Ok(Some(written)) => {
                    self.folder.delete_uncommitted(std::slice::from_ref(&add)).await;
                    self.files.extend(written);
                }
                Err(error) => {
                    self.files.push(add);
                    self.files.extend(files);
                    return Err(error);
                }
            }
        }
        Ok(left_out)
    }

    /// The file without the rows; none when it has none of them.
    async fn anew(
        &self,
        table: &ActivityTable,
        add: &Add,
        is_repeat: &IsRepeat<'_>,
        left_out: &mut BTreeMap<Day, u64>,
    ) -> Result<Option<Vec<Add>>, LakeError> {
        let mut any = false;
        for batch in open(table.local_folder(), add, Some(&[ACTIVITY_ID]))? {
            any = any || repeats(&batch?, is_repeat)?.true_count() > 0;
        }
        if !any {
            return Ok(None);
        }
        let mut written = Vec::new();
        match self.copy_without(table, add, is_repeat, left_out, &mut written).await {
            Ok(()) => Ok(Some(written)),
            Err(error) => {
                self.folder.delete_uncommitted(&written).await;
                Err(error)
            }
        }
    }

    async fn copy_without(
        &self,
        table: &ActivityTable,
        add: &Add,
        is_repeat: &IsRepeat<'_>,
        left_out: &mut BTreeMap<Day, u64>,
        written: &mut Vec<Add>,
    ) -> Result<(), LakeError> {
        let (mut kept, mut bytes) = (Vec::new(), 0);
        for batch in open(table.local_folder(), add, None)? {
            let batch = without(&as_lake_rows(&batch?, add)?, is_repeat, left_out)?;
            bytes += batch.get_array_memory_size();
            kept.push(batch);
            if bytes >= FLUSH_BYTES {
                written.extend(self.folder.write_sorted(std::mem::take(&mut kept)).await?);
                bytes = 0;
            }
        }
        written.extend(self.folder.write_sorted(kept).await?);
        Ok(())
    }
}

fn repeats(batch: &RecordBatch, is_repeat: &IsRepeat<'_>) -> Result<BooleanArray, LakeError> {
    is_repeat(cast(column(batch, ACTIVITY_ID)?, &DataType::Utf8)?.as_string())
}

/// The rows of a batch that stay; counts the others.
fn without(
    batch: &RecordBatch,
    is_repeat: &IsRepeat<'_>,
    left_out: &mut BTreeMap<Day, u64>,
) -> Result<RecordBatch, LakeError> {
    let repeats = repeats(batch, is_repeat)?;
    if repeats.true_count() == 0 {
        return Ok(batch.clone());
    }
    let gone = filter_record_batch(batch, &repeats)?;
    for day in column(&gone, DAY)?.as_primitive::<Date32Type>().values() {
        *left_out.entry(Day::from_days_since_epoch(*day)).or_default() += 1;
    }
    Ok(filter_record_batch(batch, &not(&repeats)?)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lake::data_files::Rows;
    use crate::lake::testing::{self, rows, tenant};

    const DAY_MS: i64 = 86_400_000;

    fn ids(table: &ActivityTable, files: &[Add]) -> Vec<String> {
        let mut ids = Vec::new();
        for add in files {
            for batch in open(table.local_folder(), add, None).unwrap() {
                let texts = cast(column(&batch.unwrap(), ACTIVITY_ID).unwrap(), &DataType::Utf8).unwrap();
                ids.extend(texts.as_string::<i32>().iter().flatten().map(str::to_owned));
            }
        }
        ids.sort();
        ids
    }

    #[tokio::test]
    async fn rows_leave_files_and_batches_alike_and_are_counted_by_day() {
        let dir = tempfile::tempdir().unwrap();
        let (lake, _) = testing::lake(&dir);
        let table = lake.table(tenant()).await.unwrap();
        let mut files = table.data_files();
        files.push(rows(&[(5, "ann", "a"), (6, "bob", "late-1"), (DAY_MS, "ann", "b")])).await.unwrap();
        files.flush();
        files.settle().await.unwrap();
        files.push(rows(&[(2 * DAY_MS, "ann", "late-2")])).await.unwrap();
        files.flush();
        files.settle().await.unwrap();
        files.push(rows(&[(7, "ann", "c"), (DAY_MS + 1, "bob", "late-3")])).await.unwrap();
        let before: Vec<String> = files.files.iter().map(|add| add.path.clone()).collect();
        assert_eq!(before.len(), 3);
        let is_repeat =
            |ids: &StringArray| Ok(ids.iter().map(|id| Some(id.is_some_and(|id| id.starts_with("late")))).collect());
        let left_out = files.leave_out(&table, &is_repeat).await.unwrap();
        let day = Day::from_days_since_epoch;
        assert_eq!(left_out, BTreeMap::from([(day(0), 1), (day(1), 1), (day(2), 1)]));
        let Rows::Files(files) = files.finish().await.unwrap() else { panic!("it had files") };
        assert_eq!(ids(&table, &files), ["a", "b", "c"]);
        let kept = |path: &String| files.iter().any(|add| add.path == *path);
        assert_eq!(before.iter().filter(|path| kept(path)).count(), 1, "the file without such rows stays");
        for path in before.iter().filter(|path| !kept(path)) {
            assert!(!table.local_folder().join(path).exists(), "{path}");
        }
        table.append(Rows::Files(files), None).await.unwrap();
    }
}
