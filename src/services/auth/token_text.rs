//! Texts of tokens: 256 random bits behind a prefix that names the kind.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

use super::credential::Secret;
use crate::domain::token_kind::TokenKind;
use crate::registry::tokens::TokenHash;

/// Random bytes of a token.
const TOKEN_BYTES: usize = 32;

/// Base64 characters of that many bytes.
const TOKEN_CHARS: usize = TOKEN_BYTES.div_ceil(3) * 4 - 1;

/// A new token of a kind, and what is stored of it.
pub(super) fn mint(kind: TokenKind) -> Result<(Secret, TokenHash), getrandom::Error> {
    let mut bytes = [0; TOKEN_BYTES];
    getrandom::fill(&mut bytes)?;
    let text = format!("{}{}", kind.prefix(), URL_SAFE_NO_PAD.encode(bytes));
    let hash = hash_of(&text);
    Ok((Secret::new(text), hash))
}

/// What to look up for a text that has the form of a token of one of these kinds. Everything else is refused
/// without a look into the registry.
pub(super) fn hash_of_kind(text: &Secret, kinds: &[TokenKind]) -> Option<TokenHash> {
    let (kind, random) = TokenKind::of_text(text.expose())?;
    (kinds.contains(&kind) && random.len() == TOKEN_CHARS).then(|| hash_of(text.expose()))
}

fn hash_of(text: &str) -> TokenHash {
    TokenHash(Sha256::digest(text).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minted_token_is_looked_up_as_its_kind_only() {
        for kind in TokenKind::ALL {
            let (text, hash) = mint(kind).unwrap();
            assert_eq!(hash_of_kind(&text, &[kind]), Some(hash));
            assert_eq!(hash_of_kind(&text, &TokenKind::ALL), Some(hash));
            let others: Vec<_> = TokenKind::ALL.into_iter().filter(|&other| other != kind).collect();
            assert_eq!(hash_of_kind(&text, &others), None);
            assert_ne!(mint(kind).unwrap().1, hash);
            for wrong in [format!("{}A", text.expose()), text.expose()[..text.expose().len() - 1].to_owned()] {
                assert_eq!(hash_of_kind(&Secret::new(wrong), &[kind]), None);
            }
        }
    }
}
