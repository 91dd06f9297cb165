//! The sections of a configuration file that take effect at a start only.

use std::collections::BTreeSet;

/// The sections of a configuration file other than `[policy]` and `[[guards]]`. It does not implement `Debug`, because they
/// can contain secrets.
#[derive(Clone, Default)]
pub struct OtherSections(toml::Table);

impl OtherSections {
    /// Parses a valid configuration file.
    pub(super) fn parse(text: &str) -> Self {
        let mut sections: toml::Table = text.parse().unwrap_or_default();
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
        let old =
            OtherSections::parse("policy.reload = \"watch\"\nauth.mode = \"none\"\nlog.format = \"json\"\n[sqlite]");
        let new = OtherSections::parse("[[guards]]\n[auth]\nmode = \"jwt\"\n[log]\nformat = \"json\"\n[cache]");
        let differences: Vec<String> = old.differences(&new).into_iter().collect();
        assert_eq!(differences, ["auth", "cache", "sqlite"]);
        assert!(old.differences(&old.clone()).is_empty());
    }
}
