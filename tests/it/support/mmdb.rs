//! Writes small MMDB files: a binary tree of address bits over a section of records, as the format's public
//! specification (version 2.0) has it.

use std::collections::HashMap;
use std::path::Path;

use serde_json::Value;

/// Separates the records from the description at the end.
const MARKER: &[u8] = b"\xab\xcd\xefMaxMind.com";

/// Zero bytes between the tree and the records.
const SEPARATOR: usize = 16;

/// What a bit leads to.
#[derive(Clone, Copy)]
enum Next {
    Nothing,
    Node(usize),
    /// Offset of a record.
    Record(usize),
}

/// A file in the making. IPv4 addresses stand in the first 2^32 of IPv6.
pub(crate) struct Mmdb {
    kind: String,
    built_s: u64,
    nodes: Vec<[Next; 2]>,
    records: Vec<u8>,
    offsets: HashMap<String, usize>,
}

impl Mmdb {
    /// A file that says it is of this kind.
    pub(crate) fn new(kind: &str, built_s: u64) -> Self {
        let (nodes, records, offsets) = (vec![[Next::Nothing; 2]], Vec::new(), HashMap::new());
        Self { kind: kind.to_owned(), built_s, nodes, records, offsets }
    }

    /// Says something of a network such as `96.127.0.0/16` or `2a00::/16`; larger ones before those within.
    pub(crate) fn with(mut self, network: &str, record: &Value) -> Self {
        let network: ipnet::IpNet = network.parse().unwrap();
        let (bits, length) = match network {
            ipnet::IpNet::V4(net) => (u128::from(u32::from(net.network())), net.prefix_len() + 96),
            ipnet::IpNet::V6(net) => (u128::from(net.network()), net.prefix_len()),
        };
        let offset = self.record(record);
        let mut node = 0;
        for place in 0..length {
            let side = usize::from((bits >> (127 - place)) & 1 == 1);
            if place + 1 == length {
                self.nodes[node][side] = Next::Record(offset);
                return self;
            }
            node = match self.nodes[node][side] {
                Next::Node(next) => next,
                // Both halves of a larger network say at first what it says.
                above => {
                    self.nodes.push([above; 2]);
                    let next = self.nodes.len() - 1;
                    self.nodes[node][side] = Next::Node(next);
                    next
                }
            };
        }
        self
    }

    fn record(&mut self, record: &Value) -> usize {
        let end = self.records.len();
        let offset = *self.offsets.entry(record.to_string()).or_insert(end);
        if offset == end {
            write(record, &mut self.records);
        }
        offset
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let count = self.nodes.len();
        let mut out = Vec::new();
        for next in self.nodes.iter().flatten() {
            let value = match next {
                Next::Nothing => count,
                Next::Node(node) => *node,
                Next::Record(offset) => count + SEPARATOR + offset,
            };
            out.extend_from_slice(&u32::try_from(value).unwrap().to_be_bytes());
        }
        out.extend_from_slice(&[0; SEPARATOR]);
        out.extend_from_slice(&self.records);
        out.extend_from_slice(MARKER);
        let description = serde_json::json!({
            "binary_format_major_version": 2, "binary_format_minor_version": 0, "build_epoch": self.built_s,
            "database_type": self.kind, "description": { "en": "made by a test" }, "ip_version": 6,
            "languages": ["en"], "node_count": count, "record_size": 32,
        });
        write(&description, &mut out);
        out
    }

    /// Puts the file in place as those who fetch one should: under another name first.
    pub(crate) fn save(&self, path: &Path) {
        let aside = path.with_extension("new");
        std::fs::write(&aside, self.bytes()).unwrap();
        std::fs::rename(aside, path).unwrap();
    }
}

/// Types of the format.
const TEXT: u8 = 2;
const DOUBLE: u8 = 3;
const UINT16: u8 = 5;
const UINT32: u8 = 6;
const MAP: u8 = 7;
const UINT64: u8 = 9;
const ARRAY: u8 = 11;

fn write(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::String(text) => {
            head(TEXT, text.len(), out);
            out.extend_from_slice(text.as_bytes());
        }
        Value::Number(number) => {
            if let Some(number) = number.as_u64() {
                whole(UINT32, number, out);
            } else {
                head(DOUBLE, 8, out);
                out.extend_from_slice(&number.as_f64().unwrap().to_be_bytes());
            }
        }
        Value::Object(map) => {
            head(MAP, map.len(), out);
            for (key, value) in map {
                write(&Value::from(key.as_str()), out);
                // The description has numbers of other widths than records have.
                match (key.as_str(), value.as_u64()) {
                    ("build_epoch", Some(number)) => whole(UINT64, number, out),
                    ("node_count", Some(number)) => whole(UINT32, number, out),
                    (key, Some(number)) if key.ends_with("_version") || key == "record_size" => {
                        whole(UINT16, number, out);
                    }
                    _ => write(value, out),
                }
            }
        }
        Value::Array(values) => {
            head(ARRAY, values.len(), out);
            for value in values {
                write(value, out);
            }
        }
        Value::Null | Value::Bool(_) => panic!("no record of these tests holds {value}"),
    }
}

fn whole(kind: u8, number: u64, out: &mut Vec<u8>) {
    let bytes = number.to_be_bytes();
    let bytes = &bytes[bytes.iter().take_while(|byte| **byte == 0).count()..];
    head(kind, bytes.len(), out);
    out.extend_from_slice(bytes);
}

/// Type and size; types from 8 on stand in a byte of their own.
fn head(kind: u8, size: usize, out: &mut Vec<u8>) {
    let (small, rest) = if size < 29 { (u8::try_from(size).unwrap(), None) } else { (29, Some(size - 29)) };
    if kind < 8 {
        out.push((kind << 5) | small);
    } else {
        out.extend_from_slice(&[small, kind - 7]);
    }
    if let Some(rest) = rest {
        out.push(u8::try_from(rest).unwrap());
    }
}
