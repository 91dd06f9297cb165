//! Counters with a fixed list of names.

use prometheus_client::metrics::counter::Counter;

/// The name under which a counter counts what is not in its list.
const OTHER: &str = "other";

/// A counter for each of a few names, and one for all others.
pub(super) struct NamedCounters {
    names: &'static [&'static str],
    counters: Box<[Counter]>,
    other: Counter,
}

impl NamedCounters {
    pub(super) fn new(names: &'static [&'static str]) -> Self {
        Self { names, counters: names.iter().map(|_| Counter::default()).collect(), other: Counter::default() }
    }

    /// Counts one of this name.
    pub(super) fn increment(&self, name: &str) {
        let index = self.names.iter().position(|known| *known == name);
        index.and_then(|index| self.counters.get(index)).unwrap_or(&self.other).inc();
    }

    /// The names and their counts; what is not in the list only if there is any.
    pub(super) fn counts(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let other = Some((OTHER, self.other.get())).filter(|(_, count)| *count > 0);
        self.names.iter().copied().zip(self.counters.iter().map(Counter::get)).chain(other)
    }
}

#[cfg(test)]
mod tests {
    use super::NamedCounters;

    #[test]
    fn name_that_is_not_in_the_list_is_counted_as_other_and_listed_only_then() {
        let counters = NamedCounters::new(&["a", "b"]);
        counters.increment("b");
        assert_eq!(counters.counts().collect::<Vec<_>>(), [("a", 0), ("b", 1)]);
        counters.increment("c");
        assert_eq!(counters.counts().collect::<Vec<_>>(), [("a", 0), ("b", 1), ("other", 1)]);
    }
}
