//! Where one statement of a text ends and the next begins.

/// What of a text is being read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Within {
    Code,
    /// `'…'` or `"…"`; a doubled mark is the end and a new beginning.
    Quotes(char),
    LineComment,
    /// `/* … */`, as deep as they are nested.
    BlockComment(u32),
}

/// The statements of a text, without their semicolons; comments stay. What holds nothing but comments and
/// white space is none. The last one needs no semicolon.
pub(super) fn split(text: &str) -> Vec<String> {
    let (mut whole, rest) = scan(text);
    if !is_blank(&rest) {
        whole.push(rest.trim().to_owned());
    }
    whole
}

/// Whether a text ends after a semicolon, or holds nothing.
pub(super) fn is_complete(text: &str) -> bool {
    is_blank(&scan(text).1)
}

/// The statements that are ended by a semicolon, and what comes after the last of them.
fn scan(text: &str) -> (Vec<String>, String) {
    let (mut whole, mut current) = (Vec::new(), String::new());
    let mut within = Within::Code;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let next = chars.peek().copied();
        let pair = |a, b| c == a && next == Some(b);
        match within {
            Within::Code if c == ';' => {
                let statement = std::mem::take(&mut current);
                if !is_blank(&statement) {
                    whole.push(statement.trim().to_owned());
                }
                continue;
            }
            Within::Code if c == '\'' || c == '"' => within = Within::Quotes(c),
            Within::Code if pair('-', '-') => within = Within::LineComment,
            Within::Code if pair('/', '*') => {
                within = Within::BlockComment(1);
                current.push(c);
                current.extend(chars.next());
                continue;
            }
            Within::Quotes(mark) if c == mark => within = Within::Code,
            Within::LineComment if c == '\n' => within = Within::Code,
            Within::BlockComment(depth) if pair('*', '/') || pair('/', '*') => {
                let depth = if c == '*' { depth - 1 } else { depth + 1 };
                within = if depth == 0 { Within::Code } else { Within::BlockComment(depth) };
                current.push(c);
                current.extend(chars.next());
                continue;
            }
            _ => {}
        }
        current.push(c);
    }
    (whole, current)
}

/// Whether a piece without semicolons is white space and comments alone.
fn is_blank(piece: &str) -> bool {
    let mut rest = piece.trim_start();
    loop {
        rest = if let Some(comment) = rest.strip_prefix("--") {
            comment.split_once('\n').map_or("", |(_, after)| after).trim_start()
        } else if let Some(comment) = rest.strip_prefix("/*") {
            match after_block(comment) {
                Some(after) => after.trim_start(),
                None => return false,
            }
        } else {
            return rest.is_empty();
        };
    }
}

/// What comes after a block comment whose beginning was read.
fn after_block(mut text: &str) -> Option<&str> {
    let mut depth = 1;
    while depth > 0 {
        let (open, close) = (text.find("/*"), text.find("*/")?);
        let inner = open.filter(|open| *open < close);
        depth = if inner.is_some() { depth + 1 } else { depth - 1 };
        text = &text[inner.unwrap_or(close) + 2..];
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn semicolons_in_texts_and_comments_end_nothing() {
        for (text, expected) in [
            ("select 1", &["select 1"][..]),
            ("select 1;", &["select 1"]),
            ("select 1; ;select 2\n;\n", &["select 1", "select 2"]),
            ("select ';', \"a;b\", 'it''s;'; x", &["select ';', \"a;b\", 'it''s;'", "x"]),
            ("select 1 -- a; b\n, 2;", &["select 1 -- a; b\n, 2"]),
            ("/* a; /* b; */ c; */ select 1;", &["/* a; /* b; */ c; */ select 1"]),
            ("", &[]),
            (" -- nothing\n/* at /* all */ */ ; ", &[]),
        ] {
            assert_eq!(split(text), expected, "{text}");
        }
    }

    #[test]
    fn a_shell_waits_for_the_semicolon() {
        for whole in ["", "  ", "select 1;", "select ';' ; ", "select 1; -- done", "select 1; /* done */"] {
            assert!(is_complete(whole), "{whole}");
        }
        for open in ["select 1", "select ';", "select \";", "/* ;", "/* a /* b */;", "select 1; select 2", "';"] {
            assert!(!is_complete(open), "{open}");
        }
    }

    proptest! {
        #[test]
        fn nothing_is_lost_and_nothing_panics(text in "[a';\"/*\\- \n]{0,40}") {
            let kept = |text: &str| text.chars().filter(|c| *c == 'a').count();
            let found = split(&text);
            let in_comments = text.contains("--") || text.contains("/*");
            prop_assert!(in_comments || found.iter().map(|s| kept(s)).sum::<usize>() == kept(&text));
            let longer = format!("{text}\nselect 1;");
            prop_assert!(!is_complete(&text) || is_complete(&longer));
        }
    }
}
