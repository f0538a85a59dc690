//! What an acknowledged write survives, and how the server does where its machine lacks something.

mod clock;
mod disk;
mod faults;
mod open_files;
mod shell;
