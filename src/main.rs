//! The `anomalake` program.

use std::process::ExitCode;

/// The system's allocator keeps what many threads have freed: a server under steady load grew for minutes on end.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    anomalake::cli::run()
}
