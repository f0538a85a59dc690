//! Filling the rows of a source.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use super::columns::{fill_networks, fill_places, fill_trust, texts};
use super::databases::{Databases, Snapshot};
use super::facts::Facts;
use crate::domain::trust::TrustList;
use crate::formats::input::WireBatch;

/// Addresses that are remembered from one batch of an input to the next.
const REMEMBERED: usize = 65_536;

/// Every column that is filled: first those that databases know, then those of trust.
const FILLED: [&str; 10] = [
    "city",
    "region",
    "country",
    "locationId",
    "asn",
    "asnName",
    "geoOrgNameV1",
    "isSourceTrusted",
    "trustEntity",
    "trustReason",
];

/// How many of them databases know.
const PLACE_AND_NETWORK: usize = 7;

/// Fills the rows of one input, with the databases as they are when it begins.
#[derive(Debug)]
pub struct Enricher {
    databases: Snapshot,
    trust: TrustList,
    known: HashMap<IpAddr, Arc<Facts>>,
}

/// A row's address, and what is known about it.
#[derive(Debug, Clone, Default)]
pub(super) struct Origin {
    pub(super) address: Option<IpAddr>,
    pub(super) facts: Arc<Facts>,
}

impl Enricher {
    /// For one input of a tenant with these networks.
    #[must_use]
    pub fn new(databases: &Databases, trust: TrustList) -> Self {
        Self { databases: databases.current(), trust, known: HashMap::new() }
    }

    /// The columns that it may fill.
    #[must_use]
    pub fn columns(&self) -> &'static [&'static str] {
        let from = if self.databases.is_empty() { PLACE_AND_NETWORK } else { 0 };
        let to = if self.trust.is_empty() { PLACE_AND_NETWORK } else { FILLED.len() };
        &FILLED[from..to]
    }

    /// Fills what is null and known.
    pub(crate) fn fill(&mut self, batch: &mut WireBatch) {
        if self.databases.is_empty() && self.trust.is_empty() {
            return;
        }
        let origins = self.origins(batch);
        if !self.databases.is_empty() {
            fill_places(batch, &origins);
            fill_networks(batch, &origins);
        }
        if !self.trust.is_empty() {
            fill_trust(batch, &origins, &self.trust);
        }
    }

    /// By row. Within a batch each text is read once.
    fn origins(&mut self, batch: &WireBatch) -> Vec<Origin> {
        let Some(texts) = texts(batch, "sourceIP") else { return vec![Origin::default(); batch.rows] };
        let mut known: HashMap<&str, Origin> = HashMap::new();
        let mut origins = Vec::with_capacity(batch.rows);
        for text in &texts {
            origins.push(match text {
                Some(text) => known.entry(text).or_insert_with(|| self.origin(text)).clone(),
                None => Origin::default(),
            });
        }
        origins
    }

    /// Within an input each address is looked up once, unless there are more than are remembered.
    fn origin(&mut self, text: &str) -> Origin {
        let Ok(address) = text.parse::<IpAddr>() else { return Origin::default() };
        let address = address.to_canonical();
        if self.known.len() >= REMEMBERED {
            self.known.clear();
        }
        let facts = self.known.entry(address).or_insert_with(|| Arc::new(self.databases.look_up(address)));
        Origin { address: Some(address), facts: Arc::clone(facts) }
    }
}
