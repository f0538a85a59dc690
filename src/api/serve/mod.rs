//! Listening: the network and the control socket.
//!
//! axum's own loop knows no limits of time or number, so the loop here is hyper's connection under
//! rules of ours: `connections` accepts and counts, `connection` serves one, `activity` says until
//! when it may go on, `tls` is the lock on the door, `certificate` its key, changed while it turns.

mod activity;
mod certificate;
mod connection;
mod connections;
mod control;
mod limits;
mod public;
mod tls;

pub use certificate::CertificateError;
pub use control::{ControlSocket, ShortPath, short_path};
pub use public::{Endpoint, serve_public};
pub use tls::Tls;

/// Largest head of a request, in bytes: request line and headers.
pub const MAX_HEAD_BYTES: usize = 64 * 1024;

/// Most headers of an HTTP/1 request; it is hyper's own default, which keeps them on the stack.
pub const MAX_HEADERS: usize = 100;
