//! `anomalake completions`.

use clap::CommandFactory;
use clap_complete::Shell;

use super::{Cli, CommandError, output};

/// Print a completion script for a shell.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  anomalake completions bash > /etc/bash_completion.d/anomalake
  source <(anomalake completions zsh)")]
pub struct CompletionsArgs {
    /// The shell.
    #[arg(value_enum)]
    shell: Shell,
}

/// Runs the command.
///
/// # Errors
/// When stdout cannot be written.
pub fn run(args: &CompletionsArgs) -> Result<(), CommandError> {
    // Written to memory first: the generator panics where a pipe breaks.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "anomalake", &mut script);
    output::print(&String::from_utf8_lossy(&script))
}
