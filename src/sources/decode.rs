//! A source's input to batches of activities.

use std::io::Read;
use std::sync::Arc;

use arrow::array::{BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;
use arrow::error::ArrowError;
use arrow_json::ReaderBuilder;
use arrow_json::reader::Decoder;
use serde::de::IgnoredAny;

use super::input::{Found, Layout, Records};
use super::mapping::{Faults, faults_of_records, faults_of_rows, map_records};
use super::pieces::{At, Decoded, Pieces, Rows};
use super::source::Source;
use crate::enrich::Enricher;
use crate::formats::input::json_records::Place;
use crate::formats::input::{
    DecodeError, DecodeOptions, DecodeReport, Fault, InOrder, Intake, Sink, WireBatch, excerpt, reason_of, slot_name,
};

/// Most records of a batch.
pub(super) const BATCH_RECORDS: usize = 4_096;

/// Bytes of records after which a batch ends. The last record may exceed it.
pub(super) const BATCH_BYTES: usize = 4 << 20;

/// Decodes the inflated records of a source and hands the mapped batches to the sink in input order.
///
/// Records of JSON may stand one a line, in lists, or in documents that the source unwraps, over one line
/// or many, in any sequence. Every record becomes a row, or several where the source unnests a list of it,
/// or is refused by line, field and reason: what is no JSON object, or has no time. A field whose JSON
/// type is not the declared one reads as null. Memory is bounded by a batch of records, not by a document,
/// nor by what a record becomes.
///
/// # Errors
/// [`DecodeError`]; with `OnError::Reject` any bad record ends in [`DecodeError::Rejected`]. A record
/// beyond the size limit, or a document that cannot be followed, ends every input.
pub fn decode_source<R: Read, S: Sink>(
    input: R,
    layout: Layout,
    source: &Arc<Source>,
    options: &DecodeOptions,
    sink: &mut S,
) -> Result<DecodeReport, DecodeError> {
    decode_enriched(input, layout, source, options, None, sink)
}

/// The same, and fills what the source leaves null.
///
/// # Errors
/// As [`decode_source`].
pub fn decode_enriched<R: Read, S: Sink>(
    input: R,
    layout: Layout,
    source: &Arc<Source>,
    options: &DecodeOptions,
    mut enricher: Option<&mut Enricher>,
    sink: &mut S,
) -> Result<DecodeReport, DecodeError> {
    let mut hand_over = |mut rows: WireBatch, intake: &mut Intake<'_>| {
        if let Some(enricher) = enricher.as_deref_mut() {
            enricher.fill(&mut rows);
        }
        intake.hand_over(rows, sink)
    };
    let mut records = Records::new(input, layout, source, options.max_record_bytes);
    let mut intake = Intake::new(options)?;
    let mut jobs = InOrder::new(options.workers.as_deref());
    let mut spare = Vec::new();
    let mut at_hand = Reading::new(source)?;
    let ended = loop {
        match records.next() {
            Ok(Some((place, Found::Object(record)))) => at_hand.batch.add(place, &record),
            Ok(Some((place, Found::Fault(fault)))) => at_hand.batch.faults.push((place, fault)),
            ended => break ended.map(drop),
        }
        if at_hand.batch.is_full() {
            let next = spare.pop().map_or_else(|| Reading::new(source), Ok)?;
            let full = std::mem::replace(&mut at_hand, next);
            if let Some(read) = jobs.start(move || full.read())? {
                spare.push(read?.take_in(source, &mut intake, &mut hand_over)?);
            }
        }
    };
    // What was read before a failure comes before it.
    while let Some(read) = jobs.next()? {
        read?.take_in(source, &mut intake, &mut hand_over)?;
    }
    ended?;
    at_hand.read()?.take_in(source, &mut intake, &mut hand_over)?;
    intake.finish()
}

/// What reads a batch of records; its memory is used again.
struct Reading {
    batch: Batch,
    decoder: RecordDecoder,
}

impl Reading {
    fn new(source: &Arc<Source>) -> Result<Self, DecodeError> {
        Ok(Self { batch: Batch::default(), decoder: RecordDecoder::new(source)? })
    }

    /// Decodes the batch; needs nothing of the batches before.
    fn read(mut self) -> Result<Outcome, DecodeError> {
        let mut faults = std::mem::take(&mut self.batch.faults);
        let found = self.decoder.decode(&self.batch, &mut faults)?;
        self.batch.clear();
        Ok(Outcome { reading: self, found, faults })
    }
}

/// Records as text.
#[derive(Debug, Default)]
struct Batch {
    bytes: Vec<u8>,
    /// Where each record stands in the input, and where it ends in `bytes`.
    records: Vec<(Place, usize)>,
    /// What was found in place of records, and what is wrong with some.
    faults: Vec<(Place, Fault)>,
}

impl Batch {
    fn add(&mut self, place: Place, record: &[u8]) {
        self.bytes.extend_from_slice(record);
        self.records.push((place, self.bytes.len()));
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.records.clear();
    }

    fn is_full(&self) -> bool {
        self.bytes.len() >= BATCH_BYTES || self.records.len() >= BATCH_RECORDS || self.faults.len() >= BATCH_RECORDS
    }

    fn texts(&self) -> impl Iterator<Item = (Place, &[u8])> {
        let mut from = 0;
        self.records.iter().map(move |(place, end)| (*place, &self.bytes[std::mem::replace(&mut from, *end)..*end]))
    }
}

/// What became of a batch of records.
struct Outcome {
    reading: Reading,
    found: Option<Decoded>,
    faults: Vec<(Place, Fault)>,
}

impl Outcome {
    /// Takes it in behind the batches before it, and gives the reader back. Mapped here, where the rows of a record go
    /// on before the next are made: one may become very many.
    fn take_in<'o>(
        self,
        source: &Source,
        intake: &mut Intake<'o>,
        hand_over: &mut impl FnMut(WireBatch, &mut Intake<'o>) -> Result<(), DecodeError>,
    ) -> Result<Reading, DecodeError> {
        let mut failed: Vec<_> = self.faults.into_iter().map(|(place, fault)| (At { place, item: 0 }, fault)).collect();
        failed.sort_by_key(|(at, _)| at.order());
        let mut failed = failed.into_iter().peekable();
        if let Some(records) = self.found {
            for rows in Pieces::new(&records, source.shape()) {
                let rows = rows.map_err(DecodeError::Batch)?;
                let last = rows.places.last().map(At::order);
                let mut faults = Vec::new();
                let (rows, nulled) = map(rows, source, &mut faults).map_err(DecodeError::Batch)?;
                while let Some(before) = failed.next_if(|(at, _)| Some(at.order()) < last) {
                    faults.push(before);
                }
                refuse(faults, intake)?;
                for (slot, rows) in nulled.into_iter().filter(|(_, rows)| *rows > 0) {
                    *intake.report.nulled.entry(slot_name(slot).to_owned()).or_default() += rows;
                }
                hand_over(rows, intake)?;
            }
        }
        refuse(failed.collect(), intake)?;
        Ok(self.reading)
    }
}

fn refuse(mut faults: Vec<(At, Fault)>, intake: &mut Intake<'_>) -> Result<(), DecodeError> {
    faults.sort_by_key(|(at, _)| at.order());
    for (at, mut fault) in faults {
        if let Some(element) = at.place.element {
            fault.reason = format!("{} (record {element} of its list)", fault.reason);
        }
        if at.item > 1 {
            fault.reason = format!("{} (row {} of its record)", fault.reason, at.item);
        }
        intake.refuse(at.place.line, fault)?;
    }
    Ok(())
}

/// Marks the rows without a fault and moves the faults to the others.
fn leave_out(places: &mut Vec<At>, found: Faults, faults: &mut Vec<(At, Fault)>) -> BooleanArray {
    let good: Vec<bool> = (0..places.len()).map(|row| !found.contains_key(&row)).collect();
    faults.extend(found.into_iter().map(|(row, fault)| (places[row], fault)));
    let mut marks = good.iter();
    places.retain(|_| marks.next() == Some(&true));
    BooleanArray::from(good)
}

/// Rows of activities, and by slot how many addresses became null in them.
fn map(
    Rows { mut batch, mut places }: Rows,
    source: &Source,
    faults: &mut Vec<(At, Fault)>,
) -> Result<(WireBatch, Vec<(usize, u64)>), ArrowError> {
    let columns = source.columns();
    let mut mapped = if let Ok(mapped) = map_records(columns, &batch) {
        mapped
    } else {
        let good = leave_out(&mut places, faults_of_records(columns, &batch), faults);
        batch = filter_record_batch(&batch, &good)?;
        map_records(columns, &batch)?
    };
    let found = faults_of_rows(columns, &mapped);
    if !found.is_empty() {
        mapped = mapped.keep(&leave_out(&mut places, found, faults))?;
    }
    if places.iter().any(|at| at.item > 1) {
        mapped.number_ids(&places.iter().map(|at| at.item).collect::<Vec<_>>());
    }
    let nulled = mapped.nulled.iter().map(|(slot, rows)| (*slot, rows.true_count() as u64)).collect();
    Ok((WireBatch { rows: places.len(), columns: mapped.columns }, nulled))
}

/// Decodes records of a source's declared fields.
struct RecordDecoder {
    source: Arc<Source>,
    decoder: Decoder,
}

impl RecordDecoder {
    fn new(source: &Arc<Source>) -> Result<Self, DecodeError> {
        Ok(Self { source: Arc::clone(source), decoder: decoder(source, BATCH_RECORDS)? })
    }

    /// The records of a batch that are sound, if any; faults of the others.
    fn decode(&mut self, batch: &Batch, faults: &mut Vec<(Place, Fault)>) -> Result<Option<Decoded>, DecodeError> {
        if let Ok(decoded) = all(&mut self.decoder, batch.texts().map(|(_, text)| text)) {
            let records = batch.texts().map(|(place, text)| (place, text.len())).collect();
            return self.decoded(decoded, records);
        }
        // After a failure a decoder holds half a record.
        self.decoder = decoder(&self.source, BATCH_RECORDS)?;
        let mut good = Vec::with_capacity(batch.records.len());
        let mut single = decoder(&self.source, 1)?;
        for (place, text) in batch.texts() {
            match sound(text, &mut single) {
                Ok(()) => good.push((place, text)),
                Err(fault) => {
                    faults.push((place, fault));
                    single = decoder(&self.source, 1)?;
                }
            }
        }
        let decoded = all(&mut self.decoder, good.iter().map(|(_, text)| *text)).map_err(DecodeError::Batch)?;
        self.decoded(decoded, good.into_iter().map(|(place, text)| (place, text.len())).collect())
    }

    fn decoded(
        &self,
        batch: Option<RecordBatch>,
        records: Vec<(Place, usize)>,
    ) -> Result<Option<Decoded>, DecodeError> {
        let merged = batch.map(|batch| self.source.shape().merge(batch)).transpose().map_err(DecodeError::Batch)?;
        Ok(merged.map(|batch| Decoded { batch, records }))
    }
}

fn decoder(source: &Source, batch_records: usize) -> Result<Decoder, DecodeError> {
    ReaderBuilder::new(source.shape().decoded())
        .with_batch_size(batch_records)
        .with_coerce_primitive(true)
        .with_ignore_type_conflicts(true)
        .build_decoder()
        .map_err(DecodeError::Batch)
}

/// Decodes texts that hold one object each.
fn all<'t>(decoder: &mut Decoder, texts: impl Iterator<Item = &'t [u8]>) -> Result<Option<RecordBatch>, ArrowError> {
    for (text, number) in texts.zip(1..) {
        let taken = decoder.decode(text)?;
        if taken < text.len() || decoder.len() != number || decoder.has_partial_record() {
            return Err(ArrowError::JsonError("not one object".to_owned()));
        }
    }
    decoder.flush()
}

/// Whether a text is one JSON object, by the same rules as for the lake's own records.
fn sound(text: &[u8], single: &mut Decoder) -> Result<(), Fault> {
    let text = std::str::from_utf8(text)
        .map_err(|error| Fault::of_record(format!("invalid utf-8 after byte {}", error.valid_up_to())))?;
    let mut json = serde_json::Deserializer::from_str(text);
    serde::Deserialize::deserialize(&mut json)
        .and_then(|IgnoredAny| json.end())
        .map_err(|error| Fault::of_record(reason_of(&error)))?;
    // The decoder may still refuse what the parser leaves open, such as half a surrogate pair.
    all(single, std::iter::once(text.as_bytes())).map(drop).map_err(|error| {
        let reason = match error {
            ArrowError::JsonError(reason) => reason,
            other => other.to_string(),
        };
        Fault::of_record(format!("malformed json: {}", excerpt(&reason)))
    })
}
