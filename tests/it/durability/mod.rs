//! What an acknowledged write survives.

mod faults;
