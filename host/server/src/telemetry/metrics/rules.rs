//! Requests by rule and status.

use prometheus_client::metrics::counter::Counter;
use std::hash::{DefaultHasher, Hasher};
use std::sync::OnceLock;

/// Maximum number of rules that are distinguished. The default policy has about thirty; a custom policy can invent any
/// number.
const MAX_RULES: usize = 128;

/// The value of the label for rules beyond the limit, and for a status that the contract does not have.
const OTHER: &str = "other";

/// The statuses of the contract.
const STATUSES: [(u16, &str); 10] = [
    (204, "204"),
    (400, "400"),
    (401, "401"),
    (403, "403"),
    (404, "404"),
    (409, "409"),
    (429, "429"),
    (500, "500"),
    (501, "501"),
    (503, "503"),
];

/// The counts of one rule, by status.
#[derive(Default)]
struct Counts {
    statuses: [Counter; STATUSES.len()],
    other: Counter,
}

/// A rule and its counts, once it occurred.
type Slot = OnceLock<(Box<str>, Counts)>;

/// Counters by rule and status: a hash table with open addressing, whose entries are added and never removed, so that reading
/// it needs no lock.
pub(super) struct RuleCounters {
    slots: Box<[Slot]>,
    /// The rules beyond the limit.
    other: Counts,
}

impl Default for RuleCounters {
    fn default() -> Self {
        Self { slots: (0..MAX_RULES).map(|_| Slot::new()).collect(), other: Counts::default() }
    }
}

impl RuleCounters {
    /// Counts a request.
    pub(super) fn increment(&self, rule: &str, status: u16) {
        let counts = self.counts_of(rule);
        let index = STATUSES.iter().position(|(known, _)| *known == status);
        index.and_then(|index| counts.statuses.get(index)).unwrap_or(&counts.other).inc();
    }

    fn counts_of(&self, rule: &str) -> &Counts {
        let mut hasher = DefaultHasher::new();
        hasher.write(rule.as_bytes());
        let first = usize::try_from(hasher.finish() % MAX_RULES as u64).unwrap_or_default();
        let (end, start) = self.slots.split_at_checked(first).unwrap_or_default();
        for slot in start.iter().chain(end) {
            let (name, counts) = slot.get_or_init(|| (rule.into(), Counts::default()));
            if **name == *rule {
                return counts;
            }
        }
        &self.other
    }

    /// Rule, status and count of everything that occurred.
    pub(super) fn counts(&self) -> impl Iterator<Item = (&str, &'static str, u64)> {
        let known = self.slots.iter().filter_map(Slot::get).map(|(rule, counts)| (&**rule, counts));
        known
            .chain([(OTHER, &self.other)])
            .flat_map(|(rule, counts)| {
                let statuses = STATUSES.iter().map(|(_, status)| *status).chain([OTHER]);
                let counters = counts.statuses.iter().chain([&counts.other]);
                statuses.zip(counters).map(move |(status, counter)| (rule, status, counter.get()))
            })
            .filter(|(_, _, count)| *count > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::{MAX_RULES, RuleCounters};
    use std::collections::BTreeSet;

    #[test]
    fn rules_beyond_the_limit_become_other() {
        let counters = RuleCounters::default();
        counters.increment("learning-absent", 404);
        for number in 0..10 * MAX_RULES {
            counters.increment(&format!("invented-{number}"), 403);
        }
        counters.increment("learning-absent", 404);
        counters.increment("learning-absent", 299);
        let rules: BTreeSet<&str> = counters.counts().map(|(rule, ..)| rule).collect();
        assert_eq!(rules.len(), MAX_RULES + 1);
        assert!(rules.contains("other"));
        let absent: Vec<_> = counters.counts().filter(|(rule, ..)| *rule == "learning-absent").collect();
        assert_eq!(absent, [("learning-absent", "404", 2), ("learning-absent", "other", 1)]);
        assert_eq!(counters.counts().map(|(.., count)| count).sum::<u64>(), 10 * MAX_RULES as u64 + 3);
    }
}
