//! What a statement of one tenant can name: a fresh catalog for each, with this tenant's tables and nothing else.

mod activities;
pub mod describe;
mod evidence;
mod information_schema;
mod registry_table;
mod tables;
mod time_range;

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::catalog::{CatalogProvider, CatalogProviderList, SchemaProvider, TableProvider};
use datafusion::common::DataFusionError;
use datafusion::execution::SessionState;

pub use activities::{TIME, time_type};
pub use describe::describe;

use self::activities::Activities;
use self::describe::{ACTIVITIES, EVIDENCE};
use self::evidence::EvidenceTable;
pub use self::registry_table::Moment;
use self::registry_table::RegistryTable;
use crate::domain::tenant::TenantKey;
use crate::lake::table::ActivityTable;
use crate::registry::Registry;

/// Name of the only catalog.
pub const CATALOG: &str = "lake";

/// Name of the schema with the tables.
pub const SCHEMA: &str = "public";

const INFORMATION_SCHEMA: &str = "information_schema";

/// Where the rows of one tenant are.
#[derive(Clone)]
pub struct TenantTables {
    /// The tenant.
    pub tenant: TenantKey,
    /// The tenant's activities.
    pub activities: Arc<ActivityTable>,
    /// Everything transactional.
    pub registry: Arc<Registry>,
    /// The moment that the statement sees.
    pub moment: Moment,
    /// Session in which the tables are read.
    pub session: Arc<SessionState>,
}

impl fmt::Debug for TenantTables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TenantTables").field("tenant", &self.tenant).finish_non_exhaustive()
    }
}

/// The only schema with tables.
#[async_trait]
impl SchemaProvider for TenantTables {
    fn table_names(&self) -> Vec<String> {
        describe().into_iter().map(|table| table.name.to_owned()).collect()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>, DataFusionError> {
        Ok(match name {
            ACTIVITIES => {
                // The planner asks once for each name, so that a statement sees one snapshot.
                let (snapshot, _) = self.activities.snapshot();
                let stored = snapshot.table_provider().with_session(Arc::<SessionState>::clone(&self.session)).await;
                let stored = stored.map_err(|error| DataFusionError::External(Box::new(error)))?;
                Some(Arc::new(Activities::over(stored)))
            }
            EVIDENCE => Some(Arc::new(EvidenceTable::new(Arc::clone(&self.registry), self.tenant)?)),
            _ => tables::ALL.iter().find(|definition| definition.name == name).map(|definition| {
                let table = RegistryTable::new(definition, Arc::clone(&self.registry), self.tenant, self.moment);
                Arc::new(table) as Arc<dyn TableProvider>
            }),
        })
    }

    fn table_exist(&self, name: &str) -> bool {
        describe().iter().any(|table| table.name == name)
    }
}

/// The only catalog.
#[derive(Debug)]
struct TenantCatalog(Arc<TenantTables>);

impl CatalogProvider for TenantCatalog {
    fn schema_names(&self) -> Vec<String> {
        vec![SCHEMA.to_owned(), INFORMATION_SCHEMA.to_owned()]
    }

    fn schema(&self, name: &str) -> Option<Arc<dyn SchemaProvider>> {
        match name {
            SCHEMA => Some(Arc::clone(&self.0) as Arc<dyn SchemaProvider>),
            INFORMATION_SCHEMA => Some(Arc::new(information_schema::InformationSchema)),
            _ => None,
        }
    }
}

/// The list of the only catalog.
#[derive(Debug)]
pub struct Catalogs(Arc<TenantCatalog>);

impl Catalogs {
    /// The list for one tenant.
    #[must_use]
    pub fn of(tables: TenantTables) -> Self {
        Self(Arc::new(TenantCatalog(Arc::new(tables))))
    }
}

impl CatalogProviderList for Catalogs {
    fn register_catalog(&self, _: String, _: Arc<dyn CatalogProvider>) -> Option<Arc<dyn CatalogProvider>> {
        // Nothing may be added.
        None
    }

    fn catalog_names(&self) -> Vec<String> {
        vec![CATALOG.to_owned()]
    }

    fn catalog(&self, name: &str) -> Option<Arc<dyn CatalogProvider>> {
        (name == CATALOG).then(|| Arc::clone(&self.0) as Arc<dyn CatalogProvider>)
    }
}
