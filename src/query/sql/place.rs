//! Where in a text something stands.

use std::fmt;

use datafusion::common::{DataFusionError, Diagnostic, Span};
use datafusion::sql::sqlparser::tokenizer::{Location, Token, TokenWithSpan};

/// A place in a statement's text. Lines and columns count from 1; columns count characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Line.
    pub line: u64,
    /// Character in the line.
    pub column: u64,
}

impl Place {
    /// The beginning of the text.
    pub const START: Self = Self { line: 1, column: 1 };
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}", self.line, self.column)
    }
}

impl From<Location> for Place {
    fn from(location: Location) -> Self {
        // Tokens that were not in a text have no place.
        Self { line: location.line.max(1), column: location.column.max(1) }
    }
}

/// Place of the first word of a statement.
pub(super) fn start(tokens: &[TokenWithSpan]) -> Place {
    let first = tokens.iter().find(|token| !matches!(token.token, Token::Whitespace(_)));
    first.map_or(Place::START, |token| token.span.start.into())
}

/// Place behind the last word of a statement.
pub(super) fn end(tokens: &[TokenWithSpan]) -> Place {
    let last = tokens.iter().rev().find(|token| !matches!(token.token, Token::Whitespace(_) | Token::EOF));
    last.map_or(Place::START, |token| token.span.end.into())
}

/// The place that an error of parser or planner tells of: as a span, in its text, or by the name that it quotes.
pub(super) fn of_error(error: &DataFusionError, message: &str, tokens: &[TokenWithSpan]) -> Place {
    if let Some(span) = error.diagnostic().and_then(span_of) {
        return Place { line: span.start.line, column: span.start.column };
    }
    told(message).or_else(|| of_quoted(message, tokens)).unwrap_or_else(|| start(tokens))
}

fn span_of(diagnostic: &Diagnostic) -> Option<Span> {
    diagnostic.span.filter(|span| span.start.line > 0)
}

/// The parser ends its messages with `at Line: 3, Column: 14`.
fn told(message: &str) -> Option<Place> {
    let (_, place) = message.rsplit_once("Line: ")?;
    let (line, rest) = place.split_once(", Column: ")?;
    let column: String = rest.chars().take_while(char::is_ascii_digit).collect();
    Some(Place { line: line.trim().parse().ok()?, column: column.parse().ok()? })
}

/// The first word of the text that the message names.
fn of_quoted(message: &str, tokens: &[TokenWithSpan]) -> Option<Place> {
    let named = message.split(|c: char| !(c.is_alphanumeric() || c == '_' || c == '$'));
    let named: Vec<&str> = named.filter(|word| word.len() > 1).collect();
    let quoted = |word: &str| {
        ['\'', '`', '"', '.', ':'].iter().any(|mark| message.contains(&format!("{mark}{word}")))
            || message.contains(&format!("{word}("))
            || message.contains(&format!("{word}'"))
    };
    named.into_iter().filter(|word| quoted(word)).find_map(|name| {
        let found = tokens.iter().find(|token| match &token.token {
            Token::Word(word) => word.value.eq_ignore_ascii_case(name),
            Token::Placeholder(placeholder) => placeholder.trim_start_matches('$') == name.trim_start_matches('$'),
            _ => false,
        });
        found.map(|token| token.span.start.into())
    })
}

#[cfg(test)]
mod tests {
    use datafusion::sql::sqlparser::dialect::GenericDialect;
    use datafusion::sql::sqlparser::tokenizer::Tokenizer;

    use super::*;

    fn tokens(text: &str) -> Vec<TokenWithSpan> {
        Tokenizer::new(&GenericDialect {}, text).tokenize_with_location().unwrap()
    }

    #[test]
    fn places_from_texts_and_names() {
        let place = |line, column| Place { line, column };
        let text = "\n  select a,\n nope(b) from t";
        for (message, expected) in [
            ("sql parser error: Expected: x, found: y at Line: 3, Column: 7", place(3, 7)),
            ("Invalid function 'nope'. Did you mean x?", place(3, 2)),
            ("No field named b", place(2, 3)),
            ("something else", place(2, 3)),
        ] {
            let error = DataFusionError::Plan(message.to_owned());
            assert_eq!(of_error(&error, message, &tokens(text)), expected, "{message}");
        }
        assert_eq!(start(&[]), Place::START);
    }
}
