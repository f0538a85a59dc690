//! Errors of bodies of activities, from their arrival to their commit.

use axum::http::StatusCode;

use super::{ApiError, is_disk_full, no_room, unavailable};
use crate::formats::input::DecodeError;
use crate::services::ingest::IngestError;
use crate::services::own_sources::KeepError;
use crate::services::trouble::Trouble;
use crate::services::upload::UploadError;

/// What an operator does when the lake does not tell what it holds.
const REPEATS_HELP: &str = "Look at the lake with `lake check`, or send the records with dedup=off";

impl From<UploadError> for ApiError {
    fn from(error: UploadError) -> Self {
        match &error {
            UploadError::Stalled(_) => {
                let message = format!("{error}; nothing was stored");
                Self::new(StatusCode::REQUEST_TIMEOUT, "upload_stalled", message)
            }
            UploadError::Broken(_) => {
                let message = "the body did not arrive whole; nothing was stored";
                Self::new(StatusCode::BAD_REQUEST, "incomplete_body", message).with_cause(&error)
            }
        }
    }
}

impl From<IngestError> for ApiError {
    fn from(error: IngestError) -> Self {
        match error {
            IngestError::Busy { retry_after } => Self::too_many("busy", "too many ingests are running", retry_after),
            IngestError::KeyConflict => Self::new(StatusCode::CONFLICT, "idempotency_conflict", error.to_string())
                .with_target("Idempotency-Key"),
            IngestError::NoRoom(error) => (&error).into(),
            IngestError::Upload(error) => error.into(),
            IngestError::Decode(error) => error.into(),
            IngestError::Repeats(ref cause) => match Trouble::of(cause.as_ref()) {
                Some(trouble) => Self::of_trouble(trouble, &error).saying("nothing was stored"),
                None => unavailable("not_stored", &format!("{error}; nothing was stored. {REPEATS_HELP}"), &error),
            },
            IngestError::Lake(error) => error.into(),
            IngestError::Registry(error) => error.into(),
            IngestError::Source(_) | IngestError::Answer(_) => Self::internal(&error),
        }
    }
}

impl From<KeepError> for ApiError {
    fn from(error: KeepError) -> Self {
        match error {
            KeepError::Source(error) => Self::bad_request("bad_source", "source", error.to_string()),
            KeepError::Task(error) => error.into(),
        }
    }
}

impl From<DecodeError> for ApiError {
    fn from(error: DecodeError) -> Self {
        let bad = |code, message: String| Self::new(StatusCode::BAD_REQUEST, code, message);
        let large = |code, message: String| Self::new(StatusCode::PAYLOAD_TOO_LARGE, code, message);
        match &error {
            DecodeError::Empty => bad("empty_body", "the body holds no records; nothing was stored".to_owned()),
            DecodeError::Rejected(rejection) => {
                let message = format!("{error}; nothing was stored. Mend the records or add ?on_error=skip");
                bad("bad_records", message).with_details(serde_json::json!({
                    "rejected": rejection.rejected,
                    "stoppedEarly": rejection.stopped_early,
                    "errors": rejection.errors,
                }))
            }
            DecodeError::RecordTooLarge { .. } => large("record_too_large", format!("{error}; nothing was stored")),
            DecodeError::TooLarge { .. } => {
                large("body_too_large", format!("{error}; nothing was stored. Send it in parts"))
            }
            DecodeError::BatchTooLarge { .. } => {
                large("batch_too_large", format!("{error}; nothing was stored. Write smaller record batches"))
            }
            DecodeError::Bomb { .. } => large("inflates_too_much", format!("{error}; nothing was stored")),
            DecodeError::Corrupt { .. } => bad("corrupt_body", format!("{error}; nothing was stored")),
            DecodeError::Column { column, .. } => {
                bad("bad_column", format!("{error}; nothing was stored")).with_target(column)
            }
            DecodeError::Read(_) => {
                bad("incomplete_body", "the body did not arrive whole; nothing was stored".to_owned())
            }
            DecodeError::Spool(cause) if is_disk_full(cause) => {
                no_room("disk_full", "the server's disk is full; nothing was stored").with_cause(&error)
            }
            DecodeError::Spool(_) | DecodeError::SinkClosed(_) | DecodeError::Repeats(_) | DecodeError::Batch(_) => {
                Self::internal(&error)
            }
        }
    }
}
