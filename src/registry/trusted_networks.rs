//! The networks that tenants judge.

use sqlx::{FromRow, SqliteConnection};

use super::RegistryError;
use super::tenants::TenantError;
use crate::domain::tenant::TenantKey;
use crate::domain::trust::{SourceNetwork, Trust};

/// Networks of one tenant. Every ingest of a source reads them all.
pub const MAX_NETWORKS: i64 = 10_000;

/// What a change has done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Changed {
    /// Networks that were not there before.
    pub added: u64,
    /// Networks that were, and are judged anew.
    pub replaced: u64,
}

#[derive(FromRow)]
struct Row {
    network: String,
    trusted: bool,
    entity: String,
    reason: String,
}

/// The tenant's networks, those of addresses first.
///
/// # Errors
/// When the registry fails.
pub async fn list(
    conn: &mut SqliteConnection,
    tenant: TenantKey,
) -> Result<Vec<(SourceNetwork, Trust)>, RegistryError> {
    let rows: Vec<Row> = sqlx::query_as(
        "SELECT network, trusted, entity, reason FROM trusted_networks WHERE tenant_id = ? AND incarnation = ?",
    )
    .bind(tenant.id.get())
    .bind(tenant.incarnation)
    .fetch_all(conn)
    .await?;
    let network = |row: Row| {
        let network = row.network.parse().map_err(|error| sqlx::Error::ColumnDecode {
            index: "network".to_owned(),
            source: Box::<crate::domain::trust::InvalidNetwork>::new(error),
        })?;
        Ok((network, Trust { trusted: row.trusted, entity: row.entity, reason: row.reason }))
    };
    let mut networks: Vec<(SourceNetwork, Trust)> =
        rows.into_iter().map(network).collect::<Result<_, sqlx::Error>>()?;
    networks.sort_by_key(|(network, _)| *network);
    Ok(networks)
}

/// Judges networks; those that are there already are judged anew.
///
/// # Errors
/// [`TenantError::TooLarge`] when the tenant would have more than [`MAX_NETWORKS`].
pub async fn put(
    conn: &mut SqliteConnection,
    tenant: TenantKey,
    networks: &[SourceNetwork],
    trust: &Trust,
) -> Result<Changed, TenantError> {
    let before = count(conn, tenant).await?;
    let mut put = 0;
    for network in networks {
        let changed = sqlx::query(
            "INSERT INTO trusted_networks (tenant_id, incarnation, network, trusted, entity, reason)
             VALUES (?, ?, ?, ?, ?, ?)
             ON CONFLICT DO UPDATE SET trusted = excluded.trusted, entity = excluded.entity, reason = excluded.reason",
        )
        .bind(tenant.id.get())
        .bind(tenant.incarnation)
        .bind(network.to_string())
        .bind(trust.trusted)
        .bind(&trust.entity)
        .bind(&trust.reason)
        .execute(&mut *conn)
        .await?;
        put += changed.rows_affected();
    }
    let after = count(conn, tenant).await?;
    if after > MAX_NETWORKS {
        return Err(TenantError::TooLarge { setting: "the number of networks", at_most: MAX_NETWORKS, value: after });
    }
    let added = (after - before).unsigned_abs();
    Ok(Changed { added, replaced: put - added })
}

/// Forgets a network; whether it was there.
///
/// # Errors
/// When the registry fails.
pub async fn remove(
    conn: &mut SqliteConnection,
    tenant: TenantKey,
    network: SourceNetwork,
) -> Result<bool, RegistryError> {
    let removed = sqlx::query("DELETE FROM trusted_networks WHERE tenant_id = ? AND incarnation = ? AND network = ?")
        .bind(tenant.id.get())
        .bind(tenant.incarnation)
        .bind(network.to_string())
        .execute(conn)
        .await?;
    Ok(removed.rows_affected() > 0)
}

async fn count(conn: &mut SqliteConnection, tenant: TenantKey) -> Result<i64, RegistryError> {
    let count = sqlx::query_scalar("SELECT COUNT(*) FROM trusted_networks WHERE tenant_id = ? AND incarnation = ?");
    Ok(count.bind(tenant.id.get()).bind(tenant.incarnation).fetch_one(conn).await?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::testing::TestRegistry;
    use crate::registry::{Registry, tenants};

    fn trust(trusted: bool, reason: &str) -> Trust {
        Trust { trusted, entity: "IT".to_owned(), reason: reason.to_owned() }
    }

    async fn add(registry: &Registry, tenant: TenantKey, texts: &[&str], trust: Trust) -> Result<Changed, TenantError> {
        let networks: Vec<SourceNetwork> = texts.iter().map(|text| text.parse().unwrap()).collect();
        registry.try_write(move |conn| Box::pin(async move { put(conn, tenant, &networks, &trust).await })).await
    }

    async fn listed(registry: &Registry, tenant: TenantKey) -> Vec<String> {
        let networks = list(&mut registry.read().await.unwrap(), tenant).await.unwrap();
        networks.iter().map(|(network, trust)| format!("{network} {} {}", trust.trusted, trust.reason)).collect()
    }

    #[tokio::test]
    async fn networks_are_put_replaced_and_removed_for_one_tenant() {
        let t = TestRegistry::new().await;
        let (one, other) = (t.tenant(7).await, t.tenant(8).await);
        let changed = add(&t.registry, one, &["AS64500", "10.0.0.0/8", "2001:db8::/32"], trust(true, "office")).await;
        assert_eq!(changed.unwrap(), Changed { added: 3, replaced: 0 });
        add(&t.registry, other, &["10.0.0.0/8"], trust(true, "theirs")).await.unwrap();
        let changed = add(&t.registry, one, &["10.0.0.0/8", "10.0.0.1"], trust(false, "guests")).await.unwrap();
        assert_eq!(changed, Changed { added: 1, replaced: 1 });
        let expected =
            ["10.0.0.0/8 false guests", "10.0.0.1/32 false guests", "2001:db8::/32 true office", "AS64500 true office"];
        assert_eq!(listed(&t.registry, one).await, expected);
        let network: SourceNetwork = "10.0.0.0/8".parse().unwrap();
        for found in [true, false] {
            let gone = t.registry.write(move |conn| Box::pin(async move { remove(conn, one, network).await })).await;
            assert_eq!(gone.unwrap(), found);
        }
        assert_eq!(listed(&t.registry, one).await, expected[1..]);
        assert_eq!(listed(&t.registry, other).await, ["10.0.0.0/8 true theirs"]);
    }

    #[tokio::test]
    async fn more_networks_than_are_allowed_are_refused_whole() {
        let t = TestRegistry::new().await;
        let tenant = t.tenant(7).await;
        let texts: Vec<String> = (0..=MAX_NETWORKS).map(|n| format!("10.{}.{}.0/24", n / 256, n % 256)).collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let error = add(&t.registry, tenant, &texts, trust(true, "x")).await.unwrap_err();
        assert_eq!(error.to_string(), "the number of networks must be at most 10000, not 10001");
        assert!(listed(&t.registry, tenant).await.is_empty());
        assert_eq!(add(&t.registry, tenant, &texts[1..], trust(true, "x")).await.unwrap().added, 10_000);
    }

    #[tokio::test]
    async fn a_dropped_tenants_networks_do_not_come_back() {
        let t = TestRegistry::new().await;
        let tenant = t.tenant(7).await;
        add(&t.registry, tenant, &["10.0.0.0/8"], trust(true, "x")).await.unwrap();
        let drop = t.registry.try_write(move |conn| {
            Box::pin(async move {
                let key = tenants::begin_drop(conn, tenant.id).await?;
                tenants::finish_drop(conn, key, 9).await?;
                Ok::<_, TenantError>(())
            })
        });
        drop.await.unwrap();
        assert!(listed(&t.registry, tenant).await.is_empty());
        let again = t.tenant(7).await;
        assert!(listed(&t.registry, again).await.is_empty());
    }
}
