//! One statement: asked, answered, written.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::http::header::{ACCEPT, CONTENT_TYPE, TE};
use axum::http::{Method, Response};
use serde::Serialize;
use serde_json::Value;

use super::SqlFormat;
use super::answer::{Target, Written, write};
use super::params::Params;
use super::progress::Progress;
use crate::cli::CommandError;
use crate::cli::client::{Client, transport};
use crate::cli::output::count;
use crate::cli::session::{IfMissing, with_client};
use crate::domain::size_text::format_size;
use crate::domain::tenant::TenantId;
use crate::domain::time_text::format_span;

/// What all statements of a command have in common.
#[derive(Debug, Clone)]
pub(super) struct Query {
    pub(super) data_dir: PathBuf,
    pub(super) tenant: TenantId,
    pub(super) params: Params,
    pub(super) timeout: Option<Duration>,
    pub(super) format: SqlFormat,
}

/// Body of the request.
#[derive(Serialize)]
struct SqlBody<'a> {
    sql: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    params: Option<&'a Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    timeout: Option<String>,
}

/// What a statement gave, for people.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) written: Written,
    pub(super) seconds: f64,
}

impl Query {
    /// Runs a statement and tells of a file that was written.
    pub(super) async fn run(&self, statement: &str, target: &Target) -> Result<(), CommandError> {
        let Outcome { written, seconds } = self.ask(statement, target, None).await?;
        if let Target::File(file) = target {
            let rows = written.rows.map(|rows| format!("{}, ", count(rows, "row", "rows"))).unwrap_or_default();
            eprintln!("{}: {rows}{}, {seconds:.2} s", file.display(), format_size(written.bytes));
        }
        Ok(())
    }

    /// Runs a statement. Dropping this cancels it, here and at the server.
    ///
    /// The way to the services is opened for each statement, so that a shell that idles holds up nobody and
    /// outlives a server's restart.
    pub(super) async fn ask(
        &self,
        statement: &str,
        target: &Target,
        width: Option<usize>,
    ) -> Result<Outcome, CommandError> {
        let begun = Instant::now();
        let progress = Progress::begin();
        let outcome = with_client(&self.data_dir, IfMissing::Refuse, async |client| {
            let response = self.send(client, statement).await?;
            write(response, self.format, target, width, &progress).await
        });
        let written = outcome.await;
        progress.clear();
        Ok(Outcome { written: written?, seconds: begun.elapsed().as_secs_f64() })
    }

    async fn send(&self, client: &Client, sql: &str) -> Result<Response<Body>, CommandError> {
        let body = SqlBody { sql, params: self.params.0.as_ref(), timeout: self.timeout.map(format_span) };
        let body = serde_json::to_vec(&body).map_err(CommandError::failed)?;
        let request = Client::request(Method::POST, "/api/v1/sql", Some(self.tenant))
            .header(ACCEPT, self.format.media_type())
            .header(CONTENT_TYPE, "application/json")
            .header(TE, "trailers");
        Ok(client.call(request.body(Body::from(body)).map_err(transport)?).await?)
    }
}
