//! The query language of the alert search: conditions on fields, joined by `and`.
//!
//! `alert_type eq "uba" and user in ["ann@example.com", 'bob@example.com']`. Keywords and field names are matched
//! without case; a text stands in double or single quotes, and a backslash takes the next character as it is.
//! Conditions may be put in parentheses, which change nothing. Source of the rule: wire contract of the user
//! confidence index, section 1.

use std::fmt;

use super::alert_filter::{AlertCondition, AlertField};

/// Longest query, in bytes.
pub const MAX_QUERY_BYTES: usize = 16 * 1024;

/// Most conditions of a query.
pub const MAX_CONDITIONS: usize = 64;

/// Why a text is no query: what was expected where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidQuery {
    /// Another thing stands where something was expected.
    #[error("expected {expected} at character {at}, found {found}")]
    Expected {
        /// What may stand there.
        expected: &'static str,
        /// What stands there.
        found: String,
        /// Place in the text, in characters from 1 on.
        at: usize,
    },
    /// A name that is none of a field that can be asked for.
    #[error("unknown field `{name}` at character {at}; known are {known}", known = AlertField::NAMES.join(", "))]
    UnknownField {
        /// The name.
        name: String,
        /// Its place in the text, in characters from 1 on.
        at: usize,
    },
    /// A text that does not end.
    #[error("the text that begins at character {at} has no closing quote")]
    OpenText {
        /// Place of its opening quote, in characters from 1 on.
        at: usize,
    },
    /// More than may be asked at once.
    #[error("a query has at most {MAX_QUERY_BYTES} bytes and {MAX_CONDITIONS} conditions")]
    TooLong,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Word(String),
    Text(String),
    Open,
    Close,
    ListOpen,
    ListClose,
    Comma,
    Other(char),
    End,
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Word(word) => write!(f, "`{word}`"),
            Self::Text(_) => f.write_str("a text"),
            Self::Open => f.write_str("`(`"),
            Self::Close => f.write_str("`)`"),
            Self::ListOpen => f.write_str("`[`"),
            Self::ListClose => f.write_str("`]`"),
            Self::Comma => f.write_str("`,`"),
            Self::Other(c) => write!(f, "`{}`", c.escape_debug()),
            Self::End => f.write_str("the end"),
        }
    }
}

struct Tokens {
    tokens: Vec<(usize, Token)>,
    next: usize,
}

impl Tokens {
    fn read(text: &str) -> Result<Self, InvalidQuery> {
        let mut tokens = Vec::new();
        let mut chars = text.chars().enumerate().peekable();
        while let Some((index, c)) = chars.next() {
            let token = match c {
                c if c.is_whitespace() => continue,
                '(' => Token::Open,
                ')' => Token::Close,
                '[' => Token::ListOpen,
                ']' => Token::ListClose,
                ',' => Token::Comma,
                '"' | '\'' => {
                    let mut value = String::new();
                    loop {
                        match chars.next() {
                            Some((_, end)) if end == c => break Token::Text(value),
                            Some((_, '\\')) => value.extend(chars.next().map(|(_, escaped)| escaped)),
                            Some((_, inner)) => value.push(inner),
                            None => return Err(InvalidQuery::OpenText { at: index + 1 }),
                        }
                    }
                }
                c if is_word(c) => {
                    let mut word = String::from(c);
                    while let Some((_, c)) = chars.next_if(|(_, c)| is_word(*c)) {
                        word.push(c);
                    }
                    Token::Word(word)
                }
                other => Token::Other(other),
            };
            tokens.push((index + 1, token));
        }
        tokens.push((text.chars().count() + 1, Token::End));
        Ok(Self { tokens, next: 0 })
    }

    /// The next token; the last one is [`Token::End`] for ever.
    fn peek(&self) -> &Token {
        self.tokens.get(self.next).map_or(&Token::End, |(_, token)| token)
    }

    fn take_if(&mut self, wanted: &Token) -> bool {
        let is = self.peek() == wanted;
        self.next += usize::from(is);
        is
    }

    fn take_keyword(&mut self, wanted: &str) -> bool {
        let is = matches!(self.peek(), Token::Word(word) if word.eq_ignore_ascii_case(wanted));
        self.next += usize::from(is);
        is
    }

    /// Place of the next token, in characters from 1 on.
    fn at(&self) -> usize {
        self.tokens.get(self.next).or(self.tokens.last()).map_or(1, |(at, _)| *at)
    }

    fn expected(&self, expected: &'static str) -> InvalidQuery {
        InvalidQuery::Expected { expected, found: self.peek().to_string(), at: self.at() }
    }

    fn field(&mut self) -> Result<AlertField, InvalidQuery> {
        let Token::Word(word) = self.peek() else { return Err(self.expected("the name of a field")) };
        let field = AlertField::of_name(&word.to_ascii_lowercase());
        let field = field.ok_or_else(|| InvalidQuery::UnknownField { name: word.clone(), at: self.at() })?;
        self.next += 1;
        Ok(field)
    }

    fn text(&mut self) -> Result<String, InvalidQuery> {
        let Token::Text(text) = self.peek() else { return Err(self.expected("a text in quotes")) };
        let text = text.clone();
        self.next += 1;
        Ok(text)
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || c == '.' || c == '-'
}

/// Reads a query; an empty one has no conditions.
///
/// # Errors
/// [`InvalidQuery`].
pub fn parse_query(text: &str) -> Result<Vec<AlertCondition>, InvalidQuery> {
    if text.len() > MAX_QUERY_BYTES {
        return Err(InvalidQuery::TooLong);
    }
    let mut tokens = Tokens::read(text)?;
    let mut conditions = Vec::new();
    let mut depth = 0_usize;
    if tokens.take_if(&Token::End) {
        return Ok(conditions);
    }
    // `and` is the only operator, so parentheses are counted and nothing recurses.
    loop {
        while tokens.take_if(&Token::Open) {
            depth += 1;
        }
        conditions.push(condition(&mut tokens)?);
        if conditions.len() > MAX_CONDITIONS {
            return Err(InvalidQuery::TooLong);
        }
        while depth > 0 && tokens.take_if(&Token::Close) {
            depth -= 1;
        }
        if tokens.take_keyword("and") {
            continue;
        }
        return match (tokens.peek(), depth) {
            (Token::End, 0) => Ok(conditions),
            (_, 0) => Err(tokens.expected("`and` or the end")),
            _ => Err(tokens.expected("`and` or `)`")),
        };
    }
}

fn condition(tokens: &mut Tokens) -> Result<AlertCondition, InvalidQuery> {
    let field = tokens.field()?;
    if tokens.take_keyword("eq") {
        return Ok(AlertCondition { field, values: vec![tokens.text()?] });
    }
    if !tokens.take_keyword("in") {
        return Err(tokens.expected("`eq` or `in`"));
    }
    if !tokens.take_if(&Token::ListOpen) {
        return Err(tokens.expected("`[`"));
    }
    let mut values = Vec::new();
    if tokens.take_if(&Token::ListClose) {
        return Ok(AlertCondition { field, values });
    }
    loop {
        values.push(tokens.text()?);
        if tokens.take_if(&Token::ListClose) {
            return Ok(AlertCondition { field, values });
        }
        if !tokens.take_if(&Token::Comma) {
            return Err(tokens.expected("`,` or `]`"));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn is(field: &str, values: &[&str]) -> AlertCondition {
        let field = AlertField::of_name(field).unwrap();
        AlertCondition { field, values: values.iter().map(|v| (*v).to_owned()).collect() }
    }

    #[test]
    fn conditions_are_joined_by_and() {
        for (text, wanted) in [
            ("", vec![]),
            (" \n", vec![]),
            (r#"alert_type eq "uba""#, vec![is("alert_type", &["uba"])]),
            (
                r#"Alert_Type EQ 'uba' AND user in ["a b", 'it\'s', "q\"\\"] and alert_name eq """#,
                vec![is("alert_type", &["uba"]), is("user", &["a b", "it's", "q\"\\"]), is("alert_name", &[""])],
            ),
            (r#"((user eq "a") and (source in []))"#, vec![is("user", &["a"]), is("source", &[])]),
        ] {
            assert_eq!(parse_query(text).as_ref(), Ok(&wanted), "{text}");
        }
    }

    #[test]
    fn errors_say_what_was_expected_where() {
        for (text, wanted) in [
            ("user", "expected `eq` or `in` at character 5, found the end"),
            ("user = \"a\"", "expected `eq` or `in` at character 6, found `=`"),
            ("user eq a", "expected a text in quotes at character 9, found `a`"),
            (
                "user eq \"a\" and Score eq \"1\"",
                "unknown field `Score` at character 17; known are alert_type, alert_name, alert_id, _id, user, userkey, \
                 ur_normalized, activity, severity, source",
            ),
            ("user eq \"a\" or x eq \"b\"", "expected `and` or the end at character 13, found `or`"),
            ("user eq \"a\" and", "expected the name of a field at character 16, found the end"),
            ("(user eq \"a\"", "expected `and` or `)` at character 13, found the end"),
            ("user eq \"a\")", "expected `and` or the end at character 12, found `)`"),
            ("user in \"a\"", "expected `[` at character 9, found a text"),
            ("user in [\"a\" \"b\"]", "expected `,` or `]` at character 14, found a text"),
            ("user in [\"a\",]", "expected a text in quotes at character 14, found `]`"),
            ("user eq \"ä\\\"", "the text that begins at character 9 has no closing quote"),
        ] {
            assert_eq!(parse_query(text).map_err(|e| e.to_string()), Err(wanted.to_owned()), "{text}");
        }
        assert_eq!(parse_query(&" ".repeat(MAX_QUERY_BYTES + 1)), Err(InvalidQuery::TooLong));
        let many = vec!["user eq 'b'"; MAX_CONDITIONS + 1].join(" and ");
        assert_eq!(parse_query(&many), Err(InvalidQuery::TooLong));
    }

    fn quoted(value: &str) -> String {
        format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""))
    }

    proptest! {
        #[test]
        fn whatever_is_written_is_read_back(
            conditions in prop::collection::vec(
                (prop::sample::select(&AlertField::NAMES), prop::collection::vec(".*", 0..4)), 0..8,
            ),
        ) {
            let written: Vec<_> = conditions.iter().map(|(field, values)| match values.as_slice() {
                [one] => format!("{field} eq {}", quoted(one)),
                more => format!("({field} in [{}])", more.iter().map(|v| quoted(v)).collect::<Vec<_>>().join(" , ")),
            }).collect();
            let condition = |(field, values)| AlertCondition { field: AlertField::of_name(field).unwrap(), values };
            let wanted: Vec<_> = conditions.into_iter().map(condition).collect();
            prop_assert_eq!(parse_query(&written.join(" and ")), Ok(wanted));
        }

        #[test]
        fn no_text_brings_it_down(text in r#"(user|source|[a-z]{1,4}|eq|in|and|[()\[\],"'\\ ]|\PC){0,40}"#) {
            if let Err(error) = parse_query(&text) {
                prop_assert!(!error.to_string().is_empty());
            }
        }
    }
}
