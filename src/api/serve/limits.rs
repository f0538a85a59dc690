//! How many connections fit.

use std::io::Write;

use tokio::net::TcpStream;

/// Open files that are not connections: data files, the registry, threads' own.
const OTHER_FILES: usize = 256;

/// Said to a client that is one too many, before its request is read.
const TOO_MANY: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\nconnection: close\r\n\
content-type: text/plain\r\ncontent-length: 21\r\n\r\ntoo many connections\n";

/// The wanted number of connections, or as many as the process may have files open for: past that
/// limit nothing can be opened, not even a data file for the requests that are being served.
pub(super) fn connections_that_fit(wanted: usize) -> usize {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    // Without /proc the wanted number is taken at its word.
    let Some(files) = soft_open_files(&limits) else { return wanted };
    let fit = files.saturating_sub(OTHER_FILES).max(files / 2);
    if fit < wanted {
        tracing::warn!(
            open_files = files,
            wanted,
            connections = fit,
            "the limit of open files allows fewer connections"
        );
    }
    wanted.min(fit)
}

fn soft_open_files(limits: &str) -> Option<usize> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

/// Tells a plain connection that there are too many, as far as that goes without waiting, and closes it.
/// Turning it away at once beats letting it wait: the client learns that it should come back, and the
/// queue of the operating system stays free for the next one.
pub(super) fn turn_away(stream: TcpStream) {
    let told = stream.into_std().and_then(|mut stream| stream.write_all(TOO_MANY));
    if let Err(error) = told {
        tracing::debug!(%error, "could not tell a client that there are too many connections");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_of_open_files_is_read() {
        let limits = "Limit                     Soft Limit           Hard Limit           Units     \n\
                      Max processes             62735                62735                processes \n\
                      Max open files            1024                 524288               files     \n";
        assert_eq!(soft_open_files(limits), Some(1024));
        assert_eq!(soft_open_files("Max open files            unlimited            unlimited            files"), None);
        assert_eq!(soft_open_files(""), None);
        assert!(connections_that_fit(usize::MAX) > 0);
        assert_eq!(connections_that_fit(1), 1);
    }

    #[test]
    fn the_refusal_states_its_length() {
        let text = std::str::from_utf8(TOO_MANY).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("content-length: {}", body.len())), "{text}");
    }
}
