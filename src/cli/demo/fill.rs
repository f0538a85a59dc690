//! Fills the demo's lake through the same routes that everybody uses.

use axum::body::Body;
use axum::http::Method;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use http_body_util::BodyExt;
use serde::Deserialize;
use tokio::sync::mpsc;

use crate::api::anomalies::create_anomaly::CreateAnomaly;
use crate::api::anomalies::model::{AnomalyModel, TimeValue};
use crate::api::control::tenants::{CreateTenant, SetTenant, TenantModel};
use crate::api::control::tokens::{CreateToken, CreatedTokenModel};
use crate::api::control::users::CreateUser;
use crate::cli::CommandError;
use crate::cli::anomaly::create;
use crate::cli::client::{Client, ClientError, transport};
use crate::cli::stream::received;
use crate::domain::clock::{Clock, SystemClock};
use crate::domain::principal::Role;
use crate::domain::tenant::TenantId;
use crate::generate::{Company, Plan, Profile, Story};

/// The demo's tenant.
const TENANT: i64 = 5618;

/// The demo's reader.
pub(super) const EMAIL: &str = "reader@acme.example";

/// What the demo's token allows.
pub(super) const SCOPES: &str = "activities:write,anomalies:write";

/// Condition of the first anomaly.
pub(super) const CONDITION: &str = "actionName = 'FILE_DOWNLOAD'";

/// Any fixed number: the demo is the same for everybody.
const SEED: u64 = 5618;

/// What was made.
pub(super) struct Made {
    pub(super) tenant: TenantId,
    pub(super) plan: Plan,
    pub(super) activities: u64,
    pub(super) password: String,
    pub(super) token: String,
    pub(super) insider: (AnomalyModel, Story),
    pub(super) two_countries: (AnomalyModel, Story),
}

/// Makes tenant, activities, credentials and anomalies.
///
/// # Errors
/// When the folder holds the demo's tenant already, or a step fails.
pub(super) async fn fill(client: &Client) -> Result<Made, CommandError> {
    let tenant = TenantId::try_from(TENANT).map_err(CommandError::failed)?;
    let new = CreateTenant { id: tenant, name: "Acme (demo)".to_owned() };
    let made: Result<TenantModel, _> = client.json(Method::POST, "/control/tenants", None, Some(&new)).await;
    made.map_err(|error| match &error {
        ClientError::Refused { code, .. } if code == "exists" => CommandError::from(error)
            .with_hint("the demo needs an empty folder; `anomalake serve` serves the data of an earlier demo"),
        _ => error.into(),
    })?;
    let set = SetTenant { anomalous_activity: Some(true), availability_delay_ms: Some(0), ..SetTenant::default() };
    let _: TenantModel = client.json(Method::PATCH, &format!("/control/tenants/{tenant}"), None, Some(&set)).await?;

    let end_ms = SystemClock.now_ms();
    let plan = Plan { seed: SEED, users: 50, days: 15, end_ms, rows: None, profile: Profile::Demo };
    eprintln!("making {} days of a company with {} accounts …", plan.days, plan.users);
    let company = Company::new(plan);
    let Some((insider, two_countries)) = company.stories() else {
        return Err(CommandError::failed_text("the demo's stories are missing, a fault of this program"));
    };
    let activities = ingest(client, tenant, company).await?;

    let password = random_password()?;
    let user = CreateUser { tenant, email: EMAIL.to_owned(), role: Role::Reader, password: password.clone() };
    client.no_content(Method::POST, "/control/users", Some(&user)).await?;
    let token = CreateToken { scopes: SCOPES.to_owned(), lifetime_ms: None, name: Some("demo".to_owned()) };
    let path = format!("/control/tenants/{tenant}/tokens");
    let token: CreatedTokenModel = client.json(Method::POST, &path, None, Some(&token)).await?;

    let first = CreateAnomaly {
        condition: Some(CONDITION.to_owned()),
        score: Some(91.0),
        category: Some("Insider Threats".to_owned()),
        reason: Some("far more downloads in one night than in any month before".to_owned()),
        ..anomaly(&insider)
    };
    let second = CreateAnomaly {
        score: Some(77.0),
        category: Some("Compromised Accounts".to_owned()),
        reason: Some("used from two countries within an hour".to_owned()),
        ..anomaly(&two_countries)
    };
    Ok(Made {
        tenant,
        plan,
        activities,
        password,
        token: token.token,
        insider: (create(client, tenant, &first).await?, insider),
        two_countries: (create(client, tenant, &second).await?, two_countries),
    })
}

fn anomaly(story: &Story) -> CreateAnomaly {
    CreateAnomaly {
        user: Some(story.user.clone()),
        from: TimeValue::Ms(story.from_ms),
        to: TimeValue::Ms(story.to_ms),
        condition: None,
        score: None,
        category: None,
        source: Some("demo".to_owned()),
        reason: None,
        activity: None,
        value: None,
        service_names: Vec::new(),
        instance_id: None,
        instance_name: None,
        created_at: None,
    }
}

async fn ingest(client: &Client, tenant: TenantId, company: Company) -> Result<u64, CommandError> {
    #[derive(Deserialize)]
    struct Answer {
        accepted: u64,
    }
    let (sender, chunks) = mpsc::channel(4);
    let making = tokio::task::spawn_blocking(move || {
        for chunk in company.ndjson() {
            if sender.blocking_send(chunk.map_err(std::io::Error::other)).is_err() {
                // The answer is there already, and it says why.
                return;
            }
        }
    });
    let request = Client::request(Method::POST, "/api/v1/activities", Some(tenant))
        .header(axum::http::header::CONTENT_TYPE, "application/x-ndjson")
        .body(Body::from_stream(received(chunks)))
        .map_err(transport)?;
    let response = client.call(request).await?;
    making.await.map_err(CommandError::failed)?;
    let bytes = response.into_body().collect().await.map_err(transport)?.to_bytes();
    let answer: Answer = serde_json::from_slice(&bytes).map_err(transport)?;
    Ok(answer.accepted)
}

fn random_password() -> Result<String, CommandError> {
    let mut bytes = [0; 12];
    getrandom::fill(&mut bytes).map_err(|error| CommandError::failed_text(format!("no random bytes: {error}")))?;
    Ok(BASE64_URL_SAFE_NO_PAD.encode(bytes))
}
