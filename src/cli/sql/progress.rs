//! Signs of life of a long query, on a terminal; off a terminal nothing is drawn.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::cli::output::count;
use crate::domain::size_text::format_size;

/// A query that answers within this time needs no sign of life.
const AFTER: Duration = Duration::from_millis(500);

/// How far a query is.
#[derive(Debug)]
pub(super) struct Progress {
    bar: ProgressBar,
    late: tokio::task::AbortHandle,
}

impl Progress {
    /// Counts from now on and shows itself after a moment.
    pub(super) fn begin() -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
        let style = ProgressStyle::with_template("{spinner} {elapsed} {msg}");
        let bar = bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
        let shown = bar.clone();
        let late = tokio::spawn(async move {
            tokio::time::sleep(AFTER).await;
            shown.set_draw_target(ProgressDrawTarget::stderr());
            shown.enable_steady_tick(Duration::from_millis(200));
        });
        Self { bar, late: late.abort_handle() }
    }

    /// Bytes came in.
    pub(super) fn bytes(&self, n: u64) {
        self.bar.inc(n);
        self.bar.set_message(format_size(self.bar.position()));
    }

    /// So many rows have come, where that is known.
    pub(super) fn rows(&self, rows: Option<u64>) {
        if let Some(rows) = rows {
            let rows = count(rows, "row", "rows");
            self.bar.set_message(format!("{rows}, {}", format_size(self.bar.position())));
        }
    }

    /// Writes to the terminal while the sign of life is away.
    pub(super) fn paused<T>(&self, write: impl FnOnce() -> T) -> T {
        self.bar.suspend(write)
    }

    /// Takes it away.
    pub(super) fn clear(&self) {
        self.late.abort();
        self.bar.finish_and_clear();
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.clear();
    }
}
