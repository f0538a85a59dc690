//! Rows of an ingest in the order of its data files.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch, new_null_array};
use arrow::compute::{SortColumn, concat, interleave, lexsort_to_indices};
use arrow::datatypes::{Date32Type, FieldRef, SchemaRef};
use arrow::error::ArrowError;

use crate::domain::activity::{DAY, TIME_STAMP, USER_KEY, lake_schema};
use crate::domain::day::Day;
use crate::lake::error::LakeError;

/// Rows that are put in order and written at a time: few enough to stay in the cache on their way.
const WRITE_ROWS: usize = 4096;

/// Of its rows, a part holds back at most one in so many.
const MOST_HELD_BACK: usize = 8;

/// Rows in the order (day, userKey, timeStamp), so that a file's rows of one user lie together.
#[derive(Debug)]
pub(super) struct Sorted {
    batches: Arc<[RecordBatch]>,
    /// Where the rows are, as (batch, row).
    places: Arc<[(usize, usize)]>,
    /// The days, ascending, and where in `places` their rows stand.
    days: Vec<(Day, Range<usize>)>,
}

impl Sorted {
    /// Sorts by keys alone; the rows stay where they are.
    pub(super) fn new(batches: Vec<RecordBatch>) -> Result<Self, LakeError> {
        let schema = lake_schema();
        let keys = [DAY, USER_KEY, TIME_STAMP]
            .into_iter()
            .map(|name| {
                let place = schema.index_of(name)?;
                let parts: Vec<&dyn Array> = batches.iter().map(|batch| batch.column(place).as_ref()).collect();
                Ok(SortColumn { values: concat(&parts)?, options: None })
            })
            .collect::<Result<Vec<_>, ArrowError>>()?;
        let order = lexsort_to_indices(&keys, None)?;
        let rows: Vec<(usize, usize)> = batches
            .iter()
            .enumerate()
            .flat_map(|(at, batch)| (0..batch.num_rows()).map(move |row| (at, row)))
            .collect();
        let places = order.values().iter().map(|place| rows[*place as usize]).collect();
        let days = keys[0].values.as_primitive::<Date32Type>().values();
        let day_of = |place: &u32| days[*place as usize];
        let mut from = 0;
        let days = order.values().chunk_by(|a, b| day_of(a) == day_of(b)).map(|run| {
            let rows = from..from + run.len();
            from = rows.end;
            (Day::from_days_since_epoch(day_of(&run[0])), rows)
        });
        let days = days.collect();
        Ok(Self { batches: batches.into(), places, days })
    }

    /// Rows that will be written.
    pub(super) fn rows(&self) -> usize {
        self.days.iter().map(|(_, rows)| rows.len()).sum()
    }

    /// Takes out the rows of the days that have fewest, together at most an eighth of all. Activities that come late
    /// would else make a file of a few rows for each day before, in every part of a large ingest; with the rows of the
    /// next part such a day may have enough.
    pub(super) fn hold_back(&mut self) -> Result<Option<RecordBatch>, LakeError> {
        let mut smallest: Vec<usize> = (0..self.days.len()).collect();
        smallest.sort_by_key(|day| self.days[*day].1.len());
        let mut room = self.rows() / MOST_HELD_BACK;
        let held = smallest.into_iter().take_while(|day| {
            let rows = self.days[*day].1.len();
            let fits = rows <= room;
            room = room.saturating_sub(rows);
            fits
        });
        let mut held: Vec<usize> = held.collect();
        held.sort_unstable();
        let mut places = Vec::new();
        for day in held.into_iter().rev() {
            let (_, rows) = self.days.remove(day);
            places.extend_from_slice(&self.places[rows]);
        }
        if places.is_empty() {
            return Ok(None);
        }
        Ok(Some(Columns::of(&self.batches).rows(&places)?))
    }

    /// Parts of about as many rows, to be written beside each other. A day may go on in the next part.
    pub(super) fn divide(self, parts: usize) -> Vec<Self> {
        let most = self.rows().div_ceil(parts.max(1)).max(1);
        let (mut divided, mut room) = (Vec::new(), 0);
        for (day, mut rows) in self.days {
            while !rows.is_empty() {
                if room == 0 {
                    let (batches, places) = (Arc::clone(&self.batches), Arc::clone(&self.places));
                    divided.push(Self { batches, places, days: Vec::new() });
                    room = most;
                }
                let cut = rows.end.min(rows.start + room);
                room -= cut - rows.start;
                if let Some(part) = divided.last_mut() {
                    part.days.push((day, rows.start..cut));
                }
                rows.start = cut;
            }
        }
        divided
    }

    /// The rows, in order and some at a time, each batch of one day.
    pub(super) fn batches(&self) -> impl Iterator<Item = Result<(Day, RecordBatch), LakeError>> {
        let columns = Columns::of(&self.batches);
        let runs = self
            .days
            .iter()
            .flat_map(|(day, rows)| self.places[rows.clone()].chunks(WRITE_ROWS).map(move |places| (*day, places)));
        runs.map(move |(day, places)| Ok((day, columns.rows(places)?)))
    }
}

/// The columns of several batches.
struct Columns<'b> {
    schema: SchemaRef,
    /// A column's part in each batch; nothing for one without any value.
    parts: Vec<Vec<&'b dyn Array>>,
}

impl<'b> Columns<'b> {
    fn of(batches: &'b [RecordBatch]) -> Self {
        let schema = lake_schema();
        let part_of = |column| {
            let parts: Vec<&dyn Array> = batches.iter().map(|batch| batch.column(column).as_ref()).collect();
            if parts.iter().all(|part| part.null_count() == part.len()) { Vec::new() } else { parts }
        };
        let parts = (0..schema.fields().len()).map(part_of).collect();
        Self { schema, parts }
    }

    /// The rows at these places.
    fn rows(&self, places: &[(usize, usize)]) -> Result<RecordBatch, ArrowError> {
        let column = |(field, parts): (&FieldRef, &Vec<&dyn Array>)| match parts.as_slice() {
            // Many columns are: looking at each row of them costs a fifth of putting a batch together.
            [] => Ok(new_null_array(field.data_type(), places.len())),
            parts => interleave(parts, places),
        };
        let columns = self.schema.fields().iter().zip(&self.parts).map(column).collect::<Result<_, _>>()?;
        RecordBatch::try_new(Arc::clone(&self.schema), columns)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::activity::ACTIVITY_ID;
    use crate::lake::testing::rows;

    const DAY_MS: i64 = 86_400_000;

    /// Batches of (day, user) rows, each row with an id of its own.
    fn batches(days: &[Vec<(i64, u8)>]) -> Vec<RecordBatch> {
        let mut next = 0;
        let batch = |batch: &Vec<(i64, u8)>| {
            let named: Vec<_> = batch
                .iter()
                .map(|(day, user)| {
                    next += 1;
                    (day * DAY_MS + 1_000 - next, format!("user{user}"), format!("id{next}"))
                })
                .collect();
            rows(&named.iter().map(|(ms, user, id)| (*ms, user.as_str(), id.as_str())).collect::<Vec<_>>())
        };
        days.iter().map(batch).collect()
    }

    /// (day, user, time, id) of each row.
    fn told(batch: &RecordBatch) -> Vec<(i32, String, i64, String)> {
        let column = |name| batch.column(batch.schema_ref().index_of(name).unwrap());
        let days = column(DAY).as_primitive::<Date32Type>();
        let (users, ids) = (column(USER_KEY).as_string::<i32>(), column(ACTIVITY_ID).as_string::<i32>());
        let times = column(TIME_STAMP).as_primitive::<arrow::datatypes::Int64Type>();
        (0..batch.num_rows())
            .map(|row| (days.value(row), users.value(row).to_owned(), times.value(row), ids.value(row).to_owned()))
            .collect()
    }

    fn written(sorted: &Sorted) -> Vec<(i32, String, i64, String)> {
        let mut all = Vec::new();
        for batch in sorted.batches() {
            let (day, batch) = batch.unwrap();
            let rows = told(&batch);
            assert!(rows.iter().all(|row| row.0 == day.days_since_epoch()), "a batch is of one day");
            all.extend(rows);
        }
        all
    }

    #[test]
    fn days_of_few_rows_are_held_back() {
        let mut late = vec![(1, 1); 60];
        late.extend([(9, 1), (2, 1), (2, 2), (3, 1), (3, 2), (3, 3), (4, 1), (4, 2), (4, 3), (4, 4), (4, 5)]);
        let mut sorted = Sorted::new(batches(&[late, vec![(1, 2); 10]])).unwrap();
        let held = sorted.hold_back().unwrap().unwrap();
        // Of 81 rows at most 10: one, two and three, but not another five.
        let days: Vec<i32> = told(&held).into_iter().map(|row| row.0).collect();
        assert_eq!(days, [9, 3, 3, 3, 2, 2]);
        assert_eq!(sorted.rows(), 75);
        assert_eq!(sorted.days.iter().map(|(_, rows)| rows.len()).collect::<Vec<_>>(), [70, 5]);
    }

    #[test]
    fn a_single_day_is_written_whole() {
        let mut sorted = Sorted::new(batches(&[vec![(1, 1); 20]])).unwrap();
        assert!(sorted.hold_back().unwrap().is_none());
        assert_eq!(sorted.rows(), 20);
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn every_row_is_written_in_order_or_held_back(
            days in proptest::collection::vec(proptest::collection::vec((0_i64..12, 0_u8..4), 1..60), 1..5),
            parts in 1_usize..4,
        ) {
            let batches = batches(&days);
            let mut expected: Vec<_> = batches.iter().flat_map(told).collect();
            expected.sort();
            let mut sorted = Sorted::new(batches.clone()).unwrap();
            prop_assert_eq!(&written(&sorted), &expected);
            let all = sorted.rows();
            let apart = Sorted::new(batches.clone()).unwrap().divide(parts);
            prop_assert!(apart.len() <= parts && apart.iter().all(|part| (1..=all.div_ceil(parts)).contains(&part.rows())));
            prop_assert_eq!(&apart.iter().flat_map(written).collect::<Vec<_>>(), &expected);
            let held = sorted.hold_back().unwrap().as_ref().map(told).unwrap_or_default();
            prop_assert!(held.len() <= all / MOST_HELD_BACK && held.len() < all);
            let mut together = written(&sorted);
            prop_assert!(together.is_sorted());
            together.extend(held);
            together.sort();
            prop_assert_eq!(together, expected);
        }
    }
}
