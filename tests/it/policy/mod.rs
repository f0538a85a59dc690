//! What holds for every route.

mod auth;
mod errors;
