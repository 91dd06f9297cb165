//! The space that decisions without an intent can occupy, so that a flood of refused requests neither fills the disk nor stops
//! deletions.

use super::error::AuditError;
use super::event::Line;
use std::sync::atomic::{AtomicU64, Ordering};

/// The least bytes that a decision occupies.
const MIN_LINE_BYTES: u64 = 512;

/// The space for decisions without an intent in the current file of the journal.
pub(super) struct Refusals {
    /// The bytes that are left.
    left: AtomicU64,
    max_bytes: u64,
    /// Decisions that were not recorded and are not in an entry yet.
    dropped: AtomicU64,
    /// Decisions since the start that were not recorded.
    total_dropped: AtomicU64,
}

impl Refusals {
    pub(super) const fn new(max_bytes: u64) -> Self {
        Self {
            left: AtomicU64::new(max_bytes),
            max_bytes,
            dropped: AtomicU64::new(0),
            total_dropped: AtomicU64::new(0),
        }
    }

    /// Makes a line and returns it if there is space for it. Otherwise counts it.
    pub(super) fn admit(&self, is_anonymous: bool, line: impl FnOnce() -> Result<Line, AuditError>) -> Option<Line> {
        if self.try_reserve(MIN_LINE_BYTES, is_anonymous)
            && let Ok(line) = line()
        {
            let further = (line.text.len() as u64).saturating_sub(MIN_LINE_BYTES);
            if self.try_reserve(further, is_anonymous) {
                return Some(line);
            }
        }
        self.dropped.fetch_add(1, Ordering::Relaxed);
        self.total_dropped.fetch_add(1, Ordering::Relaxed);
        None
    }

    /// Reserves space. Half of it is for callers that authenticated.
    fn try_reserve(&self, bytes: u64, is_anonymous: bool) -> bool {
        let reserved = if is_anonymous { self.max_bytes / 2 } else { 0 };
        let reserve = |left: u64| left.checked_sub(bytes).filter(|left| *left >= reserved);
        self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, reserve).is_ok()
    }

    /// All space is free again: a new file of the journal begins.
    pub(super) fn reset(&self) {
        self.left.store(self.max_bytes, Ordering::Relaxed);
    }

    /// The number of decisions since the start that were not recorded.
    pub(super) fn total_dropped(&self) -> u64 {
        self.total_dropped.load(Ordering::Relaxed)
    }

    /// Takes the number of decisions that were dropped.
    pub(super) fn take_dropped(&self) -> u64 {
        self.dropped.swap(0, Ordering::Relaxed)
    }

    /// Gives back a number that could not be recorded.
    pub(super) fn put_back_dropped(&self, count: u64) {
        self.dropped.fetch_add(count, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::{MIN_LINE_BYTES, Refusals};
    use crate::audit::event::{Entry, Kind, Line, Values};

    fn admit(refusals: &Refusals, is_anonymous: bool) -> bool {
        refusals.admit(is_anonymous, || Line::new(&Entry::new(Kind::Decision), &Values::default())).is_some()
    }

    #[test]
    fn half_of_the_space_is_for_authenticated_callers() {
        let refusals = Refusals::new(4 * MIN_LINE_BYTES);
        assert_eq!([true; 3].map(|is_anonymous| admit(&refusals, is_anonymous)), [true, true, false]);
        assert_eq!([false; 3].map(|is_anonymous| admit(&refusals, is_anonymous)), [true, true, false]);
        assert_eq!((refusals.total_dropped(), refusals.take_dropped(), refusals.take_dropped()), (2, 2, 0));
        refusals.reset();
        assert!(admit(&refusals, true));
    }

    #[test]
    fn dropped_decisions_that_cannot_be_recorded_are_counted_again() {
        let refusals = Refusals::new(0);
        assert!(!admit(&refusals, false));
        let count = refusals.take_dropped();
        assert!(!admit(&refusals, false));
        refusals.put_back_dropped(count);
        assert_eq!((refusals.take_dropped(), refusals.total_dropped()), (2, 2));
    }

    #[test]
    fn line_that_is_longer_than_the_space_is_dropped() {
        let refusals = Refusals::new(MIN_LINE_BYTES + 10);
        let long = Entry { rule: Some("x".repeat(1000)), ..Entry::new(Kind::Decision) };
        assert!(refusals.admit(false, || Line::new(&long, &Values::default())).is_none());
        assert_eq!(refusals.take_dropped(), 1);
    }
}
