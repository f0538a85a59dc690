//! The table of ratios: kept as JSON from run to run, written as Markdown beside it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::measure::Times;

/// A figure beside that of somebody else, and what is asked of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Line {
    /// The part of the benchmark that measured it.
    pub part: String,
    /// What was done.
    pub work: String,
    /// Our figure: a median, unless the work says otherwise.
    pub ours: f64,
    /// `s`, `MB`, `rows/s`.
    pub unit: String,
    /// Who did the same in the same rounds, and the figure.
    pub against: Option<(String, f64)>,
    /// What may be asked: of our cost as a multiple of theirs, or of our figure where nobody is beside it.
    pub bar: Option<f64>,
    /// What would be better still.
    pub stretch: Option<f64>,
    /// All of our times, seconds.
    #[serde(default)]
    pub our_times: Vec<f64>,
    /// All of theirs.
    #[serde(default)]
    pub their_times: Vec<f64>,
    /// When it was measured, RFC 3339, and by which arguments.
    pub measured_at: String,
    pub command: String,
}

impl Line {
    /// Our time beside theirs.
    pub fn times(work: impl Into<String>, ours: &Times, name: &str, theirs: &Times) -> Self {
        Self {
            against: Some((name.to_owned(), theirs.median())),
            our_times: ours.all().to_vec(),
            their_times: theirs.all().to_vec(),
            ..Self::figure(work, ours.median(), "s")
        }
    }

    /// A figure of ours alone.
    pub fn figure(work: impl Into<String>, ours: f64, unit: &str) -> Self {
        Self {
            part: String::new(),
            work: work.into(),
            ours,
            unit: unit.to_owned(),
            against: None,
            bar: None,
            stretch: None,
            our_times: Vec::new(),
            their_times: Vec::new(),
            measured_at: String::new(),
            command: String::new(),
        }
    }

    pub fn bar(self, bar: f64, stretch: f64) -> Self {
        Self { bar: Some(bar), stretch: Some(stretch), ..self }
    }

    /// Our cost as a multiple of theirs, or our figure.
    pub fn measure(&self) -> f64 {
        self.against.as_ref().map_or(self.ours, |(_, theirs)| self.ours / theirs)
    }

    fn verdict(&self) -> &'static str {
        let within = |bound: Option<f64>| bound.is_some_and(|bound| self.measure() <= bound);
        match (self.bar, within(self.stretch), within(self.bar)) {
            (None, ..) if self.stretch.is_none() => "",
            (_, true, _) => "stretch",
            (_, _, true) => "met",
            (None, ..) => "reported",
            _ => "missed",
        }
    }
}

/// Everything measured so far.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// What it was measured on: cores, versions.
    pub machine: BTreeMap<String, String>,
    pub lines: Vec<Line>,
    /// Cost by rows of the lake: name of the cost, then rows and seconds.
    pub curves: BTreeMap<String, Vec<(u64, f64)>>,
}

impl Report {
    pub fn read(folder: &Path) -> Self {
        let text = std::fs::read(folder.join("versus.json"));
        text.ok().and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default()
    }

    /// Takes the lines of a part in place of those of an earlier run.
    pub fn replace(&mut self, part: &str, lines: Vec<Line>) {
        let place = self.lines.iter().position(|line| line.part == part).unwrap_or(self.lines.len());
        self.lines.retain(|line| line.part != part);
        let place = place.min(self.lines.len());
        let measured_at = chrono::Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
        let command = std::env::args().skip(1).filter(|argument| argument != "--bench").collect::<Vec<_>>().join(" ");
        let lines = lines.into_iter().map(|line| Line {
            part: part.to_owned(),
            measured_at: measured_at.clone(),
            command: command.clone(),
            ..line
        });
        self.lines.splice(place..place, lines);
    }

    pub fn write(&self, folder: &Path) {
        std::fs::create_dir_all(folder).unwrap();
        std::fs::write(folder.join("versus.json"), serde_json::to_string_pretty(self).unwrap()).unwrap();
        std::fs::write(folder.join("versus.md"), self.markdown()).unwrap();
    }

    /// The table for people.
    pub fn markdown(&self) -> String {
        let mut text = String::new();
        for (name, value) in &self.machine {
            writeln!(text, "- {name}: {value}").unwrap();
        }
        text.push_str("\n| part | work | ours | beside | theirs | ours ÷ theirs | bar | stretch | |\n");
        text.push_str("|---|---|---|---|---|---|---|---|---|\n");
        for line in &self.lines {
            let bound = |bound: Option<f64>| match bound {
                Some(bound) if line.against.is_some() => format!("≤ {}", ratio(bound)),
                Some(bound) => format!("≤ {}", shown(bound, &line.unit)),
                None => String::new(),
            };
            let (beside, theirs, times) = match &line.against {
                Some((name, theirs)) => (name.as_str(), shown(*theirs, &line.unit), ratio(line.measure())),
                None => ("", String::new(), String::new()),
            };
            writeln!(
                text,
                "| {} | {} | {} | {beside} | {theirs} | {times} | {} | {} | {} |",
                line.part,
                line.work,
                shown(line.ours, &line.unit),
                bound(line.bar),
                bound(line.stretch),
                line.verdict(),
            )
            .unwrap();
        }
        text
    }
}

fn ratio(value: f64) -> String {
    if value >= 10.0 { format!("{value:.0}") } else { format!("{value:.2}") }
}

fn shown(value: f64, unit: &str) -> String {
    match unit {
        "s" if value < 1.0 => format!("{:.2} ms", value * 1e3),
        "s" => format!("{value:.2} s"),
        "×" => format!("{} ×", ratio(value)),
        _ => format!("{value:.0} {unit}"),
    }
}
