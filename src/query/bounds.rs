//! Bounds on a caller's SQL text, checked before any parser sees it.
//!
//! The parser guards against nesting but reads chains (`1+1+…`, `a OR b OR …`) flat, and its tree is
//! then walked recursively: a few thousand terms overflow the stack and abort the process, and
//! planning them is one synchronous step that no deadline reaches. So the text's length and its
//! operators are bounded with the tokenizer, which is a loop.

use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};

/// What a text may hold.
#[derive(Debug, Clone, Copy)]
pub struct TextBounds {
    /// Longest text, in bytes.
    pub bytes: usize,
    /// Most operators: symbols, and words such as AND, OR, NOT, LIKE, CASE, CAST.
    pub operators: usize,
}

/// Bounds of an anomaly's `where`.
pub const WHERE_BOUNDS: TextBounds = TextBounds { bytes: 4 * 1024, operators: 200 };

/// Why a text is refused.
#[derive(Debug, thiserror::Error)]
pub enum BoundsError {
    /// Too long.
    #[error("the text has {bytes} bytes; at most {limit} are allowed")]
    TooLong {
        /// Length of the text.
        bytes: usize,
        /// Longest allowed.
        limit: usize,
    },
    /// Too many operators.
    #[error("the text has more than {limit} operators; write long alternatives as IN (…)")]
    TooManyOperators {
        /// Most allowed.
        limit: usize,
    },
    /// The text is no SQL.
    #[error("the text could not be read: {0}")]
    NotSql(#[from] datafusion::sql::sqlparser::tokenizer::TokenizerError),
}

/// Checks a text against its bounds.
///
/// # Errors
/// The first bound that the text exceeds.
pub fn check_text(text: &str, bounds: TextBounds) -> Result<(), BoundsError> {
    if text.len() > bounds.bytes {
        return Err(BoundsError::TooLong { bytes: text.len(), limit: bounds.bytes });
    }
    let tokens = Tokenizer::new(&GenericDialect {}, text).tokenize()?;
    if tokens.iter().filter(|token| is_operator(token)).count() > bounds.operators {
        return Err(BoundsError::TooManyOperators { limit: bounds.operators });
    }
    Ok(())
}

/// Everything that is not plainly an operand or a separator counts, so that an operator which a
/// later parser learns counts too.
pub(crate) fn is_operator(token: &Token) -> bool {
    match token {
        Token::Word(word) => matches!(
            word.keyword,
            Keyword::AND
                | Keyword::OR
                | Keyword::XOR
                | Keyword::NOT
                | Keyword::IS
                | Keyword::IN
                | Keyword::LIKE
                | Keyword::ILIKE
                | Keyword::RLIKE
                | Keyword::REGEXP
                | Keyword::SIMILAR
                | Keyword::BETWEEN
                | Keyword::CASE
                | Keyword::WHEN
                | Keyword::CAST
                | Keyword::TRY_CAST
                | Keyword::SAFE_CAST
                | Keyword::COLLATE
                | Keyword::AT
                | Keyword::DIV
                | Keyword::OVERLAPS
                | Keyword::INTERVAL
        ),
        Token::EOF
        | Token::Number(..)
        | Token::Char(_)
        | Token::SingleQuotedString(_)
        | Token::DoubleQuotedString(_)
        | Token::NationalStringLiteral(_)
        | Token::EscapedStringLiteral(_)
        | Token::HexStringLiteral(_)
        | Token::Comma
        | Token::Whitespace(_)
        | Token::Period
        | Token::LParen
        | Token::RParen
        | Token::SemiColon => false,
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str) -> Result<(), BoundsError> {
        check_text(text, TextBounds { bytes: 1 << 20, operators: 200 })
    }

    #[test]
    fn chains_are_refused_and_lists_are_not() {
        for operator in ["+", "OR", "AND", "||", "::int + ", "=", "-", "LIKE", "|", "@>", "->", "NOT"] {
            let chain = vec!["1"; 2_000].join(&format!(" {operator} "));
            assert!(matches!(check(&chain), Err(BoundsError::TooManyOperators { limit: 200 })), "{operator}");
        }
        assert!(check(&format!("asn IN ({})", vec!["1"; 10_000].join(", "))).is_ok());
        assert!(
            check(&format!("{}1{}", "(".repeat(10_000), ")".repeat(10_000))).is_ok(),
            "nesting is the parser's to refuse"
        );
    }

    #[test]
    fn long_and_broken_texts_are_refused() {
        assert!(matches!(check_text(&"x".repeat(4097), WHERE_BOUNDS), Err(BoundsError::TooLong { bytes: 4097, .. })));
        assert!(matches!(check("'open"), Err(BoundsError::NotSql(_))));
    }
}
