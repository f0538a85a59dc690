//! `POST /api/v1/impacts`.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};

use super::batch::{BatchAnswer, MAX_BATCH_BYTES, read_lines};
use crate::api::activities::ingest_activities::IDEMPOTENCY_KEY;
use crate::api::body::{JSON_TIMEOUT, collect_within};
use crate::api::caller::Caller;
use crate::api::error::{ApiError, CallerErrors, ErrorBody};
use crate::domain::principal::Scope;
use crate::services::Services;
use crate::services::evidence::chain;

/// Takes points off the scores of users, a line an impact, in the order of the lines.
///
/// The fields of a line are those of `create_uci_impact` and `idempotencyKey`, which makes a repeat of the line safe for
/// 24 hours. Each line is answered by a line of its own: with an `anomalyId` it is durable, with an `error` nothing of
/// it was stored, and the others are not touched by that. Blank lines are skipped. There is no limit of requests.
#[utoipa::path(
    post, path = "/api/v1/impacts", operation_id = "create_impacts", tag = "uci",
    request_body(
        description = "At most 10,000 lines and 8 MiB",
        content((
            String = "application/x-ndjson",
            example = "{\"user\":\"ann@example.com\",\"score\":50,\"timestamp\":1795305600000,\"source\":\"OKTA\",\"reason\":\"too many failures\",\"idempotencyKey\":\"1\"}\n",
        )),
    ),
    responses(
        CallerErrors,
        (status = 200, description = "What became of each line", body = BatchAnswer, content_type = "application/x-ndjson"),
        (status = 403, description = "The scope uci:write is missing", body = ErrorBody),
        (status = 408, description = "The body did not arrive in time; nothing was stored", body = ErrorBody),
        (status = 413, description = "Too many lines or bytes; nothing was stored", body = ErrorBody),
    ),
    security(("bearer" = []), ("basic" = [])),
)]
pub async fn create_impacts(
    State(services): State<Arc<Services>>,
    caller: Caller,
    request: Request,
) -> Result<Response, ApiError> {
    caller.require(Scope::UciWrite)?;
    if request.headers().contains_key(IDEMPOTENCY_KEY) {
        let message = "a batch has no key of its own; give each line an `idempotencyKey`";
        return Err(ApiError::bad_request("bad_value", "Idempotency-Key", message));
    }
    let body = collect_within(request, MAX_BATCH_BYTES, JSON_TIMEOUT).await?;
    let lines = services.cpu.spawn(async move { read_lines(&body) }).await.map_err(|e| ApiError::internal(&e))??;
    let numbers: Vec<_> = lines.iter().filter(|line| line.impact.is_ok()).map(|line| line.number).collect();
    let mut answers = Vec::with_capacity(lines.len());
    let mut impacts = Vec::with_capacity(numbers.len());
    for line in lines {
        match line.impact {
            Ok((impact, key)) => impacts.push(impact.request(key)),
            Err(error) => answers.push(BatchAnswer::refused(line.number, error)),
        }
    }
    let recorded = services.record_impacts(&caller.tenant, impacts).await;
    answers.extend(numbers.into_iter().zip(recorded).map(|(line, recorded)| match recorded {
        Ok(recorded) => BatchAnswer::stored(line, recorded.anomaly.id.to_hex()),
        Err(error) => {
            let cause = chain(&error);
            let error = ApiError::from(error);
            if error.status.is_server_error() {
                tracing::error!(line, cause, "an impact of a batch failed");
            }
            BatchAnswer::refused(line, error.message)
        }
    }));
    answers.sort_by_key(|answer| answer.line);
    let mut text = Vec::new();
    for answer in &answers {
        serde_json::to_writer(&mut text, answer).map_err(|error| ApiError::internal(&error))?;
        text.push(b'\n');
    }
    Ok((StatusCode::OK, [(CONTENT_TYPE, "application/x-ndjson")], Body::from(text)).into_response())
}
