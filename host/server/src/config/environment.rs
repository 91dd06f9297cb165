//! The environment variables that a configuration is read with.

use std::collections::BTreeMap;
use std::ffi::OsString;

/// The beginning of the variables that set keys.
pub(super) const PREFIX: &str = "DELETE_LEARNING_";

/// Environment variables. A value, so that tests need not change the environment of the process.
#[derive(Clone, Default)]
pub struct Environment(BTreeMap<OsString, OsString>);

impl Environment {
    /// The environment of this process.
    #[must_use]
    pub fn of_process() -> Self {
        std::env::vars_os().collect()
    }

    /// Returns a variable if it is set and UTF-8 text.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<String> {
        self.0.get(OsString::from(name).as_os_str())?.to_str().map(str::to_owned)
    }

    /// The variables that set keys: the name without the prefix, and the value, which is `None` if it is not UTF-8 text.
    /// Variables that Kubernetes sets are left out.
    pub(super) fn keys(&self) -> impl Iterator<Item = (String, Option<&str>)> {
        self.0.iter().filter_map(|(name, value)| {
            let name = name.to_string_lossy();
            let name = name.strip_prefix(PREFIX)?;
            let value = value.to_str();
            (!is_of_kubernetes(name, value.unwrap_or_default())).then(|| (name.to_owned(), value))
        })
    }
}

impl<N: Into<OsString>, V: Into<OsString>> FromIterator<(N, V)> for Environment {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(variables: I) -> Self {
        Self(variables.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }
}

/// Whether Kubernetes sets this variable in every container, because a Service has a name that begins with
/// `delete-learning` (<https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables>). Each variable
/// of a key has two underscores after its section.
fn is_of_kubernetes(name: &str, value: &str) -> bool {
    let name = format!("_{name}");
    let is_port = |(_, rest): (&str, &str)| {
        let protocol = rest.trim_start_matches(|character: char| character.is_ascii_digit());
        protocol.len() < rest.len() && ["_TCP", "_UDP", "_SCTP"].iter().any(|start| protocol.starts_with(start))
    };
    !name.contains("__")
        && (name.ends_with("_SERVICE_HOST")
            || name.contains("_SERVICE_PORT")
            || (name.ends_with("_PORT") && value.contains("://"))
            || name.rsplit_once("_PORT_").is_some_and(is_port)
            || name.split_once("_PORT_").is_some_and(is_port))
}

#[cfg(test)]
mod tests {
    use super::Environment;

    #[test]
    fn variables_of_a_kubernetes_service_set_no_key() {
        let environment: Environment = [
            ("DELETE_LEARNING_SERVICE_HOST", "10.0.0.1"),
            ("DELETE_LEARNING_SERVICE_PORT", "7777"),
            ("DELETE_LEARNING_SERVICE_PORT_HTTP", "7777"),
            ("DELETE_LEARNING_PORT", "tcp://10.0.0.1:7777"),
            ("DELETE_LEARNING_PORT_7777_TCP", "tcp://10.0.0.1:7777"),
            ("DELETE_LEARNING_PORT_7777_TCP_PROTO", "tcp"),
            ("DELETE_LEARNING_PORT_7777_TCP_PORT", "7777"),
            ("DELETE_LEARNING_PORT_7777_TCP_ADDR", "10.0.0.1"),
            ("DELETE_LEARNING_CANARY_SERVICE_HOST", "10.0.0.1"),
            ("OTHER", "x"),
            ("DELETE_LEARNING_SERVER_PORT", "7777"),
            ("DELETE_LEARNING_SERVER_PORT_7777", "x"),
            ("DELETE_LEARNING_SERVER_PORT_X_TCP", "x"),
            ("DELETE_LEARNING_SERVER__LISTEN", "[::1]:1"),
        ]
        .into_iter()
        .collect();
        let keys: Vec<_> = environment.keys().map(|(name, _)| name).collect();
        assert_eq!(keys, ["SERVER_PORT", "SERVER_PORT_7777", "SERVER_PORT_X_TCP", "SERVER__LISTEN"]);
    }
}
