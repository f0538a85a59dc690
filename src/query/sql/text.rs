//! Bounds on the text of a statement, checked with the tokenizer alone.
//!
//! Reasons as for [`bounds`](crate::query::bounds): a short text can overflow the stack of the parser or hold the
//! planner for minutes in one step that no deadline reaches.

use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan, Tokenizer};

use super::error::{Refusal, RefusalKind};
use super::place::Place;
use crate::query::bounds::is_operator;

/// Longest text, in bytes.
pub const MAX_BYTES: usize = 128 << 10;

/// A kind of token, how many of it a text may hold, and how to do with fewer.
struct Bound {
    what: &'static str,
    most: usize,
    remedy: &'static str,
    counts: fn(&Token) -> bool,
}

fn is_word(token: &Token, keywords: &[Keyword]) -> bool {
    matches!(token, Token::Word(word) if keywords.contains(&word.keyword))
}

/// Measured with the engine at these bounds, each alone: planning ends within a second.
const BOUNDS: [Bound; 10] = [
    Bound { what: "operators", most: 500, remedy: "write long alternatives as IN (…)", counts: is_operator },
    Bound {
        what: "casts",
        most: 64,
        remedy: "cast once in a subquery",
        counts: |token| {
            matches!(token, Token::DoubleColon)
                || is_word(token, &[Keyword::CAST, Keyword::TRY_CAST, Keyword::SAFE_CAST, Keyword::CONVERT])
        },
    },
    Bound {
        what: "joins",
        most: 32,
        remedy: "join in parts",
        counts: |token| is_word(token, &[Keyword::JOIN, Keyword::APPLY]),
    },
    Bound {
        what: "set operations",
        most: 32,
        remedy: "read the rows once and tell them apart with CASE",
        counts: |token| is_word(token, &[Keyword::UNION, Keyword::EXCEPT, Keyword::INTERSECT, Keyword::MINUS]),
    },
    Bound {
        what: "subqueries",
        most: 64,
        remedy: "ask in several statements",
        counts: |token| is_word(token, &[Keyword::SELECT, Keyword::VALUES, Keyword::TABLE]),
    },
    Bound {
        what: "grouping sets",
        most: 8,
        remedy: "ask in several statements",
        counts: |token| is_word(token, &[Keyword::CUBE, Keyword::ROLLUP, Keyword::SETS]),
    },
    Bound {
        what: "windows",
        most: 32,
        remedy: "ask in several statements",
        counts: |token| is_word(token, &[Keyword::OVER]),
    },
    Bound { what: "EXPLAINs", most: 1, remedy: "explain once", counts: |token| is_word(token, &[Keyword::EXPLAIN]) },
    Bound {
        what: "parameters",
        most: 1_000,
        remedy: "give a list as one parameter",
        counts: |token| matches!(token, Token::Placeholder(_)),
    },
    Bound {
        what: "list items",
        most: 10_000,
        remedy: "ask in several statements",
        counts: |token| *token == Token::Comma,
    },
];

/// Deepest nesting of brackets; the parser's own bound is about the same.
const MAX_DEPTH: usize = 48;

/// Most parts of a dotted name.
const MAX_NAME_PARTS: usize = 8;

/// Longest name, in bytes.
const MAX_NAME_BYTES: usize = 256;

/// Splits a text into tokens that keep to the bounds.
///
/// # Errors
/// [`Refusal`] at the first token beyond a bound.
pub(super) fn bounded_tokens(text: &str) -> Result<Vec<TokenWithSpan>, Refusal> {
    let refuse = |place, message: String| Err(Refusal::new(RefusalKind::TooLarge, place, message));
    if text.len() > MAX_BYTES {
        let message = format!("the statement has {} bytes; at most {MAX_BYTES} are allowed", text.len());
        return refuse(Place::START, message);
    }
    let tokens = Tokenizer::new(&GenericDialect {}, text).tokenize_with_location().map_err(|error| {
        Refusal::new(RefusalKind::Syntax, error.location.into(), format!("the statement is no SQL: {}", error.message))
    })?;
    let mut counts = [0_usize; BOUNDS.len()];
    let (mut depth, mut name_parts) = (0_usize, 0_usize);
    for token in &tokens {
        let place = Place::from(token.span.start);
        for (bound, count) in BOUNDS.iter().zip(&mut counts) {
            *count += usize::from((bound.counts)(&token.token));
            if *count > bound.most {
                let Bound { what, most, remedy, .. } = bound;
                return refuse(place, format!("the statement has more than {most} {what}; {remedy}"));
            }
        }
        match &token.token {
            Token::LParen | Token::LBracket | Token::LBrace => depth += 1,
            Token::RParen | Token::RBracket | Token::RBrace => depth = depth.saturating_sub(1),
            Token::Period => name_parts += 1,
            Token::Word(word) if word.value.len() > MAX_NAME_BYTES => {
                return refuse(place, format!("a name has more than {MAX_NAME_BYTES} bytes"));
            }
            Token::Word(_) | Token::Whitespace(_) => {}
            _ => name_parts = 0,
        }
        if depth > MAX_DEPTH {
            return refuse(place, format!("the statement is nested more than {MAX_DEPTH} deep"));
        }
        if name_parts >= MAX_NAME_PARTS {
            return refuse(place, format!("a name has more than {MAX_NAME_PARTS} parts"));
        }
    }
    Ok(tokens)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> Refusal {
        bounded_tokens(text).unwrap_err()
    }

    #[test]
    fn chains_and_crowds_are_refused_and_lists_are_not() {
        let many = |n: usize, part: &str, separator: &str| vec![part; n].join(separator);
        for (text, wanted) in [
            (many(502, "1", " + "), "operators"),
            (many(502, "true", " OR "), "operators"),
            (many(502, "'a'", " || "), "operators"),
            (format!("select 1{}", "::int".repeat(2_000)), "casts"),
            (format!("select * from a {}", many(400, "join a on true", " ")), "joins"),
            (many(400, "select 1", " union "), "set operations"),
            (format!("with {}", many(1_000, "a as (select 1)", ", ")), "subqueries"),
            (many(100, "explain", " "), "EXPLAINs"),
            (format!("select {}", many(40, "count(*) over ()", ", ")), "windows"),
            (format!("select {}1{}", "(".repeat(1_000), ")".repeat(1_000)), "nested"),
            (format!("select {}", many(1_000, "a", ".")), "parts"),
            (format!("select {}", "x".repeat(300)), "bytes"),
            (format!("select 1 in ({})", many(20_000, "1", ",")), "list items"),
            (format!("select '{}'", "x".repeat(MAX_BYTES)), "at most"),
        ] {
            let refusal = refused(&text);
            assert_eq!(refusal.kind, RefusalKind::TooLarge);
            assert!(refusal.message.contains(wanted), "{wanted}: {}", refusal.message);
        }
        assert!(bounded_tokens(&format!("select 1 in ({})", many(10_000, "1", ", "))).is_ok());
        assert!(bounded_tokens(&format!("select {}", many(60, "a.b", ", "))).is_ok());
    }

    #[test]
    fn a_refusal_tells_the_place() {
        let text = format!("select 1\n{}", "+1".repeat(501));
        assert_eq!(refused(&text).place, Place { line: 2, column: 1001 });
        let open = refused("select\n 'open");
        assert_eq!((open.kind, open.place), (RefusalKind::Syntax, Place { line: 2, column: 2 }));
    }
}
