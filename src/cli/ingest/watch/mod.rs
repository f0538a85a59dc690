//! `anomalake ingest --watch`: a folder whose files are loaded as they appear.
//!
//! What happens when the process dies: a file is stored with a key of its content and name, and moved
//! away after that. Whenever it dies between the two, the next run meets the file again, the server knows
//! its key (for 7 days), stores nothing, and the file is moved. Moves are not synced for that reason.

mod inbox;
mod looks;

use std::path::Path;
use std::pin::pin;
use std::time::{Duration, Instant};

use self::inbox::{File, Inbox};
use self::looks::Looks;
use super::job::{Fault, FileFailure, Job};
use crate::cli::CommandError;
use crate::cli::output::{count, print, printable};
use crate::cli::signal::Termination;

/// What became of files so far.
#[derive(Debug, Default)]
struct Tally {
    loaded: u64,
    failed: u64,
}

/// Loads what appears, until a signal; the file under way is finished first.
///
/// # Errors
/// When the folder cannot be used, or when no file can be loaded any more: see [`Fault::Command`].
pub(super) async fn watch(job: &Job<'_>, folder: &Path, poll: Duration) -> Result<(), CommandError> {
    let inbox = Inbox::open(folder)?;
    let mut termination = Termination::listen();
    let mut stop = pin!(termination.received());
    let mut looks = Looks::new(poll);
    let mut tally = Tally::default();
    let name = printable(&folder.display().to_string());
    print(&format!("watching {name}; loaded files go to {name}/done, bad ones to {name}/failed\n"))?;
    'watching: loop {
        for file in looks.ready(inbox.files().await?, Instant::now()) {
            let mut loading = pin!(take(job, &inbox, &file, &mut looks, &mut tally));
            tokio::select! {
                taken = &mut loading => taken?,
                () = &mut stop => {
                    print(&format!("stopping when {} is done\n", printable(&file.name.to_string_lossy())))?;
                    loading.await?;
                    break 'watching;
                }
            }
        }
        tokio::select! {
            () = &mut stop => break,
            () = tokio::time::sleep(poll) => {}
        }
    }
    print(&format!("stopped: {} loaded, {} failed\n", count(tally.loaded, "file", "files"), tally.failed))
}

/// Loads a file and moves it to where it then belongs.
async fn take(
    job: &Job<'_>,
    inbox: &Inbox,
    file: &File,
    looks: &mut Looks,
    tally: &mut Tally,
) -> Result<(), CommandError> {
    let name = printable(&file.name.to_string_lossy());
    let moved = match job.load(&inbox.path_of(file), &name).await {
        Ok(lines) => {
            print(&lines)?;
            inbox.done(file).map(|()| tally.loaded += 1)
        }
        Err(FileFailure { error, fault: Fault::File, .. }) => {
            let error = error.about(&name);
            error.print();
            inbox.failed(file, &error.lines()).map(|()| tally.failed += 1)
        }
        Err(FileFailure { error, fault: Fault::Command, .. }) => return Err(error.about(&name)),
        Err(FileFailure { error, fault: Fault::Moment, .. }) => Err(error),
    };
    if let Err(error) = moved {
        let error = error.about(&name).with_hint("the file stays where it is and is tried again");
        if looks.put_off(file, &error.lines(), Instant::now()) {
            error.print();
        }
    }
    Ok(())
}
