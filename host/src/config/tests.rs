use super::sqlite_path;

#[test]
fn an_sqlite_file_is_named_as_here_or_as_in_agno() {
    for (url, path) in [
        ("sqlite:learnings.db", "learnings.db"),
        ("sqlite:data/learnings.db", "data/learnings.db"),
        ("sqlite:/var/lib/learnings.db", "/var/lib/learnings.db"),
        // SQLAlchemy's form: what follows the third slash is the path, so an absolute one has four.
        ("sqlite:///learnings.db", "learnings.db"),
        ("sqlite:////var/lib/learnings.db", "/var/lib/learnings.db"),
    ] {
        assert_eq!(sqlite_path(url), Ok(path), "{url}");
    }
    for url in
        ["sqlite:", "sqlite://learnings.db", "sqlite::memory:", "sqlite:///", "sqlite:a.db?mode=ro", "learnings.db"]
    {
        assert!(sqlite_path(url).is_err(), "{url}");
    }
}
