//! Credentials out of headers: which headers carry one, and which of several decides.
//!
//! Source of the rule: design, section 3; wire contract of the anomaly activities, section 4.

use std::borrow::Cow;
use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use super::error::ApiError;
use crate::services::auth::{AuthError, Credential, Secret, TokenPlace};

/// Header that names one of a user's tenants.
pub const TENANT: &str = "bps-tenant-id";

/// Header of access tokens.
pub const ACCESS_TOKEN: &str = "x-access-token";

/// Header of long-lived tokens.
pub const API_TOKEN: &str = "netskope-api-token";

/// Header of IAM tokens.
pub const IAM_TOKEN: &str = "x-iam-token";

/// Header of refresh tokens, where one is exchanged.
pub const REFRESH_TOKEN: &str = "x-refresh-token";

/// Header of the e-mail address, where a password is exchanged.
pub const USERNAME: &str = "x-auth-username";

/// Header of the password, where it is exchanged.
pub const PASSWORD: &str = "x-auth-password";

/// Address of whoever is connected.
#[derive(Debug, Clone, Copy)]
pub struct Peer(pub IpAddr);

impl<S: Sync> FromRequestParts<S> for Peer {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let connected = parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip());
        // The control socket has no addresses; whoever is there is on this machine.
        Ok(Self(connected.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST))))
    }
}

/// Text of a header. Clients write passwords in UTF-8 or, where their HTTP library knows no better, in Latin-1;
/// what is not valid in the first is read as the second, which everything is valid in.
pub(super) fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<Cow<'a, str>> {
    headers.get(name).map(|value| text(value.as_bytes()))
}

fn text(bytes: &[u8]) -> Cow<'_, str> {
    match str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => Cow::Owned(bytes.iter().copied().map(char::from).collect()),
    }
}

/// A header whose value is a secret.
pub(super) fn secret(headers: &HeaderMap, name: &str) -> Option<Secret> {
    header(headers, name).map(|text| Secret::new(text.trim().to_owned()))
}

/// The first credential present decides; there is no fall-through to the next one.
pub(super) fn shown(headers: &HeaderMap) -> Result<Credential, AuthError> {
    let token = |text, place| Ok(Credential::Token { text, place });
    if let Some(text) = secret(headers, ACCESS_TOKEN) {
        return token(text, TokenPlace::Access);
    }
    if let Some(text) = secret(headers, API_TOKEN) {
        return token(text, TokenPlace::Api);
    }
    if let Some(text) = authorization(headers, "bearer") {
        return token(Secret::new(text), TokenPlace::Bearer);
    }
    if let Some(text) = secret(headers, IAM_TOKEN) {
        return token(text, TokenPlace::Iam);
    }
    let (email, password) = basic(headers).ok_or(AuthError::InvalidCredentials)?;
    Ok(Credential::Basic { email, password })
}

/// E-mail address and password of a Basic header.
pub(super) fn basic(headers: &HeaderMap) -> Option<(String, Secret)> {
    let decoded = BASE64_STANDARD.decode(authorization(headers, "basic")?).ok()?;
    let decoded = text(&decoded);
    let (email, password) = decoded.split_once(':')?;
    Some((email.to_owned(), Secret::new(password.to_owned())))
}

fn authorization(headers: &HeaderMap, wanted: &str) -> Option<String> {
    let header = header(headers, AUTHORIZATION.as_str())?;
    let (scheme, value) = header.split_once(' ').unwrap_or((&header, ""));
    scheme.eq_ignore_ascii_case(wanted).then(|| value.trim().to_owned())
}

/// The tenant that the caller names.
pub(super) fn named_tenant(headers: &HeaderMap) -> Result<Option<i64>, ApiError> {
    let Some(text) = header(headers, TENANT) else { return Ok(None) };
    let number = text.trim().parse::<i64>();
    number.map(Some).map_err(|_| ApiError::bad_request("bad_value", TENANT, "bps-tenant-id must be a number"))
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderName, HeaderValue};

    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let pair = |&(name, value): &(&'static str, &str)| {
            (HeaderName::from_static(name), HeaderValue::from_bytes(value.as_bytes()).unwrap())
        };
        pairs.iter().map(pair).collect()
    }

    fn decides(pairs: &[(&'static str, &str)]) -> Result<(String, Option<TokenPlace>), AuthError> {
        shown(&headers(pairs)).map(|credential| match credential {
            Credential::Basic { email, password } => (format!("{email}|{}", password.expose()), None),
            Credential::Token { text, place } => (text.expose().to_owned(), Some(place)),
        })
    }

    #[test]
    fn the_first_present_decides() {
        let basic = ("authorization", "Basic YTpiOmM=");
        let all = [(ACCESS_TOKEN, "1"), (API_TOKEN, "2"), ("authorization", "bearer  3 "), (IAM_TOKEN, "4")];
        let places = [TokenPlace::Access, TokenPlace::Api, TokenPlace::Bearer, TokenPlace::Iam];
        for (i, place) in places.into_iter().enumerate() {
            assert_eq!(decides(&all[i..]).unwrap(), ((i + 1).to_string(), Some(place)));
        }
        assert_eq!(decides(&[basic, (IAM_TOKEN, "4")]).unwrap(), ("4".to_owned(), Some(TokenPlace::Iam)));
        assert_eq!(decides(&[basic]).unwrap(), ("a|b:c".to_owned(), None));
        assert_eq!(decides(&[basic, (ACCESS_TOKEN, "")]).unwrap(), (String::new(), Some(TokenPlace::Access)));
    }

    #[test]
    fn what_is_no_credential_is_refused() {
        for pairs in [
            &[][..],
            &[("authorization", "")],
            &[("authorization", "Basic")],
            &[("authorization", "Basic YQ==")],
            &[("authorization", "Basic a:b")],
            &[("authorization", "Digest YTpi")],
            &[("x-refresh-token", "1"), ("x-auth-username", "a"), ("x-auth-password", "b")],
        ] {
            assert!(matches!(decides(pairs), Err(AuthError::InvalidCredentials)), "{pairs:?}");
        }
    }

    #[test]
    fn passwords_are_read_in_utf_8_or_latin_1() {
        for bytes in [&b"\xc3\xa4:\xc3\xb6"[..], b"\xe4:\xf6"] {
            let value = format!("Basic {}", BASE64_STANDARD.encode(bytes));
            assert_eq!(decides(&[("authorization", &value)]).unwrap(), ("ä|ö".to_owned(), None));
        }
        let mut map = HeaderMap::new();
        map.insert("x-auth-password", HeaderValue::from_bytes(b"\xf6").unwrap());
        assert_eq!(secret(&map, "x-auth-password").unwrap().expose(), "ö");
    }

    #[test]
    fn a_tenant_is_a_number() {
        assert_eq!(named_tenant(&headers(&[])).unwrap(), None);
        assert_eq!(named_tenant(&headers(&[(TENANT, " 7 ")])).unwrap(), Some(7));
        for wrong in ["", "seven", "7.0", "99999999999999999999"] {
            assert_eq!(named_tenant(&headers(&[(TENANT, wrong)])).unwrap_err().target.as_deref(), Some(TENANT));
        }
    }
}
