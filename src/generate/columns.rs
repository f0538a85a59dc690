//! From events to columns. Texts that repeat are dictionaries made once; each batch adds numbers only.

use std::sync::{Arc, LazyLock};

use arrow::array::{
    ArrayRef, BooleanArray, DictionaryArray, Float64Array, Int32Array, Int64Array, RecordBatch, StringArray,
    StringBuilder,
};
use arrow::datatypes::{DataType, Field, Int32Type, Schema, SchemaRef};

use super::accounts::Accounts;
use super::days::has_object;
use super::event::{Event, push_digits, source_of, write_address};
use super::world::{Action, DOMAIN, Device, Effect, File, Network, PARTNERS, Place, Service, World, file};
use crate::domain::activity::{ACTIVITY_ID, COLUMNS, ColumnType};

/// Rows of a batch.
pub(super) const BATCH_ROWS: usize = 16 * 1024;

/// How the values of a column are held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Held {
    /// As texts of few kinds.
    Dictionary,
    /// As texts that differ.
    Text,
    /// As the column's type says.
    Plain,
}

/// Columns that no generated row fills, or that every ingest fills by itself.
const LEFT_OUT: [&str; 5] = ["accountId", "profile", "tenantId", "threatCategory", "userCount"];

/// Columns whose texts are nearly all different.
const DIFFERENT: [&str; 6] = ["collabGroupAndTarget", "fileFolderPath", "fileName", "sourceIP", "targetId", "url"];

fn held(name: &str, column_type: ColumnType) -> Held {
    match column_type {
        ColumnType::Utf8 if DIFFERENT.contains(&name) => Held::Text,
        ColumnType::Utf8 => Held::Dictionary,
        _ => Held::Plain,
    }
}

/// Columns of the generated rows: those of the wire that are filled, and `activityId`. Some texts are dictionaries.
#[must_use]
pub fn schema() -> SchemaRef {
    static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
        let columns = COLUMNS.iter().filter(|column| !LEFT_OUT.contains(&column.name));
        let fields = columns.map(|column| {
            let data_type = match held(column.name, column.column_type) {
                Held::Dictionary => DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8)),
                Held::Text | Held::Plain => column.data_type(),
            };
            Field::new(column.name, data_type, true)
        });
        let id = Field::new(ACTIVITY_ID, DataType::Utf8, true);
        Arc::new(Schema::new(fields.chain([id]).collect::<Vec<_>>()))
    });
    Arc::clone(&SCHEMA)
}

/// Makes batches out of events.
#[derive(Debug)]
pub(super) struct Columns<'a> {
    accounts: &'a Accounts,
    world: &'a World,
    names: ArrayRef,
    actions: Texts,
    places: Texts,
    networks: Texts,
    devices: Texts,
    services: Texts,
    constants: Texts,
}

/// Name of a column, and its text for a thing.
type TextOf<T> = (&'static str, fn(&T) -> String);

/// Dictionaries by name of the column.
#[derive(Debug)]
struct Texts(Vec<(&'static str, ArrayRef)>);

impl Texts {
    fn of<T>(things: &[T], columns: &[TextOf<T>]) -> Self {
        let text = |(name, text): &TextOf<T>| {
            let values: StringArray = things.iter().map(|thing| Some(text(thing))).collect();
            (*name, Arc::new(values) as ArrayRef)
        };
        Self(columns.iter().map(text).collect())
    }

    fn find(&self, name: &str) -> Option<&ArrayRef> {
        self.0.iter().find(|(known, _)| *known == name).map(|(_, values)| values)
    }
}

/// What the columns of one batch are looked up in.
struct Rows<'a> {
    events: &'a [Event],
    actions: Vec<&'a Action>,
    networks: Vec<&'a Network>,
    /// The file of a row on one.
    files: Vec<Option<File>>,
    account_keys: Int32Array,
    action_keys: Int32Array,
    place_keys: Int32Array,
    network_keys: Int32Array,
    device_keys: Int32Array,
    service_keys: Int32Array,
}

impl<'a> Columns<'a> {
    pub(super) fn new(accounts: &'a Accounts, world: &'a World) -> Self {
        let names: StringArray = accounts.all.iter().map(|account| Some(account.name.as_str())).collect();
        let action_name: fn(&Action) -> String = |action| action.name.clone();
        let owner: fn(&Network) -> String = |network| network.owner.clone();
        Self {
            accounts,
            world,
            names: Arc::new(names),
            actions: Texts::of(
                &world.actions,
                &[
                    ("actionName", action_name),
                    ("operation", action_name),
                    ("httpMethod", |action| action.effect.method().to_owned()),
                ],
            ),
            places: Texts::of(
                &world.places,
                &[
                    ("city", |place: &Place| place.city.clone()),
                    ("region", |place| place.region.clone()),
                    ("country", |place| place.country.to_owned()),
                    ("locationId", |place| format!("{}::{}::{}", place.city, place.country, place.region)),
                ],
            ),
            networks: Texts::of(
                &world.networks,
                &[
                    ("asnName", owner),
                    ("geoOrgNameV1", owner),
                    ("networkType", |network| network.kind.to_owned()),
                    ("proxyDescription", |network| network.proxy.map_or("", |(what, _)| what).to_owned()),
                    ("proxyType", |network| network.proxy.map_or("", |(_, kind)| kind).to_owned()),
                ],
            ),
            devices: Texts::of(
                &world.devices,
                &[
                    ("clientCategory", |device: &Device| device.category.to_owned()),
                    ("clientName", |device| device.client.clone()),
                    ("clientOS", |device| device.os.to_owned()),
                ],
            ),
            services: Texts::of(
                &world.services,
                &[
                    ("serviceName", |service: &Service| service.name.clone()),
                    ("siteUrl", |service| service.site.clone()),
                    ("targetType", |service| service.target_type.to_owned()),
                ],
            ),
            constants: Texts::of(
                &[()],
                &[
                    ("collabGroup", |()| DOMAIN.to_owned()),
                    ("objectType", |()| "ACTIVITY".to_owned()),
                    ("sourceIdentifier", |()| "Cloud Service API".to_owned()),
                    ("trustEntity", |()| "Acme IT".to_owned()),
                    ("trustReason", |()| "Trusted Organization".to_owned()),
                ],
            ),
        }
    }

    /// The columns of some events.
    pub(super) fn batch(&self, events: &[Event]) -> RecordBatch {
        let rows = self.rows(events);
        let schema = schema();
        let columns = schema.fields().iter().map(|field| self.column(field.name(), &rows)).collect();
        let Ok(batch) = RecordBatch::try_new(schema, columns) else {
            unreachable!("every column has the type of its field and the rows of the others")
        };
        batch
    }

    fn rows<'b>(&'b self, events: &'b [Event]) -> Rows<'b> {
        let actions: Vec<&Action> = events.iter().map(|e| &self.world.actions[usize::from(e.action)]).collect();
        let sources: Vec<_> = events.iter().map(|event| source_of(event, self.accounts, self.world)).collect();
        let on_file = |(event, action): (&Event, &&Action)| {
            let is = has_object(action.effect) && self.world.services[usize::from(action.service)].files;
            is.then(|| file(event.object))
        };
        Rows {
            events,
            files: events.iter().zip(&actions).map(on_file).collect(),
            networks: sources.iter().map(|source| &self.world.networks[usize::from(source.network)]).collect(),
            account_keys: events.iter().map(|event| i32::try_from(event.account).ok()).collect(),
            action_keys: events.iter().map(|event| Some(i32::from(event.action))).collect(),
            place_keys: sources.iter().map(|source| Some(i32::from(source.place))).collect(),
            network_keys: sources.iter().map(|source| Some(i32::from(source.network))).collect(),
            device_keys: events.iter().map(|event| Some(i32::from(event.device))).collect(),
            service_keys: actions.iter().map(|action| Some(i32::from(action.service))).collect(),
            actions,
        }
    }

    fn column(&self, name: &str, rows: &Rows<'_>) -> ArrayRef {
        self.dictionary(name, rows).or_else(|| self.text(name, rows)).unwrap_or_else(|| self.plain(name, rows))
    }

    /// A column of few kinds of texts.
    fn dictionary(&self, name: &str, rows: &Rows<'_>) -> Option<ArrayRef> {
        let only = |keys: &Int32Array, keep: &dyn Fn(usize) -> bool| -> Int32Array {
            (0..keys.len()).map(|row| keep(row).then(|| keys.value(row))).collect()
        };
        let first = |keep: &dyn Fn(usize) -> bool| -> Int32Array {
            (0..rows.events.len()).map(|row| keep(row).then_some(0)).collect()
        };
        let (keys, values) = match name {
            "user" => (rows.account_keys.clone(), &self.names),
            "fileOwner" => {
                let owner = |file: &Option<File>| {
                    file.and_then(|file| i32::try_from(file.owner % self.accounts.all.len() as u64).ok())
                };
                (rows.files.iter().map(owner).collect(), &self.names)
            }
            "fileType" => {
                let kinds = rows.files.iter().map(|file| file.map(|file| file.kind));
                return Some(Arc::new(kinds.collect::<DictionaryArray<Int32Type>>()));
            }
            "proxyDescription" | "proxyType" => {
                (only(&rows.network_keys, &|row| rows.networks[row].proxy.is_some()), self.networks.find(name)?)
            }
            "targetType" => {
                (only(&rows.service_keys, &|row| has_object(rows.actions[row].effect)), self.services.find(name)?)
            }
            "trustEntity" | "trustReason" => (first(&|row| rows.networks[row].trusted), self.constants.find(name)?),
            _ => {
                let all = [
                    (&self.actions, &rows.action_keys),
                    (&self.places, &rows.place_keys),
                    (&self.networks, &rows.network_keys),
                    (&self.devices, &rows.device_keys),
                    (&self.services, &rows.service_keys),
                ];
                match all.into_iter().find_map(|(texts, keys)| Some((keys.clone(), texts.find(name)?))) {
                    Some(found) => found,
                    None => (first(&|_| true), self.constants.find(name)?),
                }
            }
        };
        let Ok(array) = DictionaryArray::<Int32Type>::try_new(keys, Arc::clone(values)) else {
            unreachable!("keys are positions of the values")
        };
        Some(Arc::new(array))
    }

    /// A column of texts that differ.
    fn text(&self, name: &str, rows: &Rows<'_>) -> Option<ArrayRef> {
        let write: &dyn Fn(usize, &Event, &mut String) -> bool = match name {
            ACTIVITY_ID => &|_, event, text| {
                text.clear();
                push_digits(text, event.id, 16);
                true
            },
            "sourceIP" => &|_, event, text| {
                write_address(event.origin, self.accounts, text);
                true
            },
            "fileName" => &|row, _, text| {
                rows.files[row].is_some_and(|file| {
                    file.write_name(text);
                    true
                })
            },
            "fileFolderPath" => &|row, _, text| {
                rows.files[row].is_some_and(|file| {
                    file.write_folder(text);
                    true
                })
            },
            "targetId" => &|row, event, text| {
                text.clear();
                push_digits(text, event.object, 12);
                has_object(rows.actions[row].effect)
            },
            "url" => &|row, event, text| {
                text.clear();
                text.push_str(&self.world.services[usize::from(rows.actions[row].service)].url);
                push_digits(text, event.object, 12);
                has_object(rows.actions[row].effect)
            },
            "collabGroupAndTarget" => &|row, event, text| {
                text.clear();
                text.push_str(PARTNERS[usize::try_from(event.object >> 60).unwrap_or(0) % PARTNERS.len()]);
                text.push_str("::");
                push_digits(text, event.object, 12);
                rows.actions[row].effect == Effect::Share
            },
            _ => return None,
        };
        let mut texts = StringBuilder::with_capacity(rows.events.len(), rows.events.len() * 24);
        let mut text = String::new();
        for (row, event) in rows.events.iter().enumerate() {
            if write(row, event, &mut text) {
                texts.append_value(&text);
            } else {
                texts.append_null();
            }
        }
        Some(Arc::new(texts.finish()))
    }

    /// A column of numbers or of truths.
    fn plain(&self, name: &str, rows: &Rows<'_>) -> ArrayRef {
        let service = |row: usize| &self.world.services[usize::from(rows.actions[row].service)];
        let integers = |value: &dyn Fn(usize) -> Option<i64>| -> ArrayRef {
            Arc::new((0..rows.events.len()).map(value).collect::<Int64Array>())
        };
        let booleans = |value: &dyn Fn(usize) -> Option<bool>| -> ArrayRef {
            Arc::new((0..rows.events.len()).map(value).collect::<BooleanArray>())
        };
        let moved = |effect: Effect| {
            move |row: usize| {
                let is = rows.actions[row].effect == effect;
                Some(if is {
                    rows.files[row].map_or_else(|| bytes_of(rows.events[row].object), |file| file.size)
                } else {
                    0
                })
            }
        };
        match name {
            "timeStamp" => integers(&|row| Some(rows.events[row].time_ms)),
            "shnProcessTimestamp" => integers(&|row| Some(rows.events[row].time_ms.div_euclid(60_000) * 60_000)),
            "asn" => integers(&|row| Some(rows.networks[row].asn)),
            "cspId" | "subCspId" => integers(&|row| Some(service(row).csp_id)),
            "instanceId" => integers(&|row| Some(service(row).instance_id)),
            "downloadBytes" => integers(&moved(Effect::Download)),
            "uploadBytes" => integers(&moved(Effect::Upload)),
            "fileSize" => integers(&|row| rows.files[row].map(|file| file.size)),
            "count" | "eventCount" => integers(&|_| Some(1)),
            "noOfObjects" => {
                let value = |action: &&Action| Some(f64::from(u8::from(has_object(action.effect))));
                Arc::new(rows.actions.iter().map(value).collect::<Float64Array>())
            }
            "deviceManaged" => booleans(&|row| Some(self.world.devices[usize::from(rows.events[row].device)].managed)),
            "directory" => booleans(&|row| Some(rows.actions[row].folder)),
            "isSourceTrusted" => booleans(&|row| Some(rows.networks[row].trusted)),
            "fileSharingEnabled" => booleans(&|row| {
                rows.files[row].map(|file| rows.actions[row].effect == Effect::Share || file.owner.is_multiple_of(5))
            }),
            _ => integers(&|_| Some(0)),
        }
    }
}

/// Bytes of an object that is no file: up to a megabyte, mostly less.
fn bytes_of(object: u64) -> i64 {
    i64::try_from((object & 0xfffff) >> (object >> 60)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_column_is_made_by_what_its_type_says() {
        for column in COLUMNS.iter().filter(|column| !LEFT_OUT.contains(&column.name)) {
            let field = schema().field_with_name(column.name).unwrap().data_type().clone();
            let is_dictionary = matches!(field, DataType::Dictionary(..));
            assert_eq!(is_dictionary, held(column.name, column.column_type) == Held::Dictionary, "{}", column.name);
        }
        assert_eq!(schema().fields().len(), COLUMNS.len() - LEFT_OUT.len() + 1);
    }
}
