//! Sources: how the records of other products become activities.
//!
//! A source is a file: a header in comments that says which fields of a JSON record are read, and one
//! `SELECT` from the record onto the activity columns (see `docs/sources/`). Records are decoded once
//! into the declared fields, and the expressions of the `SELECT`, planned once, run over each batch.
//!
//! The rules of a vendor's source are in `docs/sources/`: the time is the event's own, the
//! action is named as the vendor names it, and an address that is none becomes null and is counted.

mod decode;
mod embedded;
mod error;
mod fields;
mod functions;
mod header;
mod input;
mod mapping;
mod pieces;
mod select;
mod shape;
mod source;
mod unread;
pub mod user_agent;
pub mod values;

pub use decode::{decode_enriched, decode_source};
pub use embedded::{EMBEDDED, EmbeddedSource, embedded};
pub use error::{Position, SourceError};
pub use input::Layout;
pub use source::{SOURCE_BOUNDS, Source};
pub use unread::unread_keys;

#[cfg(test)]
mod tests;
