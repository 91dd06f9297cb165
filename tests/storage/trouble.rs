//! SQLite in trouble.
