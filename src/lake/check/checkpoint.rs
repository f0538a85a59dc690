//! Reading a checkpoint of a table's log.

use std::fs::File;
use std::path::Path;

use deltalake::kernel::{Action, Add, Remove, Transaction};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde::Deserialize;

use super::contain::contain;
use super::replay::State;

/// Why a checkpoint was not read.
#[derive(Debug, thiserror::Error)]
pub(super) enum CheckpointError {
    /// It is not there, or cannot be opened.
    #[error("it cannot be opened")]
    Open(#[from] std::io::Error),
    /// It does not hold what a checkpoint holds.
    #[error("{0}")]
    Unreadable(String),
}

/// One row; a checkpoint's rows are the actions of the log, as columns.
#[derive(Deserialize)]
struct Row {
    add: Option<Add>,
    remove: Option<Remove>,
    txn: Option<Transaction>,
}

/// Reads a checkpoint whole, every page of the columns that matter.
///
/// # Errors
/// [`CheckpointError`].
pub(super) fn read_checkpoint(path: &Path) -> Result<State, CheckpointError> {
    let file = File::open(path)?;
    contain(|| read(file)).map_err(CheckpointError::Unreadable)
}

fn read(file: File) -> Result<State, Box<dyn std::error::Error>> {
    let builder = ParquetRecordBatchReaderBuilder::try_new(file)?;
    let wanted: Vec<usize> = builder
        .schema()
        .fields()
        .iter()
        .enumerate()
        .filter(|(_, field)| ["add", "remove", "txn"].contains(&field.name().as_str()))
        .map(|(at, _)| at)
        .collect();
    if wanted.is_empty() {
        return Err("it has none of the columns of a checkpoint".into());
    }
    let mask = ProjectionMask::roots(builder.parquet_schema(), wanted);
    let mut state = State::default();
    for batch in builder.with_projection(mask).build()? {
        let mut json = arrow_json::LineDelimitedWriter::new(Vec::new());
        json.write(&batch?)?;
        json.finish()?;
        for line in json.into_inner().split(|b| *b == b'\n').filter(|line| !line.is_empty()) {
            let Row { add, remove, txn } = serde_json::from_slice(line)?;
            let actions = [add.map(Action::Add), remove.map(Action::Remove), txn.map(Action::Txn)];
            state.apply(actions.into_iter().flatten());
        }
    }
    Ok(state)
}
