//! A misspelled key, section or value is refused with what was probably meant.

use super::{MINIMAL, check_error};

#[test]
fn typo_in_the_file_is_refused_with_the_nearest_name() {
    let with = |lines: &str| format!("{MINIMAL}{lines}\n");
    for (file, parts) in [
        (with("[server.corss]"), ["server.corss (line 7)", "did you mean \"cors\"?"]),
        (
            format!("server.max_conections = 1\n{MINIMAL}"),
            ["server.max_conections (line 1)", "did you mean \"max_connections\"?"],
        ),
        (with("[postgre]\nmax_connections = 1"), ["postgre (line 7)", "did you mean \"postgres\"?"]),
        (with("[[guard]]\nname = \"a\""), ["guard (line 7)", "did you mean \"guards\"?"]),
        (with("[sqlite]\nmax_guards = 1"), ["sqlite.max_guards (line 8)", "did you mean \"sandbox.max_guards\"?"]),
        (with("[sqlite]\nurl_file = \"x\""), ["sqlite.url_file (line 8)", "did you mean \"databases.url_file\"?"]),
        (with("[sqlite]\nnonsense = 1"), ["sqlite.nonsense (line 8)", "there are busy_timeout_ms, max_batch_size"]),
        (with("[nonsense]"), ["nonsense (line 7)", "there are the sections server, policy, guards"]),
        (MINIMAL.replace("none", "jwks"), ["auth.mode (line 6)", "did you mean \"jwt\"?"]),
        (MINIMAL.replace("none", "security_key"), ["auth.mode (line 6)", "did you mean \"security-key\"?"]),
        (MINIMAL.replace("none", "x"), ["auth.mode (line 6)", "must be one of \"jwt\", \"security-key\", \"none\""]),
        (with("[log]\nformat = \"jsn\""), ["log.format (line 8)", "did you mean \"json\"?"]),
        (
            MINIMAL.replace("none", "jwt") + "[auth.jwt]\nalgorithm = \"RS257\"\n",
            ["auth.jwt.algorithm (line 8)", "did you mean \"RS256\"?"],
        ),
    ] {
        let error = check_error(&file, &[]);
        assert!(error.contains("server.toml: "), "{error}");
        for part in parts {
            assert!(error.contains(part), "{part:?} is not in: {error}\nfor {file}");
        }
    }
    let error = check_error(&MINIMAL.replace("none", "x"), &[]);
    assert!(!error.contains("did you mean"), "nothing is near: {error}");
}
