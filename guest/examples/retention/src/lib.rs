//! A guard: a record stays until it has the minimum age of its learning type.
//!
//! The setting `minimum_age_days.TYPE` has the minimum age of the records of a type in days, `default_minimum_age_days`
//! that of all other types. Both are whole numbers; 0, or no setting, means that there is no minimum. A record that was
//! created in the future is young. If a setting cannot be read, the record stays.
#![cfg_attr(target_family = "wasm", no_std)]

extern crate alloc;

mod date;

use alloc::format;
use alloc::string::String;
use delete_learning_sdk::{Caller, Environment, Learning, export_guard};

export_guard!(retention);

const SECONDS_PER_DAY: i64 = 24 * 60 * 60;

/// Denies the deletion of a record that is younger than the minimum age of its type.
///
/// # Errors
/// Returns a sentence for the caller.
pub fn retention(learning: &Learning, _: &Caller, environment: &impl Environment) -> Result<(), String> {
    let Some(days) = minimum_age_days(&learning.learning_type, environment) else {
        return Err("All learnings are retained because the settings of the retention cannot be read".into());
    };
    if days == 0 {
        return Ok(());
    }
    let until = learning.created_at.saturating_add(i64::from(days) * SECONDS_PER_DAY);
    if environment.now() >= until {
        return Ok(());
    }
    let until = date::format(until);
    Err(format!("Learnings of this type are retained for {days} days after their creation, this one until {until}"))
}

/// Returns the minimum age of the records of a type; `None` if a setting cannot be read.
fn minimum_age_days(learning_type: &str, environment: &impl Environment) -> Option<u32> {
    for name in [&format!("minimum_age_days.{learning_type}"), "default_minimum_age_days"] {
        if let Some(days) = environment.setting(name).ok()? {
            return days.parse().ok();
        }
    }
    Some(0)
}

#[cfg(test)]
mod tests;
