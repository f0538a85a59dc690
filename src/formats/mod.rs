//! Formats: one file per format and direction. Nothing here knows HTTP, the lake or the registry.

pub mod input;
