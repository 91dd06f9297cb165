//! The parameters of a URL, with the environment variables that libpq reads for those that the URL does not give.

use super::error::{Origin, UrlError};
use percent_encoding::percent_decode_str;
use std::collections::HashMap;

/// What the server does with a parameter.
#[derive(Clone, Copy, Debug)]
pub(super) enum Treatment {
    /// It has libpq's meaning.
    Honored,
    /// It has no effect on deletes.
    Ignored,
    /// These values have no effect. Others are refused, with what to do.
    IgnoredIf(&'static [&'static str], &'static str),
    /// It is refused, with what to do.
    Refused(&'static str),
}

/// A known parameter.
pub(super) struct Parameter {
    pub(super) name: &'static str,
    /// The environment variable of libpq that is its default.
    pub(super) variable: Option<&'static str>,
    pub(super) treatment: Treatment,
}

const fn honored(name: &'static str, variable: Option<&'static str>) -> Parameter {
    Parameter { name, variable, treatment: Treatment::Honored }
}

const fn ignored(name: &'static str, variable: Option<&'static str>) -> Parameter {
    Parameter { name, variable, treatment: Treatment::Ignored }
}

const fn ignored_if(
    name: &'static str,
    variable: Option<&'static str>,
    values: &'static [&'static str],
    advice: &'static str,
) -> Parameter {
    Parameter { name, variable, treatment: Treatment::IgnoredIf(values, advice) }
}

const fn refused(name: &'static str, variable: Option<&'static str>, advice: &'static str) -> Parameter {
    Parameter { name, variable, treatment: Treatment::Refused(advice) }
}

const CRL: &str = "revocation lists are not supported; use an authority that issues short-lived certificates";
const OAUTH: &str = "authenticate with a password or a client certificate";

/// The parameters of libpq, and those of the Python drivers that SQLAlchemy passes on. `DATABASE_URLS.md` explains each.
pub(super) const PARAMETERS: &[Parameter] = &[
    honored("host", Some("PGHOST")),
    honored("hostaddr", Some("PGHOSTADDR")),
    honored("port", Some("PGPORT")),
    honored("user", Some("PGUSER")),
    honored("password", Some("PGPASSWORD")),
    honored("passfile", Some("PGPASSFILE")),
    honored("dbname", Some("PGDATABASE")),
    honored("application_name", Some("PGAPPNAME")),
    honored("fallback_application_name", None),
    honored("options", Some("PGOPTIONS")),
    honored("connect_timeout", Some("PGCONNECT_TIMEOUT")),
    honored("target_session_attrs", Some("PGTARGETSESSIONATTRS")),
    honored("load_balance_hosts", Some("PGLOADBALANCEHOSTS")),
    honored("tcp_user_timeout", None),
    honored("keepalives", None),
    honored("keepalives_idle", None),
    honored("keepalives_interval", None),
    honored("keepalives_count", None),
    honored("sslmode", Some("PGSSLMODE")),
    honored("ssl", None),
    honored("sslrootcert", Some("PGSSLROOTCERT")),
    honored("sslcert", Some("PGSSLCERT")),
    honored("sslkey", Some("PGSSLKEY")),
    honored("sslcertmode", Some("PGSSLCERTMODE")),
    honored("sslsni", Some("PGSSLSNI")),
    honored("channel_binding", Some("PGCHANNELBINDING")),
    ignored_if(
        "gssencmode",
        Some("PGGSSENCMODE"),
        &["disable", "prefer"],
        "GSSAPI is not supported; encrypt with TLS (sslmode=verify-full)",
    ),
    ignored_if("sslnegotiation", Some("PGSSLNEGOTIATION"), &["postgres"], "remove it; the server asks for TLS first"),
    ignored_if(
        "ssl_min_protocol_version",
        Some("PGSSLMINPROTOCOLVERSION"),
        &["TLSv1", "TLSv1.1", "TLSv1.2"],
        "the oldest version is TLSv1.2; set ssl_min_protocol_version = 'TLSv1.3' in PostgreSQL",
    ),
    ignored_if(
        "ssl_max_protocol_version",
        Some("PGSSLMAXPROTOCOLVERSION"),
        &["TLSv1.3"],
        "remove it; the newest version that both support is used, at least TLSv1.2",
    ),
    ignored_if("min_protocol_version", Some("PGMINPROTOCOLVERSION"), &["3.0"], "remove it; the version is 3.0"),
    ignored_if(
        "max_protocol_version",
        Some("PGMAXPROTOCOLVERSION"),
        &["3.0", "3.2", "latest"],
        "remove it; the version is 3.0",
    ),
    ignored("client_encoding", Some("PGCLIENTENCODING")),
    ignored("sslcompression", Some("PGSSLCOMPRESSION")),
    ignored("krbsrvname", Some("PGKRBSRVNAME")),
    ignored("gsslib", Some("PGGSSLIB")),
    ignored("gssdelegation", Some("PGGSSDELEGATION")),
    ignored("timeout", None),
    ignored("command_timeout", None),
    ignored("statement_cache_size", None),
    ignored("max_cached_statement_lifetime", None),
    ignored("max_cacheable_statement_size", None),
    ignored("prepared_statement_cache_size", None),
    ignored("prepared_statement_name_func", None),
    ignored("async_fallback", None),
    ignored("prepare_threshold", None),
    refused("service", Some("PGSERVICE"), "write the parameters of the service into the URL"),
    // Without `PGSERVICE`, `PGSERVICEFILE` has no effect, so it is no reason to refuse.
    refused("servicefile", None, "write the parameters of the service into the URL"),
    refused("sslpassword", None, "decrypt the file of sslkey (openssl pkey -in KEY -out DECRYPTED)"),
    refused("sslcrl", Some("PGSSLCRL"), CRL),
    refused("sslcrldir", Some("PGSSLCRLDIR"), CRL),
    refused(
        "requirepeer",
        Some("PGREQUIREPEER"),
        "place the socket in a directory that only PostgreSQL's user can write to",
    ),
    refused("require_auth", Some("PGREQUIREAUTH"), "channel_binding=require accepts only SCRAM, over TLS"),
    refused("requiressl", None, "write sslmode=require or, better, sslmode=verify-full"),
    refused("replication", None, "remove it; a replication connection cannot delete"),
    refused("direct_tls", None, "remove it; the server asks for TLS first"),
    refused("scram_client_key", None, "give the password"),
    refused("scram_server_key", None, "give the password"),
    refused("sslkeylogfile", None, "remove it; the keys of connections are not written to a file"),
    refused("oauth_issuer", None, OAUTH),
    refused("oauth_client_id", None, OAUTH),
    refused("oauth_client_secret", None, OAUTH),
    refused("oauth_scope", None, OAUTH),
];

/// Whether the values of this parameter are secrets.
pub(super) fn is_secret(name: &str) -> bool {
    ["password", "sslpassword", "scram_client_key", "scram_server_key", "oauth_client_secret"].contains(&name)
}

/// The longest unknown name that an error repeats.
const MAX_NAME_BYTES: usize = 40;

/// A value and where it comes from.
#[derive(Clone)]
pub(super) struct Value {
    pub(super) text: String,
    pub(super) origin: Origin,
}

impl Value {
    /// Creates an error about this value, which says what it must be.
    pub(super) fn invalid(&self, expected: &'static str) -> UrlError {
        UrlError::InvalidValue(self.origin, expected)
    }

    /// Parses an integer as libpq does: 32 bits, with white space around it.
    pub(super) fn integer(&self) -> Result<i32, UrlError> {
        self.text.trim_ascii().parse().map_err(|_| self.invalid("an integer"))
    }

    /// Parses an integer that turns something on or off.
    pub(super) fn boolean(&self) -> Result<bool, UrlError> {
        Ok(self.integer()? != 0)
    }
}

/// The values of all parameters. An empty value counts as none.
pub(super) struct Parameters {
    values: HashMap<&'static str, Value>,
}

impl Parameters {
    /// Parses what follows the '?' of a URL.
    pub(super) fn parse(query: &str, plus_is_space: bool) -> Result<Self, UrlError> {
        let decode = |text: &str| {
            let text = if plus_is_space { text.replace('+', " ") } else { text.to_owned() };
            decode(&text)
        };
        let mut parameters = Self { values: HashMap::new() };
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, raw) = pair.split_once('=').ok_or(UrlError::Syntax)?;
            let name = decode(name)?;
            let known = PARAMETERS.iter().find(|known| known.name == name);
            let known = known.ok_or_else(|| UrlError::UnknownParameter(printable(name, query)))?;
            let is_path = matches!(known.name, "passfile" | "sslrootcert" | "sslcert" | "sslkey");
            // An error prints the path. With '@' in it, it could be the end of a password that is not percent-encoded.
            if is_path && raw.contains('@') {
                return Err(UrlError::InvalidValue(Origin::Parameter(known.name), "a path, with '@' written as %40"));
            }
            parameters.add(known, Value { text: decode(raw)?, origin: Origin::Parameter(known.name) })?;
        }
        parameters.unite_ssl()?;
        Ok(parameters)
    }

    /// Sets a parameter from the part of the URL before '?', if what follows the '?' does not give it.
    pub(super) fn set_default(&mut self, name: &'static str, text: String) {
        if !text.is_empty() {
            self.values.entry(name).or_insert(Value { text, origin: Origin::Authority(name) });
        }
    }

    /// Adds the values of libpq's environment variables for the parameters that the URL does not give.
    pub(super) fn add_environment(&mut self, environment: &dyn Fn(&str) -> Option<String>) -> Result<(), UrlError> {
        for known in PARAMETERS {
            if let Some(variable) = known.variable
                && !self.values.contains_key(known.name)
                && let Some(text) = environment(variable)
            {
                self.add(known, Value { text, origin: Origin::Variable(variable) })?;
            }
        }
        Ok(())
    }

    pub(super) fn get(&self, name: &'static str) -> Option<&Value> {
        self.values.get(name)
    }

    pub(super) fn text(&self, name: &'static str) -> Option<&str> {
        self.get(name).map(|value| value.text.as_str())
    }

    fn add(&mut self, known: &Parameter, value: Value) -> Result<(), UrlError> {
        match known.treatment {
            // In the environment, an empty variable is the way to unset it.
            Treatment::Refused(advice) if !value.text.is_empty() || matches!(value.origin, Origin::Parameter(_)) => {
                return Err(UrlError::Unsupported(value.origin, advice));
            }
            Treatment::IgnoredIf(values, advice)
                if !value.text.is_empty() && !values.iter().any(|one| one.eq_ignore_ascii_case(&value.text)) =>
            {
                return Err(UrlError::UnsupportedValue(value.origin, advice));
            }
            _ => {}
        }
        if value.text.is_empty() {
            return Ok(());
        }
        match self.values.get_mut(known.name) {
            None => drop(self.values.insert(known.name, value)),
            // SQLAlchemy's form of several hosts.
            Some(first) if matches!(known.name, "host" | "hostaddr" | "port") => {
                first.text = format!("{},{}", first.text, value.text);
            }
            Some(first) if first.text == value.text => {}
            Some(_) => return Err(UrlError::Repeated(known.name)),
        }
        Ok(())
    }

    /// Makes asyncpg's `ssl`, and `ssl=true` of JDBC, which libpq accepts, the value of `sslmode`.
    fn unite_ssl(&mut self) -> Result<(), UrlError> {
        let Some(mut ssl) = self.values.remove("ssl") else { return Ok(()) };
        if ssl.text == "true" {
            "require".clone_into(&mut ssl.text);
        }
        match self.values.get("sslmode") {
            Some(mode) if mode.text != ssl.text => {
                return Err(UrlError::Conflict("ssl and sslmode differ; remove one"));
            }
            _ => drop(self.values.insert("sslmode", ssl)),
        }
        Ok(())
    }
}

/// Percent-decodes a part of a URL. No value of PostgreSQL contains a zero byte.
pub(super) fn decode(text: &str) -> Result<String, UrlError> {
    let decoded = percent_decode_str(text).decode_utf8().map_err(|_| UrlError::Syntax)?;
    if decoded.contains('\0') { Err(UrlError::Syntax) } else { Ok(decoded.into_owned()) }
}

/// Returns an unknown name if an error can repeat it: with '@' after it, it could be a part of a password.
fn printable(name: String, query: &str) -> Option<String> {
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
    let is_printable = !query.contains('@') && name.len() <= MAX_NAME_BYTES && name.bytes().all(is_name);
    is_printable.then_some(name)
}

#[cfg(test)]
mod tests {
    use super::{PARAMETERS, Treatment};
    use std::collections::BTreeSet;

    const DOCUMENT: &str = include_str!("../../../DATABASE_URLS.md");

    #[test]
    fn document_has_a_row_for_each_parameter() {
        let rows: Vec<_> = DOCUMENT
            .lines()
            .filter_map(|line| {
                let cells: Vec<_> = line.strip_prefix("| `")?.split(" | ").map(str::trim).collect();
                let plain = |cell: &str| cell.trim_matches('`').to_owned();
                Some((plain(cells.first()?), plain(cells.get(1)?), plain(cells.get(2)?)))
            })
            .collect();
        let known: Vec<_> = PARAMETERS
            .iter()
            .map(|parameter| {
                let treatment = match parameter.treatment {
                    Treatment::Honored => "honored",
                    Treatment::Ignored | Treatment::IgnoredIf(..) => "ignored",
                    Treatment::Refused(_) => "refused",
                };
                (parameter.name.to_owned(), parameter.variable.unwrap_or("–").to_owned(), treatment.to_owned())
            })
            .collect();
        assert_eq!(rows.iter().collect::<BTreeSet<_>>(), known.iter().collect::<BTreeSet<_>>());
        assert_eq!(rows.len(), known.len(), "each parameter has one row");
    }
}
