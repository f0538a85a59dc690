//! Bodies that another thread makes.

use futures::Stream;
use tokio::sync::mpsc::Receiver;

/// What a channel gives, until its senders are gone.
pub(super) fn received<T: Send>(receiver: Receiver<T>) -> impl Stream<Item = T> + Send {
    futures::stream::unfold(receiver, async |mut receiver| {
        let next = receiver.recv().await?;
        Some((next, receiver))
    })
}
