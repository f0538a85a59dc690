//! Settings of the server, from its TOML file; every one has a default.

use std::fmt;
use std::marker::PhantomData;
use std::path::Path;
use std::time::Duration;

use serde::Deserialize;
use serde::de::{self, Deserializer, Visitor};

use crate::domain::api_rate::ApiRate;
use crate::domain::day::DAY_MS;
use crate::domain::size_text::parse_size;
use crate::domain::time_text::parse_span;
use crate::registry::settings::{Limits, UciSettings};
use crate::services::auth::TokenLifetimes;
use crate::services::enrichment::EnrichmentSettings;

mod machine;
mod sql;

pub use sql::{SqlLimits, SqlSettings, TenantSqlSettings};

/// Settings of the server.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct ServerSettings {
    /// Largest inflated body of an ingest, in bytes. Default 16 GiB.
    #[serde(deserialize_with = "size")]
    pub max_body: u64,
    /// Largest record of an ingest, in bytes. Default 1 MiB.
    #[serde(deserialize_with = "size")]
    pub max_record: u64,
    /// Ingests that decode at the same time; more wait. Default 4.
    pub max_ingests: usize,
    /// Exports that run at the same time; more wait, then are refused. Default 64.
    pub max_exports: usize,
    /// How long a request waits for its turn before it is refused. Default 30 s.
    #[serde(deserialize_with = "span")]
    pub queue_timeout: Duration,
    /// Longest time of one export, from the request to its last byte. Default 1 h.
    #[serde(deserialize_with = "span")]
    pub export_timeout: Duration,
    /// Longest time of making one anomaly's evidence. Default 5 min.
    #[serde(deserialize_with = "span")]
    pub evidence_timeout: Duration,
    /// Memory that one query's operators may reserve, in bytes; at least 128 MiB. Default 512 MiB.
    #[serde(deserialize_with = "size")]
    pub query_memory: u64,
    /// Spill files that one query may write, in bytes. Default 20 GiB.
    #[serde(deserialize_with = "size")]
    pub query_spill: u64,
    /// Shortest time between two commits of one tenant's activities. Default 100 ms.
    #[serde(deserialize_with = "span")]
    pub commit_interval: Duration,
    /// Connections at the same time, of all callers together; more are turned away. Default 4,096.
    pub max_connections: usize,
    /// Longest time for the head of a request, from its first byte; for the first request from the
    /// connection on, a TLS handshake included. Default 10 s.
    #[serde(deserialize_with = "span")]
    pub header_timeout: Duration,
    /// How long a connection may stay open without a request. Default 75 s.
    #[serde(deserialize_with = "span")]
    pub idle_timeout: Duration,
    /// Longest time in which an upload brings nothing, and in which a large one brings less than
    /// 1 MiB. Default 60 s.
    #[serde(deserialize_with = "span")]
    pub upload_stall_timeout: Duration,
    /// Longest time in which the client takes nothing of an answer. Default 5 min.
    #[serde(deserialize_with = "span")]
    pub download_stall_timeout: Duration,
    /// Longest time for requests under way when the server stops. Default 60 s.
    #[serde(deserialize_with = "span")]
    pub shutdown_grace: Duration,
    /// Free bytes of the data directory's disk below which nothing is stored; reads go on. Default 1 GiB.
    #[serde(deserialize_with = "size")]
    pub min_free_disk: u64,
    /// How long data files that left their table, and entries of its log, stay on disk for readers that are not this
    /// server; for its own they stay as long as they are read. At most 30 d. Default 2 h.
    #[serde(deserialize_with = "span")]
    pub keep_replaced: Duration,
    /// Saved exports.
    pub exports: ExportSettings,
    /// Defaults of the tenants' limits.
    pub tenant: TenantDefaults,
    /// Lifetimes of the tokens that users get.
    pub tokens: TokenSettings,
    /// What statements may take.
    pub sql: SqlSettings,
    /// What the addresses of activities are looked up in.
    pub enrichment: EnrichmentSettings,
}

/// Saved exports: results that are made in the background and downloaded later.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct ExportSettings {
    /// Exports that are made at the same time; others wait. Default 2, at least 1.
    pub at_once: usize,
    /// How long one is kept after it is ready or was given up. Default 7 d, at least 1 min.
    #[serde(deserialize_with = "span")]
    pub keep: Duration,
    /// Exports of one tenant, whatever their state. Default 100, at least 1.
    pub per_tenant: u32,
    /// Files of one tenant's exports together, in bytes. Default 50 GiB.
    #[serde(deserialize_with = "size")]
    pub bytes_per_tenant: u64,
}

impl ExportSettings {
    /// [`ExportSettings::keep`] in ms.
    #[must_use]
    pub fn keep_ms(&self) -> i64 {
        i64::try_from(self.keep.as_millis()).unwrap_or(i64::MAX)
    }
}

impl Default for ExportSettings {
    fn default() -> Self {
        Self { at_once: 2, keep: Duration::from_hours(7 * 24), per_tenant: 100, bytes_per_tenant: 50 << 30 }
    }
}

/// Lifetimes of the tokens that users get, each from 1 s to 90 d.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct TokenSettings {
    /// IAM tokens. Default 10 min.
    #[serde(deserialize_with = "span")]
    pub iam: Duration,
    /// Access tokens; `expires_in` tells it in whole seconds. Default 899 s.
    #[serde(deserialize_with = "span")]
    pub access: Duration,
    /// Refresh tokens, each from its own making. Default 24 h.
    #[serde(deserialize_with = "span")]
    pub refresh: Duration,
}

impl TokenSettings {
    /// The lifetimes as the service takes them.
    #[must_use]
    pub const fn lifetimes(&self) -> TokenLifetimes {
        TokenLifetimes { iam: self.iam, access: self.access, refresh: self.refresh }
    }
}

impl Default for TokenSettings {
    fn default() -> Self {
        let TokenLifetimes { iam, access, refresh } = TokenLifetimes::default();
        Self { iam, access, refresh }
    }
}

/// Limits of a tenant that has none of its own.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct TenantDefaults {
    /// Time from an anomaly's creation until its activities are available. Default 12 h.
    #[serde(deserialize_with = "span")]
    pub availability_delay: Duration,
    /// Time from an anomaly's creation during which its activities are available. Default 15 d.
    #[serde(deserialize_with = "span")]
    pub recency: Duration,
    /// Most activities of an anomaly that are returned. Default 100,000.
    pub max_activities: u32,
    /// Time from an activity's `timeStamp` during which it is kept. Default 100 d.
    #[serde(deserialize_with = "span")]
    pub activity_retention: Duration,
    /// Time from an anomaly's creation during which it is kept; never shorter than it is served. Default 90 d.
    #[serde(deserialize_with = "span")]
    pub anomaly_retention: Duration,
    /// How long an impact counts against a user's confidence; at most 90 d. Default 30 d.
    #[serde(deserialize_with = "span")]
    pub uci_window: Duration,
    /// A fall of a user's confidence below this score makes an alert; 0 to 1000. Default 651.
    pub uci_threshold: u16,
    /// Requests a second from one token to each route under `/api/v2`, or `"off"`. Default 4.
    pub api_rate: ApiRate,
}

impl Default for ServerSettings {
    fn default() -> Self {
        Self {
            max_body: 16 << 30,
            max_record: 1 << 20,
            max_ingests: 4,
            max_exports: 64,
            queue_timeout: Duration::from_secs(30),
            export_timeout: Duration::from_hours(1),
            evidence_timeout: Duration::from_mins(5),
            query_memory: 512 << 20,
            query_spill: 20 << 30,
            commit_interval: Duration::from_millis(100),
            max_connections: 4096,
            header_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(75),
            upload_stall_timeout: Duration::from_mins(1),
            download_stall_timeout: Duration::from_mins(5),
            shutdown_grace: Duration::from_mins(1),
            min_free_disk: 1 << 30,
            keep_replaced: Duration::from_hours(2),
            exports: ExportSettings::default(),
            tenant: TenantDefaults::default(),
            tokens: TokenSettings::default(),
            sql: SqlSettings::default(),
            enrichment: EnrichmentSettings::default(),
        }
    }
}

impl Default for TenantDefaults {
    fn default() -> Self {
        let days = |n: i64| Duration::from_millis((n * DAY_MS).unsigned_abs());
        Self {
            availability_delay: Duration::from_hours(12),
            recency: days(15),
            max_activities: 100_000,
            activity_retention: days(100),
            anomaly_retention: days(90),
            uci_window: days(30),
            uci_threshold: 651,
            api_rate: ApiRate::default(),
        }
    }
}

/// A settings file that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The file cannot be read.
    #[error("cannot read the settings file {path}")]
    Read {
        /// The file.
        path: String,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The file's content is wrong; the message shows line and column.
    #[error("the settings file {path} is wrong: {source}")]
    Parse {
        /// The file.
        path: String,
        /// What is wrong where.
        source: Box<toml::de::Error>,
    },
    /// A value lies outside its range.
    #[error("the setting `{name}` must be {range}")]
    Range {
        /// Name of the setting.
        name: &'static str,
        /// What it may be.
        range: &'static str,
    },
}

impl ServerSettings {
    /// Reads a TOML file.
    ///
    /// # Errors
    /// [`SettingsError`], naming the file and, for wrong content, line and column.
    pub fn load(path: &Path) -> Result<Self, SettingsError> {
        let shown = || path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|source| SettingsError::Read { path: shown(), source })?;
        let mut settings: Self =
            toml::from_str(&text).map_err(|source| SettingsError::Parse { path: shown(), source: Box::new(source) })?;
        let folder = path.parent().unwrap_or(Path::new(""));
        for database in &mut settings.enrichment.databases {
            *database = folder.join(&*database);
        }
        settings.check()?;
        Ok(settings)
    }

    fn check(&self) -> Result<(), SettingsError> {
        let range = |ok: bool, name, range| if ok { Ok(()) } else { Err(SettingsError::Range { name, range }) };
        // Below 100 MiB grouping under memory pressure can wait for ever in the engine.
        range(self.query_memory >= 128 << 20, "query-memory", "at least 128MiB")?;
        range(self.max_ingests >= 1, "max-ingests", "at least 1")?;
        range(self.max_exports >= 1, "max-exports", "at least 1")?;
        range(self.max_record >= 1 << 10 && self.max_record <= 64 << 20, "max-record", "from 1KiB to 64MiB")?;
        range((1..=1_000_000).contains(&self.max_connections), "max-connections", "from 1 to 1000000")?;
        // Zero would close every connection at once.
        let second = Duration::from_secs(1);
        range(self.header_timeout >= second, "header-timeout", "at least 1s")?;
        range(self.idle_timeout >= second, "idle-timeout", "at least 1s")?;
        range(self.upload_stall_timeout >= second, "upload-stall-timeout", "at least 1s")?;
        range(self.download_stall_timeout >= second, "download-stall-timeout", "at least 1s")?;
        for (name, lifetime) in [
            ("tokens.iam", self.tokens.iam),
            ("tokens.access", self.tokens.access),
            ("tokens.refresh", self.tokens.refresh),
        ] {
            range(
                (Duration::from_secs(1)..=Duration::from_hours(90 * 24)).contains(&lifetime),
                name,
                "from 1s to 90d",
            )?;
        }
        range(self.keep_replaced <= Duration::from_hours(30 * 24), "keep-replaced", "at most 30d")?;
        range(self.exports.at_once >= 1, "exports.at-once", "at least 1")?;
        range(self.exports.keep >= Duration::from_mins(1), "exports.keep", "at least 1m")?;
        range(self.exports.per_tenant >= 1, "exports.per-tenant", "at least 1")?;
        self.sql.check()?;
        range(self.tenant.max_activities >= 1, "tenant.max-activities", "at least 1")?;
        let window = Duration::from_millis(1)..=Duration::from_hours(90 * 24);
        range(window.contains(&self.tenant.uci_window), "tenant.uci-window", "from 1ms to 90d")?;
        range(self.tenant.uci_threshold <= 1000, "tenant.uci-threshold", "from 0 to 1000")?;
        range(
            self.tenant.recency <= self.tenant.activity_retention,
            "tenant.recency",
            "at most tenant.activity-retention",
        )
    }

    /// [`ServerSettings::keep_replaced`] in ms.
    #[must_use]
    pub fn keep_replaced_ms(&self) -> i64 {
        ms(self.keep_replaced)
    }

    /// The tenants' default settings of the User Confidence Index.
    #[must_use]
    pub fn uci_settings(&self) -> UciSettings {
        UciSettings {
            window_ms: ms(self.tenant.uci_window),
            threshold: i64::from(self.tenant.uci_threshold),
            api_rate: self.tenant.api_rate,
        }
    }

    /// The tenants' default limits as the registry counts them.
    #[must_use]
    pub fn tenant_limits(&self) -> Limits {
        Limits {
            availability_delay_ms: ms(self.tenant.availability_delay),
            recency_ms: ms(self.tenant.recency),
            max_activities: i64::from(self.tenant.max_activities),
            activity_retention_ms: ms(self.tenant.activity_retention),
            anomaly_retention_ms: ms(self.tenant.anomaly_retention),
        }
    }
}

fn ms(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}

fn span<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    deserializer.deserialize_str(Text { expecting: "a duration such as \"12h\"", parse: parse_span, kind: PhantomData })
}

fn size<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    deserializer.deserialize_str(Text { expecting: "a size such as \"256MiB\"", parse: parse_size, kind: PhantomData })
}

/// Reads a text with a parser of ours, so that the error is ours too.
struct Text<T, E> {
    expecting: &'static str,
    parse: fn(&str) -> Result<T, E>,
    kind: PhantomData<T>,
}

impl<T, E: fmt::Display> Visitor<'_> for Text<T, E> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.expecting)
    }

    fn visit_str<Error: de::Error>(self, text: &str) -> Result<T, Error> {
        (self.parse)(text).map_err(Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &str) -> Result<ServerSettings, String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        ServerSettings::load(file.path()).map_err(|error| error.to_string())
    }

    #[test]
    fn every_setting_has_a_default_and_texts_are_read() {
        assert_eq!(load("").unwrap(), ServerSettings::default());
        let settings =
            load("max-body = \"2GiB\"\nexport-timeout = \"90s\"\n[tenant]\nrecency = \"3d\"\n[tokens]\niam = \"5m\"")
                .unwrap();
        assert_eq!(settings.max_body, 2 << 30);
        assert_eq!(settings.export_timeout, Duration::from_secs(90));
        assert_eq!(settings.tenant_limits().recency_ms, 3 * DAY_MS);
        let lifetimes = TokenLifetimes { iam: Duration::from_mins(5), ..TokenLifetimes::default() };
        assert_eq!(settings.tokens.lifetimes(), lifetimes);
        let settings = load("[tenant]\nuci-window = \"90d\"\nuci-threshold = 351\napi-rate = \"off\"").unwrap();
        let expected = UciSettings { window_ms: 90 * DAY_MS, threshold: 351, api_rate: ApiRate::Off };
        assert_eq!(settings.uci_settings(), expected);
    }

    #[test]
    fn errors_name_the_place_and_the_remedy() {
        for (text, wanted) in [
            ("max-boddy = \"2GiB\"", "max-boddy"),
            ("max-body = \"plenty\"", "256MiB"),
            ("max-body = 5", "256MiB"),
            ("\n\nexport-timeout = \"long\"", "line 3"),
            ("query-memory = \"1MiB\"", "at least 128MiB"),
            ("idle-timeout = \"0s\"", "at least 1s"),
            ("max-connections = 0", "from 1 to"),
            ("[tenant]\nrecency = \"101d\"", "activity-retention"),
            ("[tenant]\nuci-window = \"91d\"", "from 1ms to 90d"),
            ("[tenant]\napi-rate = 0", "or off"),
            ("[tokens]\naccess = \"91d\"", "tokens.access"),
            ("[tokens]\nrefresh = \"0s\"", "tokens.refresh"),
            ("keep-replaced = \"31d\"", "at most 30d"),
            ("[exports]\nkeep = \"1s\"", "exports.keep"),
            ("[sql]\nmemory = \"1MiB\"", "sql.memory"),
            ("[sql]\ntenant-memory = \"50MiB\"", "100MiB"),
            ("[sql.tenants.5618]\nstatements = 0", "sql.tenants"),
            ("[sql.tenants.x]\nstatements = 1", "sql.tenants"),
        ] {
            let error = load(text).unwrap_err();
            assert!(error.contains(wanted), "{text}: {error}");
        }
    }
}
