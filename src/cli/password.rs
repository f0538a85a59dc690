//! Passwords come from stdin or a file, never from an argument, which other users could see.

use std::fs::File;
use std::io::{self, IsTerminal, Read};
use std::path::PathBuf;

use super::CommandError;

/// Longest password that is read, in bytes.
const MAX_BYTES: u64 = 4096;

/// Where a password comes from.
#[derive(Debug, clap::Args)]
pub struct PasswordArgs {
    /// Read the password from this file instead of stdin.
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
}

impl PasswordArgs {
    /// Reads the password; one newline at its end does not belong to it.
    ///
    /// # Errors
    /// When it cannot be read, is empty, too long, or no UTF-8.
    pub fn read(&self) -> Result<String, CommandError> {
        let bytes = match &self.password_file {
            Some(path) => {
                let read = File::open(path).and_then(bounded);
                read.map_err(|error| CommandError::io(format_args!("cannot read {}", path.display()), error))?
            }
            None if io::stdin().is_terminal() => {
                eprint!("password (shown while you type): ");
                let mut line = String::new();
                io::stdin()
                    .read_line(&mut line)
                    .map_err(|error| CommandError::io("cannot read the password", error))?;
                line.into_bytes()
            }
            None => bounded(io::stdin()).map_err(|error| CommandError::io("cannot read the password", error))?,
        };
        password(bytes)
    }
}

fn bounded(reader: impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    reader.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn password(mut bytes: Vec<u8>) -> Result<String, CommandError> {
    if bytes.len() as u64 > MAX_BYTES {
        return Err(CommandError::failed_text(format!("a password has at most {MAX_BYTES} bytes")));
    }
    if bytes.last() == Some(&b'\n') {
        bytes.pop();
        if bytes.last() == Some(&b'\r') {
            bytes.pop();
        }
    }
    if bytes.is_empty() {
        return Err(CommandError::failed_text("there is no password").with_hint(
            "pipe it in, for example: printf '%s' \"$PASSWORD\" | anomalake user …, or use --password-file",
        ));
    }
    String::from_utf8(bytes).map_err(|_| CommandError::failed_text("a password must be UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exactly_one_newline_is_removed() {
        for (input, wanted) in [
            ("secret12", "secret12"),
            ("secret12\n", "secret12"),
            ("secret12\r\n", "secret12"),
            ("secret12\n\n", "secret12\n"),
            ("secret12\r\n\r\n", "secret12\r\n"),
            (" secret 12 \n", " secret 12 "),
            ("secret12\r", "secret12\r"),
        ] {
            assert_eq!(password(input.into()).unwrap(), wanted, "{input:?}");
        }
    }

    #[test]
    fn nothing_and_nonsense_are_refused() {
        for input in [b"".to_vec(), b"\n".to_vec(), b"\r\n".to_vec(), vec![0xff; 9], vec![b'a'; 4097]] {
            assert!(password(input).is_err());
        }
    }

    #[test]
    fn a_file_follows_the_same_rule() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "from file 1\n").unwrap();
        let args = PasswordArgs { password_file: Some(file.path().to_owned()) };
        assert_eq!(args.read().unwrap(), "from file 1");
    }
}
