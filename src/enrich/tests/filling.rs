//! What becomes of rows.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Int64Array, StringArray};
use arrow::datatypes::Int64Type;

use super::super::Enricher;
use super::Files;
use crate::domain::trust::{Trust, TrustList};
use crate::formats::input::{SLOT_COUNT, WireBatch, slot_of};

/// One row: columns that the source brought.
type Brought<'b> = &'b [(&'b str, &'b str)];

fn batch(rows: &[Brought<'_>]) -> WireBatch {
    let mut columns = vec![None; SLOT_COUNT];
    for (name, _) in rows.iter().copied().flatten() {
        let cell =
            |row: &Brought<'_>| row.iter().find(|(given, _)| given == name).map(|(_, value)| (*value).to_owned());
        let cells = rows.iter().map(cell);
        let column: ArrayRef = match *name {
            "asn" => Arc::new(cells.map(|cell| cell.map(|text| text.parse().unwrap())).collect::<Int64Array>()),
            "isSourceTrusted" => Arc::new(cells.map(|cell| cell.map(|text| text == "true")).collect::<BooleanArray>()),
            _ => Arc::new(cells.collect::<StringArray>()),
        };
        columns[slot_of(name).unwrap()] = Some(column);
    }
    WireBatch { rows: rows.len(), columns }
}

/// The columns of a row that have a value, those named.
fn row(batch: &WireBatch, row: usize, names: &[&str]) -> String {
    let cell = |name: &&str| {
        let column = batch.columns[slot_of(name).unwrap()].as_ref().filter(|column| column.is_valid(row))?;
        let text = match *name {
            "asn" => column.as_primitive::<Int64Type>().value(row).to_string(),
            "isSourceTrusted" => column.as_boolean().value(row).to_string(),
            _ => column.as_string::<i32>().value(row).to_owned(),
        };
        Some(format!("{name}={text}"))
    };
    names.iter().filter_map(cell).collect::<Vec<_>>().join(" ")
}

const PLACE: [&str; 4] = ["city", "region", "country", "locationId"];
const NETWORK: [&str; 3] = ["asn", "asnName", "geoOrgNameV1"];
const TRUST: [&str; 3] = ["isSourceTrusted", "trustEntity", "trustReason"];

const FOUND: &str = "city=san francisco region=ca country=US locationId=san francisco::US::ca";

fn filled(trust: TrustList, rows: &[Brought<'_>]) -> WireBatch {
    let mut batch = batch(rows);
    Enricher::new(&Files::both().databases, trust).fill(&mut batch);
    batch
}

#[test]
fn places_are_filled_where_they_contradict_nothing() {
    const IP: (&str, &str) = ("sourceIP", "96.127.68.39");
    let rows: &[(Brought<'_>, &str)] = &[
        (&[IP], FOUND),
        (&[], ""),
        (&[("sourceIP", "198.51.100.7")], ""),
        (&[("sourceIP", "not an address")], ""),
        (&[IP, ("country", "US")], FOUND),
        (
            &[IP, ("country", "US"), ("region", "california")],
            "city=san francisco region=california country=US locationId=san francisco::US::california",
        ),
        (&[IP, ("country", "DE")], "country=DE"),
        (&[IP, ("city", "portland"), ("country", "US")], "city=portland country=US"),
        (&[IP, ("region", "oregon")], "region=oregon"),
        (&[IP, ("city", "San Francisco")], "city=San Francisco region=ca country=US locationId=San Francisco::US::ca"),
        // A joined id grows with its parts; one of the source's own stays.
        (&[IP, ("country", "US"), ("locationId", "::US::")], FOUND),
        (&[IP, ("country", "US"), ("locationId", "HQ-7")], "city=san francisco region=ca country=US locationId=HQ-7"),
        (
            &[IP, ("city", "x"), ("region", "y"), ("country", "ZA"), ("locationId", "x::ZA::y")],
            "city=x region=y country=ZA locationId=x::ZA::y",
        ),
    ];
    let given: Vec<Brought<'_>> = rows.iter().map(|(brought, _)| *brought).collect();
    let batch = filled(TrustList::default(), &given);
    for (place, (brought, expected)) in rows.iter().enumerate() {
        assert_eq!(row(&batch, place, &PLACE), *expected, "{brought:?}");
    }
}

#[test]
fn networks_are_filled_where_the_number_agrees() {
    const IP: (&str, &str) = ("sourceIP", "96.127.68.39");
    let rows: &[(Brought<'_>, &str)] = &[
        (&[IP], "asn=16509 asnName=amazon.com inc. geoOrgNameV1=amazon.com inc."),
        (&[IP, ("asn", "16509")], "asn=16509 asnName=amazon.com inc. geoOrgNameV1=amazon.com inc."),
        (&[IP, ("asn", "16509"), ("asnName", "aws")], "asn=16509 asnName=aws geoOrgNameV1=amazon.com inc."),
        (&[IP, ("asn", "1")], "asn=1"),
        (&[IP, ("asnName", "google")], "asnName=google"),
        (&[IP, ("geoOrgNameV1", "a100")], "asn=16509 asnName=amazon.com inc. geoOrgNameV1=a100"),
        (&[("sourceIP", "8.8.8.8")], ""),
    ];
    let given: Vec<Brought<'_>> = rows.iter().map(|(brought, _)| *brought).collect();
    let batch = filled(TrustList::default(), &given);
    for (place, (brought, expected)) in rows.iter().enumerate() {
        assert_eq!(row(&batch, place, &NETWORK), *expected, "{brought:?}");
    }
}

fn list() -> TrustList {
    let trust = |network: &str, trusted, reason: &str| {
        (network.parse().unwrap(), Trust { trusted, entity: "Acme".to_owned(), reason: reason.to_owned() })
    };
    [
        trust("10.0.0.0/8", true, "office"),
        trust("10.66.0.0/16", false, "guests"),
        trust("2a00:1450::/32", true, "cloud"),
        trust("AS16509", true, "provider"),
    ]
    .into_iter()
    .collect()
}

#[test]
fn trust_is_judged_by_address_then_by_the_system_that_was_found() {
    let rows: &[(Brought<'_>, &str)] = &[
        (&[("sourceIP", "10.1.1.1")], "isSourceTrusted=true trustEntity=Acme trustReason=office"),
        (&[("sourceIP", "10.66.1.1")], "isSourceTrusted=false trustEntity=Acme trustReason=guests"),
        (&[("sourceIP", "2a00:1450::1")], "isSourceTrusted=true trustEntity=Acme trustReason=cloud"),
        (&[("sourceIP", "96.127.68.39")], "isSourceTrusted=true trustEntity=Acme trustReason=provider"),
        (&[("sourceIP", "97.0.0.1")], "isSourceTrusted=false"),
        (&[("sourceIP", "8.8.8.8")], ""),
        (&[("asn", "16509")], "isSourceTrusted=true trustEntity=Acme trustReason=provider"),
        (&[], ""),
        // What a source says of trust is left as it is, also where it is a part.
        (&[("sourceIP", "10.1.1.1"), ("isSourceTrusted", "false")], "isSourceTrusted=false"),
        (&[("sourceIP", "10.1.1.1"), ("trustReason", "zone")], "trustReason=zone"),
    ];
    let given: Vec<Brought<'_>> = rows.iter().map(|(brought, _)| *brought).collect();
    let batch = filled(list(), &given);
    for (place, (brought, expected)) in rows.iter().enumerate() {
        assert_eq!(row(&batch, place, &TRUST), *expected, "{brought:?}");
    }
}

#[test]
fn without_databases_and_networks_nothing_is_touched() {
    let mut batch = batch(&[&[("sourceIP", "96.127.68.39")]]);
    let mut enricher = Enricher::new(&Files::of(&[]).databases, TrustList::default());
    enricher.fill(&mut batch);
    assert_eq!(batch.columns.iter().flatten().count(), 1);
    assert!(enricher.columns().is_empty());
    assert_eq!(Enricher::new(&Files::both().databases, list()).columns().len(), 10);
}

#[test]
fn an_input_of_many_addresses_is_filled_beyond_what_is_remembered() {
    let addresses: Vec<String> = (0..70_000_u32).map(|n| format!("96.127.{}.{}", n / 256 % 256, n % 256)).collect();
    let mut column: WireBatch = batch(&[&[("sourceIP", "96.127.0.1")]]);
    column.rows = addresses.len();
    column.columns[slot_of("sourceIP").unwrap()] = Some(Arc::new(StringArray::from(addresses)));
    Enricher::new(&Files::both().databases, TrustList::default()).fill(&mut column);
    for place in [0, 65_535, 65_536, 69_999] {
        assert_eq!(row(&column, place, &PLACE), FOUND);
    }
}
