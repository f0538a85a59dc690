//! A double as Java's `Double.toString` writes it (JDK 19 and later).
//!
//! Source of the rule: wire contract of the anomaly activities, section 2.

/// Longest text of a double, in bytes: `-2.2250738585072014E-308`.
pub const MAX_LEN: usize = 24;

/// Appends the shortest decimal that reads back as `value`: plain (`0.0`, `12.5`, `0.001`) for
/// 10^-3 ≤ |value| < 10^7, else scientific (`1.0E7`, `1.0E-4`), always with a digit on each side of the point.
///
/// Of several shortest decimals the closest is taken. A decimal of one digit counts as one of two, so
/// where two digits come closer they are written: the smallest double is `4.9E-324`, not `5.0E-324`.
/// NaN and the infinities, which ingest refuses, are written in Java's words.
pub fn write_java_double(value: f64, out: &mut Vec<u8>) {
    if value.is_nan() {
        out.extend_from_slice(b"NaN");
        return;
    }
    if value.is_sign_negative() {
        out.push(b'-');
    }
    let value = value.abs();
    if value.is_infinite() {
        out.extend_from_slice(b"Infinity");
    } else if value < 1e7 && value.fract() == 0.0 {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "whole and below 10^7")]
        let whole = value as u32;
        out.extend_from_slice(itoa::Buffer::new().format(whole).as_bytes());
        out.extend_from_slice(b".0");
    } else {
        write_decimal(&Decimal::closest_shortest(value), out);
    }
}

fn write_decimal(decimal: &Decimal, out: &mut Vec<u8>) {
    let digits = &decimal.digits[..decimal.len];
    match decimal.exponent {
        exponent @ -3..=-1 => {
            out.extend_from_slice(b"0.");
            out.extend_from_slice(&b"00"[..usize::from(exponent.unsigned_abs()) - 1]);
            out.extend_from_slice(digits);
        }
        exponent @ 0..=6 => {
            let (integer, fraction) = digits.split_at((usize::from(exponent.unsigned_abs()) + 1).min(digits.len()));
            out.extend_from_slice(integer);
            out.push(b'.');
            out.extend_from_slice(fraction);
        }
        exponent => {
            let (integer, fraction) = digits.split_at(1);
            out.extend_from_slice(integer);
            out.push(b'.');
            out.extend_from_slice(if fraction.is_empty() { b"0" } else { fraction });
            out.push(b'E');
            out.extend_from_slice(itoa::Buffer::new().format(exponent).as_bytes());
        }
    }
}

/// `d₀.d₁d₂… × 10^exponent`, without zeros at the end.
#[derive(Default)]
struct Decimal {
    digits: [u8; 17],
    len: usize,
    exponent: i16,
}

impl Decimal {
    fn closest_shortest(value: f64) -> Self {
        let shortest = Self::read(&format!("{value:e}"));
        if shortest.len > 1 {
            return shortest;
        }
        // Rounding to two digits cannot leave the interval that reads back as `value`: where doubles are
        // denser than two digits it gives the one digit and a zero, and the others, subnormals, have an
        // interval symmetric about them.
        Self::read(&format!("{value:.1e}"))
    }

    fn read(scientific: &str) -> Self {
        let mut decimal = Self::default();
        let (mut in_exponent, mut sign) = (false, 1);
        for byte in scientific.bytes() {
            match byte {
                b'e' => in_exponent = true,
                b'-' => sign = -1,
                b'0'..=b'9' if in_exponent => decimal.exponent = decimal.exponent * 10 + i16::from(byte - b'0'),
                b'0'..=b'9' => {
                    decimal.digits[decimal.len] = byte;
                    decimal.len += 1;
                }
                _ => {}
            }
        }
        decimal.exponent *= sign;
        while decimal.len > 1 && decimal.digits[decimal.len - 1] == b'0' {
            decimal.len -= 1;
        }
        decimal
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(value: f64) -> String {
        let mut out = Vec::new();
        write_java_double(value, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn known_values() {
        for (value, expected) in [
            (0.0, "0.0"),
            (-0.0, "-0.0"),
            (1.0, "1.0"),
            (12.5, "12.5"),
            (-99.0, "-99.0"),
            (100.0, "100.0"),
            (0.1, "0.1"),
            (0.01, "0.01"),
            (0.001, "0.001"),
            (0.002, "0.002"),
            (0.012_345, "0.012345"),
            (0.000_999_999, "9.99999E-4"),
            (1e-4, "1.0E-4"),
            (2e-5, "2.0E-5"),
            (123_456.789, "123456.789"),
            (9_999_999.0, "9999999.0"),
            (9_999_999.999_999_998, "9999999.999999998"),
            (1e7, "1.0E7"),
            (12_345_678.0, "1.2345678E7"),
            (1e10, "1.0E10"),
            (2e23, "2.0E23"),
            (1e23, "1.0E23"),
            (9_007_199_254_740_993.0, "9.007199254740992E15"),
            (f64::MIN_POSITIVE, "2.2250738585072014E-308"),
            (f64::MAX, "1.7976931348623157E308"),
            (f64::from_bits(1), "4.9E-324"),
            (f64::from_bits(2), "9.9E-324"),
            (f64::from_bits(3), "1.5E-323"),
            (f64::from_bits(4), "2.0E-323"),
            (f64::NAN, "NaN"),
            (f64::NEG_INFINITY, "-Infinity"),
        ] {
            assert_eq!(text(value), expected, "{value:e}");
        }
    }

    fn doubles() -> impl Strategy<Value = f64> {
        prop_oneof![
            any::<u64>().prop_map(f64::from_bits),
            (0..4_000_u64).prop_map(f64::from_bits),
            (-1_000_000_000_i64..1_000_000_000, 0..8_i32)
                .prop_map(|(n, scale)| f64::from(i32::try_from(n).unwrap()) / 10_f64.powi(scale)),
            (1..100_u32, -323..308_i32).prop_map(|(n, e)| format!("{n}e{e}").parse().unwrap()),
        ]
        .prop_filter("finite", |value| value.is_finite())
    }

    proptest! {
        #[test]
        fn reads_back_and_keeps_the_form(value in doubles()) {
            let written = text(value);
            prop_assert_eq!(written.parse::<f64>().unwrap().to_bits(), value.to_bits());
            prop_assert!(written.len() <= MAX_LEN, "{}", written);
            let scientific = written.contains('E');
            prop_assert_eq!(scientific, value != 0.0 && !(1e-3..1e7).contains(&value.abs()));
            let mantissa = written.split('E').next().unwrap().trim_start_matches('-');
            let (integer, fraction) = mantissa.split_once('.').unwrap();
            prop_assert!(!integer.is_empty() && !fraction.is_empty());
            prop_assert!(fraction == "0" || !fraction.ends_with('0'), "{}", written);
            prop_assert!(integer == "0" || !integer.starts_with('0'), "{}", written);
            prop_assert!(!scientific || integer.len() == 1);
        }
    }
}
