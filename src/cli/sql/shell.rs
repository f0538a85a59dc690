//! The shell: reads statements, runs them, shows what they give.

use rustyline::error::ReadlineError;
use rustyline::history::FileHistory;
use rustyline::{CompletionType, Config, Editor};

use super::answer::Target;
use super::complete::{ShellHelper, is_bare_word};
use super::describe::describe;
use super::request::{Outcome, Query};
use super::{SqlFormat, history, interrupted, statements};
use crate::cli::CommandError;
use crate::cli::output::{self, count};

type Lines = Editor<ShellHelper, FileHistory>;

const HELP: &str = "Statements end with a semicolon and may have several lines; Tab completes.
  \\d              the tables
  \\d TABLE        the columns of a table
  \\format FORMAT  table, csv, ndjson or json
  \\timing         shows or hides the time of a query
  \\help           this
  \\q              leaves, as does Ctrl-D
Ctrl-C cancels a query or empties the line; twice in a row at the prompt it leaves.
";

/// What a line asks for.
#[derive(Debug, PartialEq, Eq)]
enum Wish<'a> {
    Nothing,
    Leave,
    Help,
    Describe(Option<&'a str>),
    Timing,
    Format(&'a str),
    Statements,
    Unknown(&'a str),
}

fn wish(line: &str) -> Wish<'_> {
    let line = line.trim();
    if !line.starts_with('\\') && !is_bare_word(line) {
        return if line.is_empty() { Wish::Nothing } else { Wish::Statements };
    }
    let mut words = line.split_whitespace();
    match (words.next().unwrap_or_default(), words.next()) {
        ("\\q" | "exit" | "quit", _) => Wish::Leave,
        ("\\help" | "\\h" | "\\?" | "help", _) => Wish::Help,
        ("\\d" | "\\dt", name) => Wish::Describe(name),
        ("\\timing", _) => Wish::Timing,
        ("\\format", Some(format)) => Wish::Format(format),
        (unknown, _) => Wish::Unknown(unknown),
    }
}

/// Reads and runs until the user leaves. A statement that fails is shown and does not end the shell.
///
/// # Errors
/// When the terminal cannot be used.
pub(super) async fn run(mut query: Query) -> Result<(), CommandError> {
    let mut lines = editor()?;
    let history = open_history(&mut lines);
    eprintln!("anomalake {}; \\help for help", env!("CARGO_PKG_VERSION"));
    let prompt = format!("{}> ", query.tenant);
    let (mut timing, mut interrupts) = (true, 0);
    loop {
        let (line, back) = read(lines, prompt.clone()).await?;
        lines = back;
        let line = match line {
            Ok(line) => line,
            Err(ReadlineError::Interrupted) if interrupts > 0 => break,
            Err(ReadlineError::Interrupted) => {
                interrupts += 1;
                eprintln!("Ctrl-C again, Ctrl-D or \\q leaves");
                continue;
            }
            Err(ReadlineError::Eof) => break,
            Err(error) => return Err(CommandError::failed(error)),
        };
        interrupts = 0;
        keep(&mut lines, history.as_deref(), &line);
        match wish(&line) {
            Wish::Nothing => {}
            Wish::Leave => break,
            Wish::Help => output::print(HELP)?,
            Wish::Describe(name) => match describe(name) {
                Ok(text) => output::print(&text)?,
                Err(error) => eprintln!("error: {error}"),
            },
            Wish::Timing => {
                timing = !timing;
                eprintln!("timing is {}", if timing { "on" } else { "off" });
            }
            Wish::Format(name) => match <SqlFormat as clap::ValueEnum>::from_str(name, true) {
                Ok(format) if !format.is_binary() => query.format = format,
                Ok(_) => eprintln!("error: {name} is no text; `anomalake sql … -o FILE` writes it"),
                Err(_) => eprintln!("error: there is no format `{name}`; there are table, csv, ndjson, json"),
            },
            Wish::Unknown(command) => eprintln!("error: there is no command {command}; \\help lists them"),
            Wish::Statements => {
                let width = lines.dimensions().map(|(columns, _)| usize::from(columns));
                if !run_all(&query, &line, width, timing).await {
                    eprintln!("cancelled");
                }
            }
        }
    }
    Ok(())
}

/// Runs the statements of a line until one fails; false when Ctrl-C cancelled one.
async fn run_all(query: &Query, line: &str, width: Option<usize>, timing: bool) -> bool {
    for statement in statements::split(line) {
        let outcome = tokio::select! {
            outcome = query.ask(&statement, &Target::Stdout, width) => outcome,
            () = interrupted() => return false,
        };
        match outcome {
            Ok(outcome) => {
                if outcome.written.open_line && output::print("\n").is_err() {
                    break;
                }
                report(&outcome, timing);
            }
            Err(error) => {
                error.print();
                break;
            }
        }
    }
    true
}

fn report(outcome: &Outcome, timing: bool) {
    let rows = outcome.written.rows.map(|rows| count(rows, "row", "rows"));
    let time = timing.then(|| format!("{:.3} s", outcome.seconds));
    let told: Vec<String> = rows.into_iter().chain(time).collect();
    if !told.is_empty() {
        eprintln!("{}", told.join(", "));
    }
}

fn editor() -> Result<Lines, CommandError> {
    let config = Config::builder()
        .completion_type(CompletionType::List)
        .history_ignore_space(true)
        .max_history_size(history::MAX_LINES)
        .and_then(|config| config.history_ignore_dups(true))
        .map_err(CommandError::failed)?
        .build();
    let mut lines = Lines::with_config(config).map_err(CommandError::failed)?;
    lines.set_helper(Some(ShellHelper::new()));
    Ok(lines)
}

/// Reads the history; without one the shell works as well.
fn open_history(lines: &mut Lines) -> Option<std::path::PathBuf> {
    let path = history::path()?;
    let opened = history::prepare(&path).map_err(ReadlineError::from).and_then(|()| lines.load_history(&path));
    match opened {
        Ok(()) => Some(path),
        Err(error) => {
            eprintln!("note: no history is kept: {}: {error}", path.display());
            None
        }
    }
}

/// Adds a line to the history, on disk too: a shell that is killed loses none.
fn keep(lines: &mut Lines, history: Option<&std::path::Path>, line: &str) {
    let added = lines.add_history_entry(line.trim());
    let kept = added.and_then(|new| match history {
        Some(path) if new => lines.append_history(path),
        _ => Ok(()),
    });
    if let Err(error) = kept {
        tracing::warn!(%error, "could not keep a line in the history");
    }
}

/// Reads a line on a thread of its own: the editor blocks.
async fn read(mut lines: Lines, prompt: String) -> Result<(rustyline::Result<String>, Lines), CommandError> {
    let read = tokio::task::spawn_blocking(move || (lines.readline(&prompt), lines));
    read.await.map_err(CommandError::failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_told_from_statements() {
        for (line, expected) in [
            ("", Wish::Nothing),
            ("select 1;", Wish::Statements),
            ("\\q", Wish::Leave),
            (" quit ", Wish::Leave),
            ("help", Wish::Help),
            ("\\d", Wish::Describe(None)),
            ("\\d  users ;", Wish::Describe(Some("users"))),
            ("\\timing", Wish::Timing),
            ("\\format json", Wish::Format("json")),
            ("\\format", Wish::Unknown("\\format")),
            ("\\x", Wish::Unknown("\\x")),
            ("exit;", Wish::Statements),
        ] {
            assert_eq!(wish(line), expected, "{line}");
        }
    }
}
