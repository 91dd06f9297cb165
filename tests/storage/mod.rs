//! What storage promises, held against races, crashes, failing disks, networks and databases, with figures.
//!
//! What would take minutes runs shortened; how to run it in full, and the last full result, is in `README.md` beside
//! this file.

mod crash;
mod races;
mod store;
mod trouble;

/// A number that a variable of the environment sets, for a run at length; where it does not, this one.
fn number(variable: &str, usual: usize) -> usize {
    std::env::var(variable).map_or(usual, |text| text.parse().unwrap_or_else(|_| panic!("{variable} is a number")))
}
