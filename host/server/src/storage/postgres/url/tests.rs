//! The forms of URLs, the meaning of their parameters, and what is refused.

use super::{CertificateCheck, PostgresOptions, PostgresUrl, UrlContext, UrlError};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;
use tempfile::TempDir;
use tokio_postgres::config::{ChannelBinding, Host, LoadBalanceHosts, SslMode, TargetSessionAttrs};

fn parse_in(url: &str, variables: &[(&str, &str)]) -> Result<PostgresUrl, UrlError> {
    let environment =
        |name: &str| variables.iter().find(|(variable, _)| *variable == name).map(|(_, value)| (*value).to_owned());
    PostgresUrl::parse(
        url,
        &UrlContext { directory: Path::new("/etc/host"), environment: &environment, password: None },
    )
}

fn parse(url: &str) -> Result<PostgresUrl, UrlError> {
    parse_in(url, &[])
}

/// Returns the hosts as `host:port`, with the address in parentheses if there is one.
fn hosts(url: &PostgresUrl) -> String {
    let texts = url.hosts.iter().map(|config| {
        let name = match &config.get_hosts()[0] {
            Host::Tcp(name) => name.clone(),
            Host::Unix(path) => path.display().to_string().replace('\0', "@"),
        };
        let addresses: Vec<_> = config.get_hostaddrs().iter().map(|address| format!("({address})")).collect();
        assert_eq!((config.get_hosts().len(), config.get_ports().len()), (1, 1), "one host, with its port");
        format!("{name}{}:{}", addresses.concat(), config.get_ports()[0])
    });
    texts.collect::<Vec<_>>().join(" ")
}

#[test]
fn hosts_have_the_forms_of_libpq_and_sqlalchemy() {
    for (url, expected) in [
        ("postgres://u@one/d", "one:5432"),
        ("postgres://u@one:/d", "one:5432"),
        ("postgresql+asyncpg://u@one:6000/d", "one:6000"),
        ("postgres://one", "one:5432"),
        ("postgres://one?user=u", "one:5432"),
        ("postgres://u@one:1,two:2/d", "one:1 two:2"),
        ("postgres://u@one,two/d", "one:5432 two:5432"),
        ("postgres://u@one,two:6000/d", "one:5432 two:6000"),
        ("postgresql+psycopg://u@one,two:6000/d", "one:6000 two:6000"),
        ("postgresql+psycopg://u@one:1,two:2/d", "one:1 two:2"),
        ("postgres://u@one,two/d?port=6000", "one:6000 two:6000"),
        ("postgres://u@one,two/d?port=1,", "one:1 two:5432"),
        ("postgres://one:1,two:2/d?user=a@b", "one:1 two:2"),
        ("postgres://u@[::1]:6000/d", "::1:6000"),
        ("postgres://u@[::1],[fe80::2]:1/d", "::1:5432 fe80::2:1"),
        ("postgres://u@%2Frun%2Fpostgresql/d", "/run/postgresql:5432"),
        ("postgres://u@%2Frun%2Fpostgresql:6000/d", "/run/postgresql:6000"),
        ("postgres://u@@name/d", "@name:5432"),
        ("postgres://u@/d?host=@name:7", "@name:7"),
        ("postgres://u@/d?host=/run/postgresql&port=6000", "/run/postgresql:6000"),
        ("postgres://u@/d?host=/run/a:b", "/run/a:b:5432"),
        ("postgres://u@/d?host=/a:1&host=/b:2", "/a:1 /b:2"),
        ("postgres://u@/d?host=a:1&host=b:2", "a:1 b:2"),
        ("postgres://u@/d?host=a:1,b:2", "a:1 b:2"),
        ("postgres://u@/d?host=a:1", "a:1"),
        ("postgres://u@/d?host=a:1&host=b", "a:1 b:5432"),
        ("postgres://u@/d?host=a,b&port=1,2", "a:1 b:2"),
        ("postgres://u@/d?host=a&host=b&port=1&port=2", "a:1 b:2"),
        ("postgres://u@/d?host=%5B::1%5D:7,[::2],::3", "::1:7 ::2:5432 ::3:5432"),
        ("postgres://u@h/d?host=a", "a:5432"),
        ("postgres://u@h:6000/d?host=a:7", "a:7"),
        ("postgres://u@:6000/d?host=a", "a:6000"),
        ("postgres://u@:6000/d?host=a,b", "a:6000 b:6000"),
        ("postgres://u@h:6000/d?port=7", "h:7"),
        ("postgres://u@/d?hostaddr=192.0.2.1,::1&port=7", "192.0.2.1(192.0.2.1):7 ::1(::1):7"),
        ("postgres://u@a,b/d?hostaddr=192.0.2.1,192.0.2.2", "a(192.0.2.1):5432 b(192.0.2.2):5432"),
        ("postgresql:///d", "/var/run/postgresql:5432 /tmp:5432 localhost:5432"),
        ("postgres://u:p@:6000/d", "/var/run/postgresql:6000 /tmp:6000 localhost:6000"),
    ] {
        let url_or_error = parse(url).unwrap_or_else(|error| panic!("{url}: {error}"));
        assert_eq!(hosts(&url_or_error), expected, "{url}");
    }
    for url in [
        "postgres://u@/d?host=a:1,b:2&port=1,2",
        "postgres://u@/d?host=a:1&port=1",
        "postgres://u@a:1,b:2/d?host=c",
        "postgres://u@a,b,c/d?port=1,2",
        "postgres://u@/d?port=1,2",
        "postgres://u@a,b/d?hostaddr=192.0.2.1",
        "postgres://u@a,,b/d",
        "postgres://u@a%20b/d",
        "postgres://u@a:0/d",
        "postgres://u@a:65536/d",
        "postgres://u@a:+1/d",
        "postgres://u@[::1/d",
        "postgres://u@[a]/d",
        "postgres://u@/d?host=a:b",
        "postgres://u@/d?host=a@b",
        "postgres://u@/d?hostaddr=a",
    ] {
        assert!(parse(url).is_err(), "{url}");
    }
}

#[test]
fn user_password_and_database_have_the_forms_of_libpq_and_sqlalchemy() {
    for (url, user, password, database) in [
        ("postgres://u:p%40w@h/d", "u", Some("p@w"), Some("d")),
        ("postgres://u@h/d", "u", None, Some("d")),
        ("postgres://u:@h", "u", None, None),
        ("postgres://u:a+b@h/%2Fd%20e", "u", Some("a+b"), Some("/d e")),
        ("postgresql+psycopg://u:a+b@h/a+b", "u", Some("a+b"), Some("a+b")),
        ("postgres://u:p?w@h/d", "u", Some("p?w"), Some("d")),
        ("postgres://u:p?a=b&c@h/d?dbname=e", "u", Some("p?a=b&c"), Some("e")),
        ("postgres://u:p:w@h/d", "u", Some("p:w"), Some("d")),
        ("postgres://u:p/w@h/d", "u", Some("p/w"), Some("d")),
        ("postgres://u:1a/w?@h:6000/d?x", "", None, None),
        ("postgres://u:p/w?@h:6000/d?sslmode=disable", "u", Some("p/w?"), Some("d")),
        ("postgres://u:123456/w@h/d", "u", Some("123456/w"), Some("d")),
        ("postgresql+psycopg://u:12/w@h/d", "u", Some("12/w"), Some("d")),
        ("postgresql+psycopg2://u@server:p@h/d", "u@server", Some("p"), Some("d")),
        ("postgres://u:%C3%A4%25@h/d", "u", Some("ä%"), Some("d")),
        ("postgres://u:100%@h/d", "u", Some("100%"), Some("d")),
        ("postgres://h/d?user=a%2Bb&password=c", "a+b", Some("c"), Some("d")),
        ("postgres://u:p@h/d?user=v&password=w&dbname=e", "v", Some("w"), Some("e")),
        ("postgres://h/d?user=a+b", "a+b", None, Some("d")),
        ("postgresql+psycopg://h/d?user=a+b", "a b", None, Some("d")),
        ("postgres://h:5432/d?user=a@b", "a@b", None, Some("d")),
        ("postgres://h:12/w@x/d", "", None, None),
        ("postgres://u:p@w@h/d", "", None, None),
        ("postgres://u:%ff@h/d", "", None, None),
        ("postgres://u:%00@h/d", "", None, None),
    ] {
        match parse(url) {
            Err(error) => assert!(user.is_empty(), "{url}: {error}"),
            Ok(parsed) => {
                let config = &parsed.hosts[0];
                let found = (config.get_user(), config.get_password(), config.get_dbname());
                assert_eq!(found, (Some(user), password.map(str::as_bytes), database), "{url}");
            }
        }
    }
    let nobody = parse("postgres://h").expect("a URL");
    assert!(nobody.hosts[0].get_user().is_some(), "the user of the operating system");
}

#[test]
fn environment_has_the_defaults() {
    let variables = [
        ("PGHOST", "e"),
        ("PGPORT", "7"),
        ("PGUSER", "eu"),
        ("PGPASSWORD", "ep"),
        ("PGDATABASE", "ed"),
        ("PGAPPNAME", "ea"),
        ("PGSSLMODE", "verify-full"),
        ("PGOPTIONS", "-c x=y"),
        ("PGCONNECT_TIMEOUT", "1"),
        ("PGTARGETSESSIONATTRS", "primary"),
        ("PGCHANNELBINDING", "disable"),
        ("PGGSSENCMODE", "disable"),
        ("PGSERVICE", ""),
    ];
    let url = parse_in("postgres://", &variables).expect("a URL");
    let config = &url.hosts[0];
    assert_eq!(hosts(&url), "e:7");
    assert_eq!((config.get_user(), config.get_password()), (Some("eu"), Some(&b"ep"[..])));
    assert_eq!((config.get_dbname(), config.get_application_name()), (Some("ed"), Some("ea")));
    assert_eq!((config.get_options(), config.get_ssl_mode()), (Some("-c x=y"), SslMode::Require));
    assert_eq!(url.tls.check, CertificateCheck::VerifyFull);
    assert_eq!(config.get_channel_binding(), ChannelBinding::Disable);
    assert_eq!(config.get_target_session_attrs(), TargetSessionAttrs::ReadWrite);
    assert_eq!(url.connect_timeout, Some(Duration::from_secs(1)));

    let url = parse_in("postgres://u:p@h:1/d?ssl=disable", &variables).expect("a URL");
    let config = &url.hosts[0];
    assert_eq!((hosts(&url).as_str(), config.get_ssl_mode()), ("h:1", SslMode::Disable));
    assert_eq!((config.get_user(), config.get_password()), (Some("u"), Some(&b"p"[..])));

    for (name, value) in [
        ("PGSSLMODE", "secret"),
        ("PGPORT", "secret"),
        ("PGSERVICE", "secret"),
        ("PGREQUIREAUTH", "secret"),
        ("PGPASSFILE", "secret"),
        ("PGCONNECT_TIMEOUT", "secret"),
        ("PGGSSENCMODE", "require"),
        ("PGPASSFILE", "/"),
        ("PGSSLCERT", "secret"),
        ("PGHOSTADDR", "192.0.2.1,192.0.2.2"),
        ("PGCHANNELBINDING", "secret"),
    ] {
        let error = parse_in("postgres://u@h/d", &[(name, value)]).err().expect(name).to_string();
        assert!(error.contains(name) && !error.contains("secret"), "{name}: {error}");
    }
}

#[test]
fn parameters_have_the_meaning_of_libpq() {
    let url = parse(
        "postgresql+psycopg://u@h/d?options=-c%20a=b+-c+d=e&fallback_application_name=f&tcp_user_timeout=1500\
         &keepalives=0&keepalives_idle=10&keepalives_interval=2&keepalives_count=3&connect_timeout=%201\
         &load_balance_hosts=random&gssencmode=prefer&ssl_min_protocol_version=tlsv1.2&sslnegotiation=postgres\
         &prepare_threshold=0&client_encoding=utf8&sslmode=prefer&sslmode=prefer&statement_cache_size=0&sslsni=0",
    )
    .expect("a URL");
    let config = &url.hosts[0];
    assert_eq!(config.get_options(), Some("-c a=b -c d=e"));
    assert_eq!(config.get_application_name(), Some("f"));
    assert_eq!(config.get_tcp_user_timeout(), Some(&Duration::from_millis(1500)), "milliseconds");
    assert_eq!((config.get_keepalives(), config.get_keepalives_idle()), (false, Duration::from_secs(10)));
    assert_eq!(config.get_keepalives_interval(), Some(Duration::from_secs(2)));
    assert_eq!(config.get_keepalives_retries(), Some(3));
    assert!(url.is_random && config.get_load_balance_hosts() == LoadBalanceHosts::Random);
    assert!(!url.tls.has_sni);
    assert_eq!(parse("postgres://u@h/d").expect("a URL").hosts[0].get_application_name(), Some("delete-learning"));

    let target = |url: &str| parse(url).expect(url).hosts[0].get_target_session_attrs();
    assert_eq!(target("postgres://u@one,two/d"), TargetSessionAttrs::ReadWrite, "only a primary deletes");
    assert_eq!(target("postgres://u@one,two/d?target_session_attrs=any"), TargetSessionAttrs::Any);
    assert_eq!(target("postgres://u@one/d?target_session_attrs=primary"), TargetSessionAttrs::ReadWrite);
    assert_eq!(target("postgres:///d"), TargetSessionAttrs::Any, "the default hosts are one server");

    let options = PostgresOptions { connect_timeout_ms: 1_500, ..PostgresOptions::default() };
    for (query, one, all) in [
        ("", 1_500, 3_000),
        ("?connect_timeout=0", 1_500, 3_000),
        ("?connect_timeout=-1", 1_500, 3_000),
        ("?connect_timeout=1", 1_000, 2_000),
        ("?connect_timeout=9", 1_500, 3_000),
    ] {
        let url = parse(&format!("postgres://u@one,two/d{query}")).expect(query);
        assert_eq!(url.connect_timeout(&options).as_millis(), one, "{query}");
        assert_eq!(url.max_connect_ms(&options), all, "{query}");
    }
}

#[test]
fn unsupported_parameter_is_refused_by_name() {
    for (pair, reason) in [
        ("service=x", "URL"),
        ("sslpassword=x", "decrypt"),
        ("sslcrl=x", "short-lived"),
        ("requirepeer=x", "directory"),
        ("require_auth=scram-sha-256", "channel_binding=require"),
        ("requiressl=1", "sslmode=require"),
        ("oauth_issuer=x", "password"),
        ("gssencmode=require", "TLS"),
        ("sslnegotiation=direct", "remove"),
        ("ssl_min_protocol_version=TLSv1.3", "TLSv1.2"),
        ("ssl_max_protocol_version=TLSv1.2", "remove"),
        ("sslcertmode=require", "clientcert"),
        ("target_session_attrs=standby", "primary"),
        ("target_session_attrs=prefer-standby", "primary"),
        ("target_session_attrs=read-only", "primary"),
        ("keepalives_retries=3", "DATABASE_URLS.md"),
        ("service=", "URL"),
        ("sslmode=on", "verify-full"),
        ("ssl=on", "verify-full"),
        ("connect_timeout=1s", "integer"),
        ("keepalives=yes", "integer"),
        ("load_balance_hosts=on", "random"),
        ("channel_binding=on", "require"),
    ] {
        let error = parse(&format!("postgres://u:secret@h/d?{pair}")).err().expect(pair).to_string();
        let name = pair.split('=').next().unwrap_or_default();
        assert!(error.contains(name) && error.contains(reason) && !error.contains("secret"), "{pair}: {error}");
    }
    for (query, name) in [
        ("sslmode=require&sslmode=disable", "sslmode"),
        ("ssl=require&sslmode=disable", "sslmode"),
        ("sslmode=disable&channel_binding=require", "channel_binding"),
        ("host=/run&channel_binding=require", "channel_binding"),
        ("sslrootcert=system&sslmode=require", "sslmode"),
        ("sslcert=c.pem", "sslkey"),
        ("sslkey=k.pem", "sslcert"),
    ] {
        let error = parse(&format!("postgres://u:secret@h/d?{query}")).err().expect(query).to_string();
        assert!(error.contains(name) && !error.contains("secret"), "{query}: {error}");
    }
}

#[test]
fn sslmode_selects_the_certificate_check() {
    use CertificateCheck::{None, VerifyCa, VerifyFull};
    for (query, mode, check) in [
        ("", SslMode::Prefer, None),
        ("?sslmode=disable", SslMode::Disable, None),
        ("?sslmode=allow", SslMode::Prefer, None),
        ("?sslmode=prefer", SslMode::Prefer, None),
        ("?sslmode=require", SslMode::Require, None),
        ("?ssl=true", SslMode::Require, None),
        ("?ssl=verify-full", SslMode::Require, VerifyFull),
        ("?sslmode=require&sslrootcert=ca.pem", SslMode::Require, VerifyCa),
        ("?sslmode=verify-ca", SslMode::Require, VerifyCa),
        ("?sslrootcert=ca.pem&sslmode=verify-full", SslMode::Require, VerifyFull),
        ("?sslrootcert=system", SslMode::Require, VerifyFull),
        ("?host=/run/postgresql&sslmode=verify-full", SslMode::Disable, VerifyFull),
    ] {
        let url = parse(&format!("postgres://u@h/d{query}")).expect(query);
        assert_eq!((url.hosts[0].get_ssl_mode(), url.tls.check), (mode, check), "{query}");
    }
    let roots = parse("postgres://u@h/d?sslmode=verify-full&sslrootcert=ca.pem").expect("a URL").tls.roots;
    assert_eq!(roots.as_deref(), Some(Path::new("/etc/host/ca.pem")));
}

#[test]
fn home_directory_has_the_default_files() {
    let home = TempDir::new().expect("a temporary directory");
    let directory = home.path().join(".postgresql");
    fs::create_dir(&directory).expect("the directory is created");
    let variables = [("HOME", home.path().to_str().expect("UTF-8"))];
    let require = || parse_in("postgres://u@h/d?sslmode=require", &variables).expect("a URL").tls;
    assert!(require().roots.is_none() && require().client.is_none());
    fs::write(directory.join("postgresql.key"), "").expect("the file is written");
    assert!(require().client.is_none(), "a key without a certificate");
    for name in ["root.crt", "postgresql.crt"] {
        fs::write(directory.join(name), "").expect("the file is written");
    }
    let (tls, client) = (require(), require().client.expect("a client certificate"));
    assert_eq!((tls.check, tls.roots), (CertificateCheck::VerifyCa, Some(directory.join("root.crt"))));
    assert_eq!((client.certificate, client.key), (directory.join("postgresql.crt"), directory.join("postgresql.key")));
    let disabled = parse_in("postgres://u@h/d?sslmode=require&sslcertmode=disable", &variables).expect("a URL");
    assert!(disabled.tls.client.is_none());

    let passwords = home.path().join(".pgpass");
    fs::write(&passwords, "one:5432:d:u:first\n*:*:*:*:second\n").expect("the file is written");
    let url = parse_in("postgres://u@one,two/d", &variables).expect("a URL");
    assert!(url.hosts[0].get_password().is_none());
    assert!(matches!(url.warnings.as_slice(), [warning] if warning.contains("chmod 600")), "{:?}", url.warnings);
    fs::set_permissions(&passwords, fs::Permissions::from_mode(0o600)).expect("its permissions are set");
    let url = parse_in("postgres://u@one,two/d", &variables).expect("a URL");
    let found: Vec<_> = url.hosts.iter().map(|host| host.get_password()).collect();
    assert_eq!(found, [Some(&b"first"[..]), Some(b"second")], "each host has its own");
    assert!(url.warnings.is_empty());
}

#[test]
fn password_of_the_configuration_comes_before_the_environment() {
    let environment = |name: &str| (name == "PGPASSWORD").then(|| "environment".to_owned());
    let context =
        UrlContext { directory: Path::new("/"), environment: &environment, password: Some("configuration".to_owned()) };
    let url = PostgresUrl::parse("postgres://u@h/d", &context).expect("a URL");
    assert_eq!(url.hosts[0].get_password(), Some(&b"configuration"[..]));
    for url in ["postgres://u:p@h/d", "postgres://u@h/d?password=p"] {
        let error = PostgresUrl::parse(url, &context).err().map(|error| error.to_string()).unwrap_or_default();
        assert!(error.contains("password_file"), "{url}: {error}");
    }
}

#[test]
fn remote_database_without_certificate_check_is_unverified() {
    for (url, is_unverified) in [
        ("postgres://u@db.example/d", true),
        ("postgres://u@db.example/d?sslmode=require", true),
        ("postgres://u@db.example/d?sslmode=verify-ca", false),
        ("postgres://u@127.0.0.1,[::1],localhost/d", false),
        ("postgres://u@127.0.0.1,db.example/d", true),
        ("postgres:///d?host=/run/postgresql", false),
        ("postgres:///d", false),
        ("postgres://u@localhost/d?hostaddr=192.0.2.1", true),
        ("postgres://u@db.example/d?hostaddr=127.0.0.1", false),
    ] {
        assert_eq!(parse(url).expect(url).is_unverified(), is_unverified, "{url}");
    }
}

#[test]
fn errors_contain_no_secret() {
    for url in [
        "postgres://u:secret@h:port/d",
        "postgres://u:secret@h/d?unknown=secret",
        "postgres://u:secret@h/d?sslmode=secret",
        "postgres://u:secret@h/d?connect_timeout=secret",
        "postgres://u:secret@h/d?keepalives=secret",
        "postgres://u@h/d?passfile=secret",
        "postgres://u:secret@h/d?host=se cret",
        "postgres://u:secret@h/d?hostaddr=secret",
        "postgres://u:secret@a,b,c:1,2/d?port=1,2",
        "postgres://u:%ff@h/d",
        "postgres://u:sec@ret@h/d",
        "postgres://u:1?secret=/x@h/d",
        "postgres://u:1?secret/x@h/d",
        "postgres://u:1?sslrootcert=/secret@h/d",
        "postgres://u:1?passfile=/secret@h/d",
        "postgres://u:1/secret@h/d",
        "postgres://h/d?this-is-a-secret-that-is-too-long-to-be-the-name-of-a-parameter=1",
        "postgres://h/d?not%20a%20secret=1",
    ] {
        let error = parse(url).err().unwrap_or_else(|| panic!("{url} is refused"));
        let text = format!("{error} {error:?}");
        assert!(!text.contains("cret"), "{url}: {text}");
    }
    let error = parse("postgres://u:secret@h/d?unknown=secret").err().map(|error| error.to_string());
    assert!(error.is_some_and(|error| error.contains("unknown")), "the name of a parameter is no secret");
}

#[test]
fn values_that_mean_the_default_are_accepted() {
    let default = parse("postgres://u@a,b/d").expect("a URL");
    let explicit = parse("postgres://u@a,b/d?load_balance_hosts=disable&sslcertmode=allow").expect("a URL");
    assert_eq!(explicit.hosts[0].get_load_balance_hosts(), LoadBalanceHosts::Disable);
    assert_eq!(explicit.tls.client.is_some(), default.tls.client.is_some());
    for invalid in ["load_balance_hosts=round-robin", "sslcertmode=prefer"] {
        assert!(parse(&format!("postgres://u@a,b/d?{invalid}")).is_err(), "{invalid}");
    }
}

#[test]
fn masked_url_has_everything_but_its_secrets() {
    for (url, masked) in [
        ("postgres://u:hunter2@h:5432/d", Some("postgres://u:***@h:5432/d")),
        ("postgres://u@h/d", Some("postgres://u@h/d")),
        ("postgres://:hunter2@h/d", Some("postgres://:***@h/d")),
        ("postgres://h", Some("postgres://h")),
        // No host has a space in its name, so `5432` is the beginning of a password.
        ("postgres://a user:5432/hunter2@h/d", Some("postgres://a user:***@h/d")),
        (
            "postgresql://h/d?&sslmode=require&password=hunter2&&user=u",
            Some("postgresql://h/d?sslmode=require&password=***&user=u"),
        ),
        ("postgres://h/d?application_name=hunter2@h", Some("postgres://h/d?application_name=***")),
        // A password that is not percent-encoded can be anywhere in these.
        ("postgres://u:hunter/2@h/d@e", None),
        ("postgres://u:hunter@2@h/d", None),
        ("postgres://h/d?hunter=2", None),
        ("mysql://u:hunter2@h/d", None),
    ] {
        assert_eq!(PostgresUrl::mask(url, "***").as_deref(), masked, "{url}");
    }
}

#[test]
fn server_that_is_no_primary_is_refused_with_advice() {
    for value in ["read-only", "standby", "prefer-standby"] {
        let error = parse(&format!("postgres://u@a,b/d?target_session_attrs={value}")).err().expect(value).to_string();
        assert!(error.contains("only the primary accepts deletes"), "{value}: {error}");
    }
    let error = parse("postgres://u@a,b/d?target_session_attrs=x").err().expect("an error").to_string();
    assert!(error.contains("any, read-write or primary"), "{error}");
}

#[test]
fn ssl_can_repeat_sslmode_and_dev_null_is_no_password_file() {
    assert!(parse("postgres://u@h/d?ssl=require&sslmode=require").is_ok());
    assert!(parse("postgres://u@h/d?ssl=require&sslmode=disable").is_err());
    assert!(parse("postgres://u@h/d?passfile=/dev/null").is_ok());
    assert!(parse("postgres://u@h/d?passfile=/dev").is_err());
}
