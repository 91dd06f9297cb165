//! Where the values of the keys come from.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

/// Where the value of a key comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The configuration file.
    File {
        /// The path of the file.
        path: Arc<Path>,
        /// The line, if one is known.
        line: Option<usize>,
    },
    /// An environment variable, by its name.
    Variable(String),
    /// The default of the key.
    Default,
    /// Something else, which the text names, such as the home directory.
    Derived(String),
}

impl Origin {
    /// What an error has before the key.
    pub(super) fn before_key(&self) -> String {
        match self {
            Self::File { path, .. } => format!("{}: ", path.display()),
            Self::Variable(_) => format!("{self}: "),
            Self::Default | Self::Derived(_) => String::new(),
        }
    }

    /// What an error has after the key.
    pub(super) fn after_key(&self) -> String {
        match self {
            Self::File { line: Some(line), .. } => format!(" (line {line})"),
            _ => String::new(),
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, line: Some(line) } => write!(formatter, "{}:{line}", path.display()),
            Self::File { path, line: None } => write!(formatter, "{}", path.display()),
            Self::Variable(name) => write!(formatter, "environment variable {name}"),
            Self::Default => formatter.write_str("default"),
            Self::Derived(from) => write!(formatter, "from {from}"),
        }
    }
}

/// The origins of the keys that are set, by their paths, such as `databases[0].url`.
#[derive(Clone, Debug, Default)]
pub(super) struct Origins(BTreeMap<String, Origin>);

impl Origins {
    /// Records where a key is set first.
    pub(super) fn add(&mut self, path: &str, origin: Origin) {
        self.0.entry(path.to_owned()).or_insert(origin);
    }

    /// Records that a key and everything below it is set here, whatever it was before.
    pub(super) fn replace(&mut self, path: &str, origin: Origin) {
        self.0.retain(|other, _| !is_below(other, path));
        self.0.insert(path.to_owned(), origin);
    }

    /// Whether a key is set.
    pub(super) fn contains(&self, path: &str) -> bool {
        self.0.contains_key(path)
    }

    /// The origin of a key, or of the nearest section around it that is set.
    pub(super) fn nearest(&self, path: &str) -> Option<&Origin> {
        let mut path = path;
        loop {
            if let Some(origin) = self.0.get(path) {
                return Some(origin);
            }
            path = path.rfind(['.', '[']).and_then(|end| path.get(..end))?;
        }
    }

    /// The origins of a key and of everything below it.
    pub(super) fn of_value(&self, path: &str) -> Vec<&Origin> {
        let mut origins = Vec::new();
        for (_, origin) in self.0.iter().filter(|(other, _)| *other == path || is_below(other, path)) {
            // The lines of a table that begins on another line of the file say nothing new.
            let is_repeated = |other: &&Origin| match (*other, origin) {
                (Origin::File { .. }, Origin::File { .. }) => true,
                (other, origin) => other == origin,
            };
            if !origins.iter().any(is_repeated) {
                origins.push(origin);
            }
        }
        origins
    }
}

/// Whether this is the path of a key or an element within `path`.
fn is_below(other: &str, path: &str) -> bool {
    other.strip_prefix(path).is_some_and(|rest| rest.starts_with(['.', '[']))
}
