//! A progress bar on a terminal; off a terminal it draws nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

/// How far one file is.
#[derive(Debug, Clone)]
pub(super) struct Progress {
    bar: ProgressBar,
    rows: Arc<AtomicU64>,
    begun: Instant,
}

impl Progress {
    /// A bar among those of other files, for a file of `size` bytes; without a size it shows no end.
    pub(super) fn new(name: &str, size: Option<u64>, bars: &MultiProgress) -> Self {
        let (bar, template) = match size {
            Some(size) => (ProgressBar::new(size), "{prefix} [{bar:24}] {bytes}/{total_bytes} {bytes_per_sec} {msg}"),
            None => (ProgressBar::no_length(), "{prefix} {spinner} {bytes} {bytes_per_sec} {msg}"),
        };
        let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
        let bar = bars.add(bar.with_style(style).with_prefix(name.to_owned()));
        bar.enable_steady_tick(Duration::from_millis(200));
        Self { bar, rows: Arc::default(), begun: Instant::now() }
    }

    /// Starts a pass over the file.
    pub(super) fn begin(&mut self, what: &'static str) {
        self.bar.reset();
        self.bar.set_message(what);
        self.rows.store(0, Ordering::Relaxed);
        self.begun = Instant::now();
    }

    /// Bytes of this pass were read.
    pub(super) fn bytes(&self, n: usize) {
        self.bar.inc(n as u64);
    }

    /// Rows of this pass were read; called only where they can be told from bytes.
    #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
    pub(super) fn rows(&self, n: usize) {
        let rows = self.rows.fetch_add(n as u64, Ordering::Relaxed) + n as u64;
        let per_second = rows as f64 / self.begun.elapsed().as_secs_f64().max(0.001);
        self.bar.set_message(format!("{rows} rows, {per_second:.0} rows/s"));
    }

    /// The pass has read everything and something else goes on.
    pub(super) fn waiting(&self, what: &'static str) {
        self.bar.set_message(what);
    }

    /// Takes the bar away.
    pub(super) fn clear(&self) {
        self.bar.finish_and_clear();
    }
}
