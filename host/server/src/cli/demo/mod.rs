//! `delete-learning demo`: one request for every rule, to a real server on temporary databases; then a server with guards.

mod cases;
mod client;
mod rules;
mod table;

use super::CommandResult;
use super::signal::shutdown_signal;
use cases::{ACTS, Act, Expected, SECRET_BYTES};
use client::Client;
use delete_learning_server::{Config, Environment, app};
use rules::Rules;
use std::error::Error;
use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;
use table::Row;
use tempfile::TempDir;

/// The components of the guards in the second act.
const LEGAL_HOLD: &[u8] = include_bytes!("../../../guards/legal-hold.wasm");
const RETENTION: &[u8] = include_bytes!("../../../guards/retention.wasm");

/// Runs the demonstration. Ctrl-C ends it; the temporary directory is deleted in any case.
pub(crate) async fn demo() -> CommandResult {
    let rules = Rules::collect();
    let directory = TempDir::with_prefix("delete-learning-demo-")?;
    let interrupted = shutdown_signal()?;
    tokio::select! {
        is_documented = show(&ACTS, directory.path(), &rules) => {
            Ok(if is_documented? { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
        () = interrupted => Err("interrupted".into()),
    }
}

/// Shows the acts one after the other, and returns whether all is as documented.
async fn show(acts: &[&Act], directory: &Path, rules: &Rules) -> Result<bool, Box<dyn Error>> {
    let mut is_documented = true;
    for (number, act) in acts.iter().enumerate() {
        let directory = directory.join(number.to_string());
        fs::create_dir(&directory)?;
        fs::write(directory.join("legal-hold.wasm"), LEGAL_HOLD)?;
        fs::write(directory.join("retention.wasm"), RETENTION)?;
        if number > 0 {
            writeln!(io::stdout())?;
        }
        is_documented &= show_act(act, &directory, rules).await?;
    }
    Ok(is_documented)
}

/// Runs a server in this directory, sends the requests of the act, and returns whether all is as documented.
async fn show_act(act: &Act, directory: &Path, rules: &Rules) -> Result<bool, Box<dyn Error>> {
    let secret = random_secret()?;
    let config = directory.join("delete-learning.toml");
    fs::write(&config, configuration(&secret, act.configuration))?;

    let server = app::bind(Config::read(&config, &Environment::default())?).await?;
    cases::fill(act, &directory.join("main.db"))?;
    let address = server.address();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let serving = tokio::spawn(server.run(async {
        let _ = stopped.await;
    }));
    // A database that fails while it is served: its table is dropped.
    rusqlite::Connection::open(directory.join("broken.db"))?.execute_batch("DROP TABLE agno_learnings")?;

    let mut out = io::stdout();
    writeln!(out, "A server on http://{address}, two SQLite databases, {}.\n", act.title)?;
    let mut client = Client::connect(address).await?;
    let mut rows = Vec::new();
    for case in act.cases {
        let answer = client.delete(case.target, case.caller.token(&secret).as_deref()).await?;
        let rule = rules.of(answer.request_id.as_deref());
        rows.push(Row { case, is_expected: case.expected.is(&answer), answer, rule });
    }
    table::write(&mut out, &rows)?;
    let _ = stop.send(());
    serving.await?;

    let wrong = rows.iter().filter(|row| !row.is_expected).count();
    let (left, expected_left) = (cases::ids(&directory.join("main.db"))?, cases::expected_left(act));
    writeln!(out, "\n{} of {} answers are the documented ones.", rows.len() - wrong, rows.len())?;
    let are_right_left = left == expected_left;
    if are_right_left {
        let deleted = rows.iter().filter(|row| matches!(row.case.expected, Expected::Deleted)).count();
        writeln!(out, "{deleted} records were deleted, and the other {} are there.", left.len())?;
    } else {
        writeln!(out, "The records left are {left:?}, and should be {expected_left:?}.")?;
    }
    Ok(wrong == 0 && are_right_left)
}

fn configuration(secret: &str, further: &str) -> String {
    format!(
        r#"[server]
listen = "127.0.0.1:0"

[[databases]]
id = "main"
url = "sqlite:main.db"
create = true

[[databases]]
id = "broken"
url = "sqlite:broken.db"
create = true

[auth]
mode = "jwt"

[auth.jwt]
algorithm = "HS256"
verification_keys = ["{secret}"]

[cache]
directory = "../cache"
{further}"#
    )
}

/// A random secret in hexadecimal.
fn random_secret() -> Result<String, Box<dyn Error>> {
    let mut bytes = [0; SECRET_BYTES];
    getrandom::fill(&mut bytes)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::cases::{Act, CallerOf, Case, Expected};
    use super::{Rules, show};
    use std::thread;
    use tokio::runtime::Builder;

    const EMPTY: Act = Act { title: "no record", configuration: "", records: &[], cases: &[], left: &[] };
    const RIGHT_ANSWER: Act = absent(&[answer(Expected::Error(404, "Learning not found", "NOT_FOUND"))]);
    const WRONG_ANSWERS: [Act; 4] = [
        absent(&[answer(Expected::Deleted)]),
        absent(&[answer(Expected::Error(403, "Learning not found", "NOT_FOUND"))]),
        absent(&[answer(Expected::Error(404, "Learning", "NOT_FOUND"))]),
        absent(&[answer(Expected::Error(404, "Learning not found", "FORBIDDEN"))]),
    ];
    const WRONG_RECORDS: Act = Act { left: &["absent"], ..EMPTY };

    const fn answer(expected: Expected) -> Case {
        Case { target: "/learnings/absent?db_id=main", caller: CallerOf::Admin, expected }
    }

    const fn absent(cases: &'static [Case]) -> Act {
        Act { cases, ..EMPTY }
    }

    #[test]
    fn answer_or_record_that_is_not_documented_is_noticed_in_every_act() {
        let mut demos: Vec<(Vec<&Act>, bool)> = WRONG_ANSWERS.iter().map(|wrong| (vec![wrong], false)).collect();
        for wrong in [&WRONG_ANSWERS[0], &WRONG_RECORDS] {
            demos.extend([vec![wrong, &RIGHT_ANSWER], vec![&RIGHT_ANSWER, wrong]].map(|acts| (acts, false)));
        }
        demos.push((vec![&RIGHT_ANSWER, &EMPTY], true));
        // At once, because each act waits for its server.
        thread::scope(|scope| {
            for (acts, expected) in demos {
                scope.spawn(move || {
                    let runtime = Builder::new_multi_thread().enable_all().build().expect("a runtime");
                    let directory = tempfile::tempdir().expect("a directory");
                    let shown = runtime.block_on(show(&acts, directory.path(), &Rules::default()));
                    assert_eq!(shown.expect("a server"), expected);
                });
            }
        });
    }
}
