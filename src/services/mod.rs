//! What the product does, without HTTP: plain requests in, values or streams out.

pub mod auth;
