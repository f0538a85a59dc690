//! Changes of one anomaly: its fields and the status of its handling.

use std::sync::Arc;

use serde::{Deserialize, Deserializer};
use serde_json::json;

use super::anomalies::{AnomalyError, check, field};
use super::auth::Actor;
use super::evidence::delete_evidence_file;
use super::{Services, audit_entry};
use crate::domain::anomaly::AnomalyId;
use crate::domain::incident::IncidentStatus;
use crate::registry::anomalies::{self, Anomaly, NewAnomaly};
use crate::registry::anomaly_changes::{self, StatusStep, modify};
use crate::registry::tenants::Tenant;
use crate::registry::uci::records as uci_records;
use crate::registry::{RegistryError, audit};

/// What happens to one field, as a JSON merge patch (RFC 7396) says it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Patch<T> {
    /// Absent: it stays.
    #[default]
    Keep,
    /// `null`: it is removed.
    Remove,
    /// It gets this value.
    Set(T),
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Patch<T> {
    /// Meant for fields with `#[serde(default)]`, which makes an absent one [`Patch::Keep`].
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Option::deserialize(deserializer)?.map_or(Self::Remove, Self::Set))
    }
}

impl<T> Patch<T> {
    /// The same for a value of another type.
    ///
    /// # Errors
    /// That of the conversion.
    pub fn try_map<U, E>(self, convert: impl FnOnce(T) -> Result<U, E>) -> Result<Patch<U>, E> {
        Ok(match self {
            Self::Keep => Patch::Keep,
            Self::Remove => Patch::Remove,
            Self::Set(value) => Patch::Set(convert(value)?),
        })
    }

    fn apply(self, to: &mut Option<T>) {
        match self {
            Self::Keep => {}
            Self::Remove => *to = None,
            Self::Set(value) => *to = Some(value),
        }
    }

    /// For a field that an anomaly cannot be without.
    fn apply_required(self, name: &'static str, to: &mut T) -> Result<(), AnomalyError> {
        match self {
            Self::Keep => {}
            Self::Remove => return Err(field(name, "cannot be removed")),
            Self::Set(value) => *to = value,
        }
        Ok(())
    }
}

/// A change of an anomaly; fields as in [`NewAnomaly`].
#[derive(Debug, Clone, Default, PartialEq)]
pub struct AnomalyChange {
    /// How far people have come with it.
    pub status: Patch<IncidentStatus>,
    /// The user; none for any user, where there is a `where`.
    pub user: Patch<String>,
    /// First moment of the window, ms since epoch.
    pub from_ms: Patch<i64>,
    /// First moment after the window, ms since epoch.
    pub to_ms: Patch<i64>,
    /// SQL condition over the tenant's activities.
    pub where_sql: Patch<String>,
    /// Risk score.
    pub score: Patch<f64>,
    /// Category.
    pub category: Patch<String>,
    /// What reported it.
    pub source: Patch<String>,
    /// Why it was reported.
    pub reason: Patch<String>,
    /// What the user did, in words.
    pub activity: Patch<String>,
    /// The measured value that was out of the ordinary.
    pub value: Patch<f64>,
    /// Cloud services that it concerns.
    pub service_names: Patch<Vec<String>>,
    /// Connected instance of the service.
    pub instance_id: Patch<i64>,
    /// Name of that instance.
    pub instance_name: Patch<String>,
}

impl AnomalyChange {
    fn apply(self, fields: &mut NewAnomaly, status: &mut IncidentStatus) -> Result<(), AnomalyError> {
        self.status.apply_required("status", status)?;
        self.from_ms.apply_required("from", &mut fields.from_ms)?;
        self.to_ms.apply_required("to", &mut fields.to_ms)?;
        self.user.apply(&mut fields.user);
        self.where_sql.apply(&mut fields.where_sql);
        self.score.apply(&mut fields.score);
        self.category.apply(&mut fields.category);
        self.source.apply(&mut fields.source);
        self.reason.apply(&mut fields.reason);
        self.activity.apply(&mut fields.activity);
        self.value.apply(&mut fields.value);
        match self.service_names {
            Patch::Keep => {}
            Patch::Remove => fields.service_names.clear(),
            Patch::Set(names) => fields.service_names = names,
        }
        self.instance_id.apply(&mut fields.instance_id);
        self.instance_name.apply(&mut fields.instance_name);
        Ok(())
    }
}

/// A field that differs and that the confidence index explains scores by.
fn index_field(before: &Anomaly, after: &NewAnomaly) -> Option<&'static str> {
    let differs = [
        ("user", before.user != after.user),
        ("score", before.score != after.score),
        ("source", before.source != after.source),
        ("reason", before.reason != after.reason),
        ("activity", before.activity != after.activity),
    ];
    differs.into_iter().find_map(|(name, differs)| differs.then_some(name))
}

impl Services {
    /// Changes an anomaly. Success means: durable, with an audit entry when anything differs from before.
    /// Where other activities belong to it now, its evidence is pending again: the file and the failures of
    /// the old definition are forgotten in the same transaction, and the file is deleted after it. A crash
    /// in between leaves the file as garbage.
    ///
    /// # Errors
    /// [`AnomalyError`]; nothing was changed then.
    pub async fn change_anomaly(
        &self,
        actor: &Actor,
        tenant: &Tenant,
        id: AnomalyId,
        change: AnomalyChange,
    ) -> Result<Anomaly, AnomalyError> {
        if let Patch::Set(condition) = &change.where_sql {
            self.check_where(Some(condition)).await?;
        }
        let (key, actor, clock) = (tenant.key, actor.clone(), Arc::clone(&self.clock));
        let write = self.registry.try_write(move |conn| {
            Box::pin(async move {
                let now_ms = clock.now_ms();
                let before = anomalies::get(conn, key, id).await?.ok_or(AnomalyError::Unknown)?;
                let (mut fields, mut status) = (before.fields(), before.status);
                change.apply(&mut fields, &mut status)?;
                check(&fields)?;
                if let Some(name) = index_field(&before, &fields)
                    && uci_records::get(conn, key, id).await?.is_some()
                {
                    let problem =
                        "belongs to the user confidence index and cannot be changed; allow the impact instead";
                    return Err(field(name, problem));
                }
                let modified = modify(conn, &before, &fields, status, &actor.principal, now_ms).await?;
                let Some(modified) = modified else { return Ok((before, None)) };
                let mut entry = audit_entry(&actor, now_ms, Some(key), "anomaly.modify", id.to_string());
                entry.detail = json!({ "fields": modified.fields });
                audit::append(conn, &entry).await?;
                Ok::<_, AnomalyError>((modified.anomaly, modified.old_evidence))
            })
        });
        let (anomaly, old_evidence) = write.await?;
        if let Some(file) = old_evidence {
            match self.lake.table(key).await {
                Ok(table) => delete_evidence_file(&table, &file).await,
                Err(error) => tracing::warn!(file, %error, "could not delete an evidence file that is in use no more"),
            }
        }
        Ok(anomaly)
    }

    /// Changes of an anomaly's status, oldest first.
    ///
    /// # Errors
    /// When the registry fails.
    pub async fn status_history(&self, tenant: &Tenant, id: AnomalyId) -> Result<Vec<StatusStep>, RegistryError> {
        anomaly_changes::history(&mut *self.registry.read().await?, tenant.key, id).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize)]
    struct Body {
        #[serde(default)]
        score: Patch<f64>,
    }

    #[test]
    fn absent_null_and_given_differ() {
        let read = |json| serde_json::from_str::<Body>(json).map(|body| body.score);
        assert_eq!(read("{}").unwrap(), Patch::Keep);
        assert_eq!(read(r#"{"score": null}"#).unwrap(), Patch::Remove);
        assert_eq!(read(r#"{"score": 1.5}"#).unwrap(), Patch::Set(1.5));
        assert!(read(r#"{"score": "1.5"}"#).is_err());
    }

    #[test]
    fn a_change_touches_what_it_names_and_keeps_what_is_needed() {
        let mut fields = NewAnomaly { score: Some(1.0), ..NewAnomaly::of_user("u", 1, 2, 3) };
        let mut status = IncidentStatus::New;
        let change = AnomalyChange {
            status: Patch::Set(IncidentStatus::Opened),
            to_ms: Patch::Set(9),
            score: Patch::Remove,
            reason: Patch::Set("because".to_owned()),
            service_names: Patch::Set(vec!["Box".to_owned()]),
            ..AnomalyChange::default()
        };
        change.apply(&mut fields, &mut status).unwrap();
        let expected = NewAnomaly {
            reason: Some("because".to_owned()),
            service_names: vec!["Box".to_owned()],
            ..NewAnomaly::of_user("u", 1, 9, 3)
        };
        assert_eq!((&fields, status), (&expected, IncidentStatus::Opened));
        let removal = AnomalyChange { from_ms: Patch::Remove, ..AnomalyChange::default() };
        let refused = removal.apply(&mut fields, &mut status).unwrap_err();
        assert_eq!(refused.to_string(), "`from` cannot be removed");
    }
}
