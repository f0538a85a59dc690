//! What form of an answer the caller accepts, by `Accept` and `Accept-Encoding` (RFC 9110, section 12.5).

use axum::http::header::{ACCEPT, ACCEPT_ENCODING};
use axum::http::{HeaderMap, HeaderName, StatusCode};

use super::error::ApiError;
use crate::formats::output::{Compression, ExportForm, ExportFormat};
use crate::formats::wire_csv::WireCsvOptions;

/// Chooses format and compression of an export; CSV without a wish, and no compression without one.
///
/// # Errors
/// `406` naming what there is.
pub fn export_form(headers: &HeaderMap, csv: WireCsvOptions) -> Result<ExportForm, ApiError> {
    form(headers, &ExportFormat::all(csv))
}

/// As [`export_form`], for the rows of a statement: CSV is that of RFC 4180, and the wire dialect is asked for by
/// `text/csv;dialect=wire`.
///
/// # Errors
/// `406` naming what there is.
pub fn statement_form(headers: &HeaderMap, csv: WireCsvOptions) -> Result<ExportForm, ApiError> {
    form(headers, &ExportFormat::of_statements(csv))
}

fn form(headers: &HeaderMap, formats: &[ExportFormat]) -> Result<ExportForm, ApiError> {
    let format = format(headers, formats)?;
    Ok(ExportForm { format, compression: compression(headers, format)? })
}

/// Weight of a choice in thousandths; 0 refuses it.
type Weight = u16;

/// The elements of a header, in lower case and without parameters but `dialect`, with their weights.
fn weighted(headers: &HeaderMap, name: &HeaderName) -> Vec<(String, Weight)> {
    let elements = headers.get_all(name).iter().flat_map(|value| value.to_str().unwrap_or_default().split(','));
    let weighted = elements.map(|element| {
        let mut parts = element.split(';').map(|part| part.trim().to_ascii_lowercase());
        let mut name = parts.next().unwrap_or_default();
        let mut weighs = 1_000;
        for part in parts {
            if let Some(text) = part.strip_prefix("q=") {
                weighs = weight(text);
                break;
            }
            if let Some(dialect) = part.strip_prefix("dialect=") {
                name = format!("{name};dialect={}", dialect.trim_matches('"'));
            }
        }
        (name, weighs)
    });
    weighted.filter(|(name, _)| !name.is_empty()).collect()
}

/// A weight that is no number from 0 to 1 refuses: nothing says what its sender wants.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 0 to 1,000")]
fn weight(text: &str) -> Weight {
    let weight = text.parse::<f64>().ok().filter(|weight| (0.0..=1.0).contains(weight));
    (weight.unwrap_or(0.0) * 1_000.0).ceil() as Weight
}

/// The heaviest format. A type counts by the most specific range that covers it; of equals the most specific
/// wins, then the first in the header, then the first of ours.
fn format(headers: &HeaderMap, formats: &[ExportFormat]) -> Result<ExportFormat, ApiError> {
    let ranges = weighted(headers, &ACCEPT);
    if let (true, Some(first)) = (ranges.is_empty(), formats.first()) {
        return Ok(*first);
    }
    let mut best = None;
    for format in formats.iter().copied() {
        let covering = ranges.iter().enumerate().filter_map(|(place, (range, weight))| {
            Some((specificity(range, format)?, std::cmp::Reverse(place), *weight))
        });
        let Some((specificity, place, weight)) = covering.max() else { continue };
        let rank = (weight, specificity, place);
        if weight > 0 && best.is_none_or(|(most, _)| rank > most) {
            best = Some((rank, format));
        }
    }
    best.map(|(_, format)| format).ok_or_else(|| {
        let known: Vec<_> = formats.iter().map(|format| format.media_types()[0]).collect();
        let message = format!("none of the accepted formats can be written; there are {}", known.join(", "));
        ApiError::new(StatusCode::NOT_ACCEPTABLE, "not_acceptable", message).with_target("Accept")
    })
}

/// How closely a media range names a format: by type, by `type/*`, by `*/*`, or not at all.
fn specificity(range: &str, format: ExportFormat) -> Option<u8> {
    if format.media_types().contains(&range) {
        return Some(if range.contains(';') { 3 } else { 2 });
    }
    if range == "*/*" {
        return Some(0);
    }
    let kind = range.strip_suffix("/*")?;
    format.media_types()[0].split_once('/').is_some_and(|(own, _)| own == kind).then_some(1)
}

/// The heaviest compression that is asked for by name; of equals the first of ours. No compression is
/// preferred only where it has more weight, or where the format is compressed within.
fn compression(headers: &HeaderMap, format: ExportFormat) -> Result<Option<Compression>, ApiError> {
    let codings = weighted(headers, &ACCEPT_ENCODING);
    let of = |name: &str| codings.iter().find(|(coding, _)| coding == name).map(|(_, weight)| *weight);
    let rest = of("*");
    let identity = of("identity");
    let named = |compression: Compression| match compression {
        Compression::Gzip => of("gzip").or_else(|| of("x-gzip")),
        Compression::Zstd => of("zstd"),
    };
    let may_be_plain = identity.or(rest).is_none_or(|weight| weight > 0);
    let heaviest = |weight: &dyn Fn(Compression) -> Weight| {
        let wanted = Compression::ALL.into_iter().rev().map(|compression| (weight(compression), compression));
        wanted.filter(|(weight, _)| *weight > 0).max_by_key(|(weight, _)| *weight)
    };
    let asked = heaviest(&|compression| named(compression).unwrap_or(0));
    let lighter = |(weight, _): &(Weight, Compression)| identity.is_some_and(|plain| plain > *weight);
    if may_be_plain && (format.is_compressed() || asked.as_ref().is_none_or(lighter)) {
        return Ok(None);
    }
    // A `*` alone asks for none, but where plain bytes are refused it allows any.
    let allowed = asked.or_else(|| heaviest(&|compression| named(compression).or(rest).unwrap_or(0)));
    allowed.map(|(_, compression)| Some(compression)).ok_or_else(|| {
        let message = "none of the accepted content codings can be written; there are zstd, gzip, identity";
        ApiError::new(StatusCode::NOT_ACCEPTABLE, "not_acceptable", message).with_target("Accept-Encoding")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const CSV: WireCsvOptions = WireCsvOptions { escape_formulas: false };

    fn headers(name: &HeaderName, values: &[&str]) -> HeaderMap {
        values.iter().map(|value| (name.clone(), value.parse().unwrap())).collect()
    }

    fn chosen(accept: &[&str]) -> Option<&'static str> {
        format(&headers(&ACCEPT, accept), &ExportFormat::all(CSV)).ok().map(ExportFormat::extension)
    }

    fn coding(accept: &[&str], format: ExportFormat) -> Option<&'static str> {
        compression(&headers(&ACCEPT_ENCODING, accept), format).ok().map(|c| c.map_or("plain", Compression::name))
    }

    #[test]
    fn formats_by_weight_then_closeness_then_order() {
        for (accept, expected) in [
            (&[][..], Some("csv")),
            (&[""], Some("csv")),
            (&["*/*"], Some("csv")),
            (&["text/csv"], Some("csv")),
            (&["TEXT/CSV; charset=utf-8"], Some("csv")),
            (&["text/*"], Some("csv")),
            (&["application/json"], Some("json")),
            (&["application/x-ndjson"], Some("ndjson")),
            (&["application/ndjson"], Some("ndjson")),
            (&["application/vnd.apache.arrow.stream"], Some("arrow")),
            (&["application/vnd.apache.parquet"], Some("parquet")),
            (&["application/*"], Some("json")),
            (&["application/json, text/plain, */*"], Some("json")),
            (&["text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"], Some("csv")),
            (&["text/csv;q=0.5, application/json;q=0.6"], Some("json")),
            (&["text/csv;q=0.5", "application/x-ndjson; Q=0.501"], Some("ndjson")),
            (&["application/vnd.apache.parquet, text/csv"], Some("parquet")),
            (&["text/csv;q=0, */*"], Some("json")),
            (&["*/*;q=0.1, text/csv;q=0, application/*;q=0"], None),
            (&["*/*, application/json;q=0.2"], Some("csv")),
            (&["text/csv;q=0"], None),
            (&["text/csv;q=2"], None),
            (&["text/csv;q=nan"], None),
            (&["text/html"], None),
            (&["application/xml, image/*"], None),
        ] {
            assert_eq!(chosen(accept), expected, "{accept:?}");
        }
    }

    #[test]
    fn a_dialect_of_csv_is_a_format_of_its_own() {
        let of = |accept| format(&headers(&ACCEPT, &[accept]), &ExportFormat::of_statements(CSV)).ok();
        let (rfc, wire) = (Some(ExportFormat::RfcCsv(CSV)), Some(ExportFormat::Csv(CSV)));
        for (accept, expected) in [
            ("*/*", rfc),
            ("text/csv", rfc),
            ("text/csv; header=present", rfc),
            ("text/csv;dialect=rfc4180", rfc),
            ("text/csv; dialect=wire", wire),
            ("text/csv; Dialect=\"wire\"; q=0.5", wire),
            ("text/csv, text/csv;dialect=wire", wire),
            ("text/csv;dialect=excel", None),
            ("application/ndjson", Some(ExportFormat::Ndjson)),
        ] {
            assert_eq!(of(accept), expected, "{accept}");
        }
    }

    #[test]
    fn what_is_refused_names_all_there_is() {
        let error = format(&headers(&ACCEPT, &["text/html"]), &ExportFormat::all(CSV)).unwrap_err();
        assert_eq!((error.status, error.target.as_deref()), (StatusCode::NOT_ACCEPTABLE, Some("Accept")));
        for format in ExportFormat::all(CSV) {
            assert!(error.message.contains(format.media_types()[0]), "{}", error.message);
        }
    }

    #[test]
    fn codings_by_name_and_weight() {
        for (accept, expected) in [
            (&[][..], Some("plain")),
            (&[""], Some("plain")),
            (&["gzip"], Some("gzip")),
            (&["x-gzip"], Some("gzip")),
            (&["GZIP"], Some("gzip")),
            (&["zstd"], Some("zstd")),
            (&["deflate, gzip, br, zstd"], Some("zstd")),
            (&["gzip, deflate"], Some("gzip")),
            (&["gzip;q=1.0, zstd;q=0.5"], Some("gzip")),
            (&["gzip;q=0.5", "zstd;q=0.9"], Some("zstd")),
            (&["br, deflate"], Some("plain")),
            (&["*"], Some("plain")),
            (&["identity"], Some("plain")),
            (&["identity;q=1, gzip;q=0.5"], Some("plain")),
            (&["identity;q=0.5, gzip;q=0.5"], Some("gzip")),
            (&["gzip;q=0"], Some("plain")),
            (&["gzip;q=0, *"], Some("plain")),
            (&["identity;q=0, gzip"], Some("gzip")),
            (&["identity;q=0, *"], Some("zstd")),
            (&["identity;q=0, *, zstd;q=0"], Some("gzip")),
            (&["*;q=0, gzip"], Some("gzip")),
            (&["*;q=0, identity"], Some("plain")),
            (&["*;q=0"], None),
            (&["identity;q=0"], None),
            (&["identity;q=0, br"], None),
        ] {
            assert_eq!(coding(accept, ExportFormat::Json), expected, "{accept:?}");
        }
    }

    #[test]
    fn parquet_is_compressed_again_only_where_plain_bytes_are_refused() {
        assert_eq!(coding(&["gzip, zstd"], ExportFormat::Parquet), Some("plain"));
        assert_eq!(coding(&["gzip, identity;q=0"], ExportFormat::Parquet), Some("gzip"));
        assert_eq!(coding(&["*;q=0"], ExportFormat::Parquet), None);
    }
}
