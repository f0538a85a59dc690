//! The `anomalake` program.

use std::process::ExitCode;

fn main() -> ExitCode {
    anomalake::cli::run()
}
