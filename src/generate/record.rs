//! An activity as an input record: the wire columns that the generator fills, and `activityId`.

use serde::Serialize;

/// One record. Columns that are not here keep their defaults; `userCount` is derived on ingest.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    /// ms since epoch.
    pub time_stamp: i64,
    /// Unique within the generated data, the same in every run.
    pub activity_id: String,
    /// Actor.
    pub user: String,
    /// Cloud service.
    pub service_name: &'static str,
    /// The service's own event name.
    pub action_name: &'static str,
    /// As `action_name`.
    pub operation: &'static str,
    /// Always `ACTIVITY`.
    pub object_type: &'static str,
    /// Id of the service.
    pub csp_id: i64,
    /// Id of the sub-service.
    pub sub_csp_id: i64,
    /// Connected instance.
    pub instance_id: i64,
    /// Feed of origin.
    pub source_identifier: &'static str,
    /// Address.
    #[serde(rename = "sourceIP")]
    pub source_ip: String,
    /// Autonomous system.
    pub asn: i64,
    /// Its owner.
    pub asn_name: &'static str,
    /// Organisation that holds the address.
    pub geo_org_name_v1: &'static str,
    /// City.
    pub city: &'static str,
    /// Region.
    pub region: &'static str,
    /// ISO-2.
    pub country: &'static str,
    /// `city::country::region`.
    pub location_id: String,
    /// Kind of network.
    pub network_type: &'static str,
    /// The address is one of the company's.
    pub is_source_trusted: bool,
    /// Who says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trust_entity: Option<&'static str>,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trust_reason: Option<&'static str>,
    /// What the proxy is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proxy_description: Option<&'static str>,
    /// Class of the proxy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proxy_type: Option<&'static str>,
    /// Device class.
    pub client_category: &'static str,
    /// Browser or app.
    pub client_name: &'static str,
    /// Operating system.
    #[serde(rename = "clientOS")]
    pub client_os: &'static str,
    /// The company manages the device.
    pub device_managed: bool,
    /// Domain of the user.
    pub collab_group: &'static str,
    /// Domain of the collaborator, with the target.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub collab_group_and_target: Option<String>,
    /// HTTP method.
    pub http_method: &'static str,
    /// URL.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Site of the service.
    pub site_url: &'static str,
    /// The object is a folder.
    pub directory: bool,
    /// What was acted on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target_id: Option<String>,
    /// Kind of target.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target_type: Option<&'static str>,
    /// Folder of the file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file_folder_path: Option<&'static str>,
    /// Name of the file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file_name: Option<String>,
    /// Its owner.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file_owner: Option<String>,
    /// Its type.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file_type: Option<&'static str>,
    /// Its size in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file_size: Option<i64>,
    /// It is shared.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file_sharing_enabled: Option<bool>,
    /// Bytes downloaded.
    pub download_bytes: i64,
    /// Bytes uploaded.
    pub upload_bytes: i64,
    /// Objects touched.
    pub no_of_objects: f64,
}
