//! `POST /shnapi/rest/external/api/v1/queryActivities`.

mod availability;
mod bytes;
mod cap;
mod evidence;
mod incident_id;
mod leaving;
mod negotiation;
