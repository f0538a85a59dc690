//! What is shared with the suite.

#[path = "../../tests/it/support/seeded.rs"]
pub(crate) mod seeded;
