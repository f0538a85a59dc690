//! Why a command failed, as it is printed: what happened, its details, and what to do about it.

use std::process::ExitCode;

use serde_json::Value;

use super::client::ClientError;
use super::owner::OwnError;

/// Details of an error that are printed; a server lists no more.
const MAX_DETAILS: usize = 20;

/// Why a command failed: exit code 1, or 2 when it was called wrongly.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct CommandError {
    message: String,
    details: Vec<String>,
    hint: Option<String>,
    code: u8,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl CommandError {
    fn new(message: String, code: u8) -> Self {
        Self { message, details: Vec::new(), hint: None, code, source: None }
    }

    /// The command did not succeed.
    #[must_use]
    pub fn failed(error: impl std::error::Error + Send + Sync + 'static) -> Self {
        let message = crate::services::evidence::chain(&error);
        Self { source: Some(Box::new(error)), ..Self::new(message, 1) }
    }

    /// The command did not succeed, in our own words.
    #[must_use]
    pub fn failed_text(message: impl Into<String>) -> Self {
        Self::new(message.into(), 1)
    }

    /// A file or stream could not be used; `what` says which and for what.
    #[must_use]
    pub fn io(what: impl std::fmt::Display, error: std::io::Error) -> Self {
        let message = format!("{what}: {error}");
        Self { source: Some(Box::new(error)), ..Self::new(message, 1) }
    }

    /// The command was called wrongly.
    #[must_use]
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(message.into(), 2)
    }

    /// Adds what to do about it, in place of an earlier hint.
    #[must_use]
    pub fn with_hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    /// Ends the program with this code.
    #[must_use]
    pub fn with_code(self, code: u8) -> Self {
        Self { code, ..self }
    }

    /// Adds lines that say more.
    #[must_use]
    pub fn with_details(self, details: Vec<String>) -> Self {
        Self { details, ..self }
    }

    /// Says which of several things it is about.
    #[must_use]
    pub fn about(self, name: &str) -> Self {
        Self { message: format!("{name}: {}", self.message), ..self }
    }

    /// Prints the error on stderr.
    pub fn print(&self) {
        eprint!("{}", self.lines());
    }

    /// The error with its details and its hint, a line each.
    #[must_use]
    pub fn lines(&self) -> String {
        let details = self.details.iter().map(|detail| format!("  {detail}\n"));
        let hint = self.hint.iter().map(|hint| format!("hint: {hint}\n"));
        std::iter::once(format!("error: {self}\n")).chain(details).chain(hint).collect()
    }

    /// The program's exit code.
    #[must_use]
    pub fn exit_code(&self) -> ExitCode {
        ExitCode::from(self.code)
    }
}

impl From<ClientError> for CommandError {
    fn from(error: ClientError) -> Self {
        let (hint, details) = match &error {
            ClientError::Own(error) => (own_hint(error), Vec::new()),
            ClientError::Unreachable { .. } => {
                (Some("it may be starting, stopping or stuck; try again or look at that process"), Vec::new())
            }
            ClientError::Transport(_) => {
                (Some("the server may have stopped; look whether it runs and what its log says"), Vec::new())
            }
            ClientError::Refused { code, target, details, .. } => {
                (hint(code, target.as_deref()), details.as_ref().map(detail_lines).unwrap_or_default())
            }
        };
        let failed = Self::failed(error).with_details(details);
        match hint {
            Some(hint) => failed.with_hint(hint),
            None => failed,
        }
    }
}

impl From<OwnError> for CommandError {
    fn from(error: OwnError) -> Self {
        ClientError::from(error).into()
    }
}

fn own_hint(error: &OwnError) -> Option<&'static str> {
    match error {
        OwnError::InUse { .. } => Some("stop that process first, or use another --data-dir"),
        OwnError::Io { .. } => Some("the data directory must be a folder that this user may write"),
        OwnError::Unfinished { .. } => Some("empty it and restore the backup again"),
        OwnError::Start(_) => None,
    }
}

/// What to do about a refusal of this code and target.
fn hint(code: &str, target: Option<&str>) -> Option<&'static str> {
    match (code, target) {
        ("not_found", Some("tenant")) => {
            Some("`anomalake tenant list` shows the tenants, `anomalake tenant create --id ID --name NAME` makes one")
        }
        ("not_found", Some("email" | "role")) => Some("`anomalake user list` shows the users and their roles"),
        ("not_found", Some("token")) => Some("`anomalake token list --tenant ID` shows the tenant's tokens"),
        ("not_found", Some("id")) => Some("`anomalake anomaly list --tenant ID` shows the tenant's anomalies"),
        ("not_found", Some("export")) => Some("`anomalake exports list --tenant ID` shows the tenant's exports"),
        ("too_many_exports" | "exports_full", _) => Some("`anomalake exports delete --tenant ID EXPORT` makes room"),
        ("not_found", _) => Some("the running server may be of another version than this command"),
        ("exists", Some("tenant")) => Some(
            "`anomalake tenant set` changes its settings, `anomalake tenant drop ID --yes` deletes it with its data",
        ),
        ("being_dropped", _) => Some("repeat `anomalake tenant drop ID --yes` to finish the drop"),
        ("bad_where", _) => {
            Some("write one condition over activity columns, for example: downloadBytes > 1000000 AND country = 'US'")
        }
        ("bad_value", Some("email")) => Some("write an address such as ann@example.com"),
        ("bad_value", Some("password")) => Some("send a longer one on stdin or with --password-file"),
        ("unknown_source", _) => Some(
            "`anomalake source list` shows the sources; leave --source out for records whose keys are the activity columns",
        ),
        ("bad_source", _) => Some("mend the file at that place; `anomalake source test FILE SAMPLE` tries it out"),
        ("busy" | "shutting_down" | "not_stored" | "timed_out", _) => Some("try again in a few seconds"),
        ("outcome_unknown", _) => Some("run the same command again: a file that is stored already is not stored twice"),
        ("record_too_large", _) => Some("split or drop that record, or raise max-record in the server's settings file"),
        ("body_too_large", _) => Some("split the input, or raise max-body in the server's settings file"),
        ("corrupt_body", _) => Some("make the file anew; is it complete, and is --format right?"),
        ("backup_folder", _) => {
            Some("name a folder that does not exist yet, on a disk with room, outside of the data directory")
        }
        ("internal" | "evidence_failed", _) => Some("the server's log has the cause; without a server it is above"),
        _ => None,
    }
}

/// Details for programs as lines for people.
fn detail_lines(details: &Value) -> Vec<String> {
    match details {
        Value::Object(fields) => match fields.get("errors") {
            Some(Value::Array(errors)) => errors.iter().take(MAX_DETAILS).map(record_line).collect(),
            _ => fields.iter().map(|(name, value)| format!("{name}: {}", scalar(value))).collect(),
        },
        Value::Null => Vec::new(),
        other => vec![scalar(other)],
    }
}

/// `line 3, field timeStamp: is missing`.
fn record_line(error: &Value) -> String {
    let text = |name: &str| error.get(name).map(scalar);
    match (text("line"), text("field"), text("reason")) {
        (Some(line), Some(field), Some(reason)) => format!("line {line}, field {field}: {reason}"),
        (Some(line), None, Some(reason)) => format!("line {line}: {reason}"),
        _ => error.to_string(),
    }
}

fn scalar(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use axum::http::StatusCode;
    use serde_json::json;

    use super::*;

    fn refused(code: &str, target: Option<&str>, details: Option<Value>) -> CommandError {
        ClientError::Refused {
            status: StatusCode::BAD_REQUEST,
            code: code.to_owned(),
            message: "no".to_owned(),
            target: target.map(str::to_owned),
            details,
        }
        .into()
    }

    #[test]
    fn a_missing_tenant_is_met_with_the_command_that_makes_one() {
        let error = refused("not_found", Some("tenant"), None);
        assert!(error.hint.unwrap().contains("anomalake tenant create"));
        assert_eq!(error.code, 1);
    }

    #[test]
    fn bad_records_are_listed_line_by_line() {
        let errors = json!({"rejected": 2, "errors": [
            {"line": 3, "field": "timeStamp", "reason": "is missing"},
            {"line": 9, "reason": "is no JSON object"},
        ]});
        let error = refused("bad_records", None, Some(errors));
        assert_eq!(error.details, ["line 3, field timeStamp: is missing", "line 9: is no JSON object"]);
        assert_eq!(refused("x", None, Some(json!({"limit": 5}))).details, ["limit: 5"]);
    }
}
