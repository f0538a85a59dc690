//! Long work: a bar while it goes on, then its result.

use std::time::Duration;

use axum::body::Body;
use axum::http::{Method, StatusCode};
use http_body_util::BodyExt;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::client::{Client, ClientError, transport};
use crate::api::control::watched::{Failure, Line};

/// Sends a request for long work, shows on a terminal how far it is, and returns its result.
///
/// # Errors
/// As [`Client::call`]; also when the work fails or the answer breaks off.
pub(super) async fn watch<B: Serialize, T: DeserializeOwned>(
    client: &Client,
    method: Method,
    path: &str,
    body: Option<&B>,
    what: &'static str,
) -> Result<T, ClientError> {
    let body = match body {
        Some(body) => Body::from(serde_json::to_vec(body).map_err(transport)?),
        None => Body::empty(),
    };
    let request = Client::request(method, path, None).body(body).map_err(transport)?;
    let mut body = client.call(request).await?.into_body();
    let bar = bar(what);
    let mut rest = Vec::new();
    while let Some(frame) = body.frame().await {
        let Ok(chunk) = frame.map_err(transport)?.into_data() else { continue };
        rest.extend_from_slice(&chunk);
        while let Some(end) = rest.iter().position(|b| *b == b'\n') {
            let line: Vec<u8> = rest.drain(..=end).collect();
            match serde_json::from_slice(&line).map_err(transport)? {
                Line::Progress(reading) => {
                    bar.set_length(reading.planned.max(reading.done));
                    bar.set_position(reading.done);
                }
                Line::Done(result) => {
                    bar.finish_and_clear();
                    return Ok(result);
                }
                Line::Failed(failure) => {
                    bar.finish_and_clear();
                    return Err(refused(failure));
                }
            }
        }
    }
    bar.finish_and_clear();
    Err(transport("the answer broke off before its result"))
}

fn refused(failure: Failure) -> ClientError {
    let Failure { status, code, message, target, details } = failure;
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    ClientError::Refused { status, code, message, target, details }
}

/// A bar of bytes; off a terminal it draws nothing.
pub(super) fn bar(what: &'static str) -> ProgressBar {
    let template = "{prefix} [{bar:24}] {bytes}/{total_bytes} {bytes_per_sec} {elapsed}";
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    let bar = ProgressBar::new(0).with_style(style).with_prefix(what);
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}
