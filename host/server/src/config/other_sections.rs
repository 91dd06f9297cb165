//! The sections of a configuration file that take effect at a start only.

use std::collections::BTreeSet;

/// The sections of a configuration file other than `[policy]` and `[[guards]]`. It does not implement `Debug`, because they
/// can contain secrets.
#[derive(Clone, Default)]
pub struct OtherSections(toml::Table);

impl OtherSections {
    /// Takes them from the values of a configuration.
    pub(super) fn new(table: &toml::Table) -> Self {
        let mut sections = table.clone();
        sections.retain(|name, _| !matches!(name, "policy" | "guards"));
        Self(sections)
    }

    /// The names of the sections that differ.
    #[must_use]
    pub fn differences(&self, other: &Self) -> BTreeSet<String> {
        let names = self.0.keys().chain(other.0.keys());
        names.filter(|name| self.0.get(*name) != other.0.get(*name)).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::OtherSections;

    #[test]
    fn differences_name_changed_added_and_removed_sections() {
        let parse = |text: &str| OtherSections::new(&text.parse().unwrap());
        let old = parse("policy.reload = \"watch\"\nauth.mode = \"none\"\nlog.format = \"json\"\n[sqlite]");
        let new = parse("[[guards]]\n[auth]\nmode = \"jwt\"\n[log]\nformat = \"json\"\n[cache]");
        let differences: Vec<String> = old.differences(&new).into_iter().collect();
        assert_eq!(differences, ["auth", "cache", "sqlite"]);
        assert!(old.differences(&old.clone()).is_empty());
    }
}
