//! The lines of a batch of impacts.

use serde::Serialize;
use serde_json::Value;

use super::fields::{Fields, refuse};
use super::impact::UciImpact;
use crate::api::error::ApiError;

/// Largest batch, in bytes.
pub const MAX_BATCH_BYTES: usize = 8 << 20;

/// Most impacts of a batch: what a client waits for in one answer.
pub const MAX_BATCH_LINES: usize = 10_000;

/// Longest idempotency key, in bytes.
pub const MAX_KEY_BYTES: usize = 255;

/// What became of one line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct BatchAnswer {
    /// Number of the line in the body, from 1 on; blank ones count and have no answer.
    #[schema(example = 1)]
    pub line: usize,
    /// Id of the anomaly, once it is durable.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "a1000000000000000000002a")]
    pub anomaly_id: Option<String>,
    /// Why nothing of the line was stored.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

impl BatchAnswer {
    /// The line is stored.
    #[must_use]
    pub const fn stored(line: usize, anomaly_id: String) -> Self {
        Self { line, anomaly_id: Some(anomaly_id), error: None }
    }

    /// The line is refused.
    #[must_use]
    pub const fn refused(line: usize, error: String) -> Self {
        Self { line, anomaly_id: None, error: Some(error) }
    }
}

/// One line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchLine {
    /// Its number in the body, from 1 on.
    pub number: usize,
    /// The impact and its idempotency key, or why there is none.
    pub impact: Result<(UciImpact, Option<String>), String>,
}

/// Reads the lines that are not blank.
///
/// # Errors
/// `413` for more than [`MAX_BATCH_LINES`].
pub fn read_lines(body: &[u8]) -> Result<Vec<BatchLine>, ApiError> {
    let lines = body.split(|byte| *byte == b'\n').enumerate();
    let lines = lines.filter(|(_, line)| !line.trim_ascii().is_empty());
    let mut read = Vec::new();
    for (index, line) in lines {
        if read.len() == MAX_BATCH_LINES {
            let message = format!("a batch has at most {MAX_BATCH_LINES} impacts; nothing was stored");
            return Err(ApiError::new(axum::http::StatusCode::PAYLOAD_TOO_LARGE, "batch_too_large", message));
        }
        read.push(BatchLine { number: index + 1, impact: impact(line) });
    }
    Ok(read)
}

fn impact(line: &[u8]) -> Result<(UciImpact, Option<String>), String> {
    let value: Value = serde_json::from_slice(line).map_err(|error| format!("the line is wrong: {error}"))?;
    let fields = Fields::of(value).map_err(|_| "the line is wrong: an object is needed".to_owned())?;
    let read = || {
        let key = fields.text("idempotencyKey")?.map(|key| idempotency_key("idempotencyKey", &key)).transpose()?;
        Ok((UciImpact::of(&fields)?, key))
    };
    read().map_err(|error: ApiError| error.message)
}

/// A key by which a repeat is known.
///
/// # Errors
/// `400` for an empty or long one.
pub fn idempotency_key(name: &str, text: &str) -> Result<String, ApiError> {
    let key = text.trim();
    if key.is_empty() || key.len() > MAX_KEY_BYTES {
        return Err(refuse(name, format_args!("must have 1 to {MAX_KEY_BYTES} bytes")));
    }
    Ok(key.to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn each_line_stands_for_itself() {
        let good =
            r#"{"user":"a","score":5,"timestamp":1.5,"source":"s","reason":"r","idempotencyKey":" k ","more":[]}"#;
        let body = format!("{good}\r\n\n  \nnot json\n[]\n{{\"user\":\"a\"}}\n{}", good.replace(" k ", ""));
        let lines = read_lines(body.as_bytes()).unwrap();
        let numbers: Vec<_> = lines.iter().map(|line| line.number).collect();
        assert_eq!(numbers, [1, 4, 5, 6, 7]);
        let (impact, key) = lines[0].impact.clone().unwrap();
        assert_eq!((impact.timestamp, key.as_deref()), (1, Some("k")));
        let told: Vec<_> = lines[1..].iter().map(|line| line.impact.clone().unwrap_err()).collect();
        assert!(told[0].starts_with("the line is wrong: expected"), "{told:?}");
        assert_eq!(told[1], "the line is wrong: an object is needed");
        assert_eq!(told[2], "`score` is missing");
        assert!(told[3].contains("idempotencyKey"), "{told:?}");
        assert!(read_lines(b"").unwrap().is_empty());
        let many = "x\n".repeat(MAX_BATCH_LINES + 1);
        assert_eq!(read_lines(many.as_bytes()).unwrap_err().code, "batch_too_large");
        assert_eq!(read_lines(&many.as_bytes()[..many.len() - 2]).unwrap().len(), MAX_BATCH_LINES);
    }

    proptest! {
        #[test]
        fn no_body_brings_it_down(body in prop::collection::vec(any::<u8>(), 0..200)) {
            for line in read_lines(&body).unwrap() {
                prop_assert!(line.impact.is_err());
            }
        }
    }
}
