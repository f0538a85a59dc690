//! The public router over a fresh data directory, listening on a free port, with a clock that stands still.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use anomalake::api::serve::serve_public;
use anomalake::cli::owner::{OwnError, Owner};
use anomalake::domain::api_rate::ApiRate;
use anomalake::domain::clock::{Clock, ManualClock};
use anomalake::domain::principal::{Role, Scopes};
use anomalake::domain::tenant::TenantId;
use anomalake::registry::audit::{self, AuditEntry};
use anomalake::registry::settings::{Overrides, SettingsChange};
use anomalake::services::auth::{Actor, CreatedToken, NewApiToken, Secret};
use anomalake::services::settings::ServerSettings;

use super::api::{Answer, Api, Target};

/// When every test starts: 2026-11-22T00:00:00Z.
pub(crate) const NOW_MS: i64 = 1_795_305_600_000;

/// What a tenant's own token may do.
const ALL: &str = "activities:write,anomalies:write,uci:write,alerts:read,sql:read";

/// A running server.
pub(crate) struct TestServer {
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) owner: Owner,
    address: SocketAddr,
    settings: ServerSettings,
    stop: CancellationToken,
    serving: JoinHandle<std::io::Result<()>>,
    dir: TempDir,
}

/// A tenant with the feature on, and a caller that may do everything in it.
#[derive(Debug, Clone)]
pub(crate) struct TestTenant {
    pub(crate) id: TenantId,
    pub(crate) api: Api,
    pub(crate) token: String,
}

impl TestServer {
    pub(crate) async fn start() -> Self {
        Self::start_with(|_| ()).await
    }

    /// Starts with settings of the test's own.
    pub(crate) async fn start_with(set: impl FnOnce(&mut ServerSettings)) -> Self {
        let mut settings = ServerSettings { commit_interval: Duration::ZERO, ..ServerSettings::default() };
        // The clock stands still, so that nobody would ever get another request.
        settings.tenant.api_rate = ApiRate::Off;
        set(&mut settings);
        let dir = tempfile::tempdir().unwrap();
        Self::over(dir, settings, Arc::new(ManualClock::new(NOW_MS))).await
    }

    async fn over(dir: TempDir, settings: ServerSettings, clock: Arc<ManualClock>) -> Self {
        let mut owner = Owner::take(dir.path(), settings.clone(), Arc::<ManualClock>::clone(&clock)).await;
        // A process that another test is just starting may hold what was open here when it was forked.
        while matches!(owner, Err(OwnError::InUse { .. })) {
            tokio::task::yield_now().await;
            owner = Owner::take(dir.path(), settings.clone(), Arc::<ManualClock>::clone(&clock)).await;
        }
        let owner = owner.unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let (services, until) = (Arc::clone(&owner.services), stop.clone());
        let serving = tokio::spawn(async move { serve_public(listener, &services, until).await });
        Self { clock, owner, address, settings, stop, serving, dir }
    }

    /// Stops the server and starts another one over the same data directory.
    pub(crate) async fn restart(self) -> Self {
        self.restart_with(|_| ()).await
    }

    /// The same, with other settings.
    pub(crate) async fn restart_with(mut self, set: impl FnOnce(&mut ServerSettings)) -> Self {
        set(&mut self.settings);
        self.stop.cancel();
        self.serving.await.unwrap().unwrap();
        self.owner.release().await;
        Self::over(self.dir, self.settings, self.clock).await
    }

    /// Stops it as SIGTERM does, without waiting.
    pub(crate) fn stop(&self) {
        self.stop.cancel();
    }

    /// Waits for the end of a server that was stopped.
    pub(crate) async fn ended(self) {
        self.serving.await.unwrap().unwrap();
        self.owner.release().await;
    }

    pub(crate) fn target(&self) -> Target {
        Target::Tcp(self.address)
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The command line's way in.
    pub(crate) fn control(&self) -> Api {
        Api::new(Target::Unix(self.dir.path().join("control.sock")))
    }

    /// A caller without credentials.
    pub(crate) fn anyone(&self) -> Api {
        Api::new(self.target())
    }

    /// Creates a tenant, switches the feature on, and makes a token for it.
    pub(crate) async fn tenant(&self, id: i64) -> TestTenant {
        let tenant = self.tenant_without_feature(id).await;
        self.feature(&tenant, true).await;
        tenant
    }

    pub(crate) async fn tenant_without_feature(&self, id: i64) -> TestTenant {
        let id = TenantId::try_from(id).unwrap();
        self.owner.services.create_tenant(&Actor::command_line(), id, "Example".to_owned()).await.unwrap();
        let token = self.token(id, ALL, None).await.token.expose().to_owned();
        TestTenant { id, api: self.anyone().bearer(&token), token }
    }

    pub(crate) async fn token(&self, tenant: TenantId, scopes: &str, lifetime: Option<Duration>) -> CreatedToken {
        let scopes: Scopes = scopes.parse().unwrap();
        let new = NewApiToken { name: None, scopes, lifetime };
        self.owner.services.auth.create_token(&Actor::command_line(), tenant, new).await.unwrap()
    }

    pub(crate) async fn user(&self, tenant: TenantId, email: &str, password: &str, role: Role) {
        let (auth, password) = (&self.owner.services.auth, Secret::new(password.to_owned()));
        auth.create_user(&Actor::command_line(), tenant, email, password, role).await.unwrap();
    }

    /// Switches the feature of a tenant.
    pub(crate) async fn feature(&self, tenant: &TestTenant, on: bool) {
        self.set(tenant, SettingsChange { anomalous_activity: Some(on), ..SettingsChange::default() }).await;
    }

    /// Overrides limits of a tenant.
    pub(crate) async fn limit(&self, tenant: &TestTenant, overrides: Overrides) {
        self.set(tenant, SettingsChange { overrides, ..SettingsChange::default() }).await;
    }

    async fn set(&self, tenant: &TestTenant, change: SettingsChange) {
        self.owner.services.change_tenant(&Actor::command_line(), tenant.id, change).await.unwrap();
    }

    /// Sets the storage quota of a tenant, or takes it away.
    pub(crate) async fn quota(&self, tenant: &TestTenant, bytes: Option<i64>) {
        self.set(tenant, SettingsChange { quota: Some(bytes.into()), ..SettingsChange::default() }).await;
    }

    /// The audit trail of a tenant.
    pub(crate) async fn audit(&self, tenant: &TestTenant) -> Vec<AuditEntry> {
        let services = &self.owner.services;
        let key = services.tenant(tenant.id).await.unwrap().key;
        audit::list(&mut services.registry.read().await.unwrap(), key, 0, 1000).await.unwrap()
    }

    /// A series without labels, as `/metrics` shows it.
    pub(crate) async fn metric(&self, name: &str) -> i64 {
        let answer = self.anyone().get("/metrics").await.expect(200);
        let line = answer.text().lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("no series {name}")).parse().unwrap()
    }

    /// The clock's time, in ms since epoch.
    pub(crate) fn clock_ms(&self) -> i64 {
        self.clock.now_ms()
    }

    /// Root of all tenants' files.
    pub(crate) fn lake(&self) -> PathBuf {
        self.dir.path().join("lake")
    }

    /// How many evidence files there are, in use or not.
    pub(crate) fn evidence_files(&self) -> usize {
        let mut found = Vec::new();
        walk(&self.dir.path().join("lake"), &mut found);
        found.iter().filter(|path| path.to_string_lossy().contains("/evidence/") && path.is_file()).count()
    }

    /// The folder of all tenants' saved exports.
    pub(crate) fn exports_folder(&self) -> PathBuf {
        self.dir.path().join("exports")
    }

    /// The folder of temporary files.
    pub(crate) fn tmp(&self) -> PathBuf {
        self.dir.path().join("tmp")
    }

    /// Files of saved exports, in use or not.
    pub(crate) fn export_files(&self) -> Vec<PathBuf> {
        let mut found = Vec::new();
        walk(&self.exports_folder(), &mut found);
        found.retain(|path| path.is_file());
        found
    }

    /// Data files of all tenants' activities, committed or not, and whatever waits in the staging folder.
    pub(crate) fn stored_files(&self) -> Vec<PathBuf> {
        let mut found = Vec::new();
        walk(&self.dir.path().join("lake"), &mut found);
        found.retain(|path| {
            let text = path.to_string_lossy();
            text.contains("/.staging/") || (text.contains("/activities/day=") && text.ends_with(".parquet"))
        });
        found
    }
}

/// All files and folders below a folder.
pub(crate) fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
    // What is deleted meanwhile is not there.
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        found.push(entry.path());
        if entry.path().is_dir() {
            walk(&entry.path(), found);
        }
    }
}

impl TestTenant {
    /// The same caller at a restarted server.
    pub(crate) fn at(&self, server: &TestServer) -> Self {
        Self { api: self.api.at(server.target()), ..self.clone() }
    }

    /// Stores records.
    pub(crate) async fn ingest(&self, records: &[Value]) -> Answer {
        self.api.ingest(super::records::ndjson(records)).await.expect(200)
    }

    /// Creates an anomaly and returns its number.
    pub(crate) async fn anomaly(&self, anomaly: Value) -> i64 {
        self.api.post_json("/api/v1/anomalies", &anomaly).await.expect(201).json()["id"].as_i64().unwrap()
    }

    /// An anomaly of all activities there can be.
    pub(crate) async fn everything(&self) -> i64 {
        let (from, to) = ("1970-01-01T00:00:00Z", "2200-01-01T00:00:00Z");
        self.anomaly(json!({ "from": from, "to": to, "where": format!("tenantId = {}", self.id) })).await
    }

    /// An anomaly of a user's activities from a day before the start of the test to its end.
    pub(crate) async fn of_user(&self, user: &str) -> i64 {
        self.anomaly(json!({ "user": user, "from": NOW_MS - super::DAY_MS, "to": NOW_MS + super::DAY_MS })).await
    }

    pub(crate) async fn query(&self, incident: i64) -> Answer {
        self.api.query(incident).await.expect(200)
    }

    /// `fileName` of every activity stored, in order of time.
    pub(crate) async fn stored(&self) -> Vec<String> {
        let id = self.everything().await;
        self.api.get(&format!("/api/v1/anomalies/{id}/activities")).await.expect(200).column("fileName")
    }
}
