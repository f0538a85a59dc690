//! NDJSON that is read in blocks, beside each other or not.

use super::*;
use crate::formats::input::in_order::testing::Ended;

/// Bytes that make several blocks.
const LARGE: usize = 7 << 20;

fn beside(options: DecodeOptions) -> DecodeOptions {
    DecodeOptions { workers: Some(Arc::new(Threads(3))), ..options }
}

/// Records of some length, each tenth of them bad, with unknown keys now and then; lines are blank now and then.
fn large() -> String {
    let mut text = String::new();
    let mut number = 0;
    while text.len() < LARGE {
        number += 1;
        let more = "x".repeat(number * 37 % 400);
        let time = if number % 10 == 0 { "\"late\"".to_owned() } else { (number * 1_000_000).to_string() };
        write!(text, "{{\"timeStamp\":{time},\"activityId\":\"{number}\",\"user\":\"{more}\"").unwrap();
        if number % 7 == 0 {
            write!(text, ",\"key{}\":1", number % 35).unwrap();
        }
        text.push_str(if number % 11 == 0 { "}\r\n\n" } else { "}\n" });
    }
    text
}

#[test]
fn a_large_input_becomes_the_same_however_it_is_read() {
    let text = large();
    let (report, rows) = decode_with(&text, &skipping()).unwrap();
    assert_eq!(decode_with(&text, &beside(skipping())).unwrap(), (report.clone(), rows.clone()));
    let records = text.lines().filter(|line| !line.is_empty()).count() as u64;
    assert_eq!((report.accepted, report.rejected), (records - records / 10, records / 10));
    assert_eq!((report.errors.len(), report.errors[0].line), (20, 10));
    let good = |number: &u64| !number.is_multiple_of(10);
    let unknown =
        |rest: u64| (1..=records).filter(good).filter(|n| n.is_multiple_of(7) && n % 35 == rest).count() as u64;
    assert_eq!(report.unknown_keys.len(), 5);
    for (key, count) in &report.unknown_keys {
        assert_eq!(*count, unknown(key.strip_prefix("key").unwrap().parse().unwrap()), "{key}");
    }
    let ids = rows.column_by_name("activityId").unwrap().as_string::<i32>();
    let expected: Vec<String> = (1..=records).filter(good).map(|number| number.to_string()).collect();
    assert!(ids.iter().flatten().eq(&expected));
}

#[test]
fn lines_are_counted_over_blocks() {
    let good = "{\"timeStamp\":1}\n";
    let before = good.repeat(LARGE / good.len());
    let lines = before.lines().count() as u64;
    for options in [options(), beside(options())] {
        let rejection = rejection(decode_with(format!("{before}{}", "{}\n".repeat(30)), &options));
        assert_eq!((rejection.rejected, rejection.stopped_early), (20, true));
        assert!(rejection.errors.iter().map(|error| error.line).eq(lines + 1..=lines + 20));
        let long = format!("{before}{{\"timeStamp\":1,\"x\":\"{}\"}}", "x".repeat(DEFAULT_MAX_RECORD_BYTES));
        let ended = decode_with(long, &options);
        assert!(matches!(ended, Err(DecodeError::RecordTooLarge { line, .. }) if line == lines + 1), "{ended:?}");
    }
}

#[test]
fn unknown_keys_are_bounded_over_blocks() {
    let record = |number| format!("{{\"timeStamp\":1,\"activityId\":\"{}\",\"k{number}\":1}}\n", "i".repeat(3_000));
    let text: String = (0..MAX_UNKNOWN_KEYS + 900).map(record).collect();
    for options in [options(), beside(options())] {
        let (report, _) = decode_with(&text, &options).unwrap();
        assert_eq!(report.unknown_keys.len(), MAX_UNKNOWN_KEYS + 1);
        assert_eq!(report.unknown_keys[OTHER_KEYS], 900);
        assert!(report.unknown_keys.contains_key("k999") && !report.unknown_keys.contains_key("k1000"));
    }
}

#[test]
fn an_input_whose_workers_end_is_given_up() {
    let options = DecodeOptions { workers: Some(Arc::new(Ended)), ..options() };
    assert!(matches!(decode_with(large(), &options), Err(DecodeError::SinkClosed(SinkClosed))));
    // One that is read at once needs none.
    assert_eq!(decode_with("{\"timeStamp\":1}", &options).unwrap().0.accepted, 1);
}
