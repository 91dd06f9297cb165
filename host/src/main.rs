//! `delete-learning`: deletes learnings as a sandboxed policy decides.

mod commands;
mod logging;

use clap::{Parser, Subcommand};
use delete_learning::Wasi;
use std::path::PathBuf;
use std::process::ExitCode;

/// Deletes learnings as a sandboxed policy decides: who may, on which record, in which database.
///
/// Serves `DELETE /learnings/{learning_id}` of the Agno API on the databases of an AgentOS. Every decision is made by a
/// policy, a WebAssembly component that can do nothing but say yes or no and delete the one record that was asked for.
#[derive(Parser)]
#[command(version, after_help = "Begin with `delete-learning demo`.")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Shows every documented answer: real server, real database, real requests; leaves nothing behind
    ///
    /// Starts a server on a free port with two databases in a temporary folder, sends it one request for every answer
    /// that the endpoint documents, and prints request, answer and the rule that decided. Exits with 1 if an answer is
    /// not the documented one.
    Demo,
    /// Checks a policy: does it fit the contract, what does it import, does it decide as the specification says
    ///
    /// Prints its imports and exports, how it does not fit if it does not, how long it takes to compile, and how many of
    /// the conformance cases it passes, with both answers for each that it does not. Exits with 1 if it does not fit or
    /// a case fails. (A policy that is meant to decide otherwise fails the cases that it decides otherwise.)
    Check {
        /// The component, a `.wasm` file
        #[arg(value_name = "COMPONENT")]
        component: PathBuf,
        /// Print one JSON object, with what came of every case
        #[arg(long)]
        json: bool,
        /// Print one line of JSON for every case, as the hosts in other languages do, and nothing else
        #[arg(long, conflicts_with = "json")]
        lines: bool,
        /// Give it WASI, empty, as `enabled = true` under `[wasi]` does
        #[arg(long)]
        wasi: bool,
        /// Let it ask for the time, too, as `clocks = true` does
        #[arg(long, requires = "wasi")]
        wasi_clocks: bool,
        /// Let it ask for random bytes, too, as `random = true` does
        #[arg(long, requires = "wasi")]
        wasi_random: bool,
    },
    /// Serves the endpoint as a configuration file says, until Ctrl-C or SIGTERM
    ///
    /// Prints `listening on http://ADDRESS` once it accepts connections. The log goes to standard error. A configuration
    /// that is wrong is refused with file, key and reason.
    #[command(after_long_help = EXAMPLE)]
    Serve {
        /// The configuration, a TOML file
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
    },
}

/// The least that a configuration says.
const EXAMPLE: &str = r#"The least that FILE says:

  [[databases]]
  id = "main"
  url = "sqlite:agno.db"              # the database of your AgentOS

  [auth]
  mode = "jwt"                        # or "security-key", or "none"

  [auth.jwt]
  algorithm = "HS256"                 # default RS256
  verification_keys = ["a shared secret of at least 32 bytes"]

Secrets may come from the environment instead (OS_SECURITY_KEY, JWT_VERIFICATION_KEY, JWT_JWKS_FILE) or from files
(security_key_file, verification_key_files). The README has every key."#;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failure(&error),
    };
    let result = match arguments.command {
        Command::Demo => runtime.block_on(commands::demo()),
        Command::Check { component, json, lines, wasi, wasi_clocks, wasi_random } => {
            let form = match (json, lines) {
                (true, _) => commands::CheckForm::Json,
                (_, true) => commands::CheckForm::Lines,
                _ => commands::CheckForm::Table,
            };
            let wasi = Wasi { enabled: wasi, clocks: wasi_clocks, random: wasi_random };
            runtime.block_on(commands::check(&component, form, wasi))
        }
        Command::Serve { config } => runtime.block_on(commands::serve(&config)),
    };
    // What still runs has had its time; a thread that hangs on a disk must not keep the process.
    runtime.shutdown_background();
    match result {
        Ok(code) => code,
        Err(error) => failure(error.as_ref()),
    }
}

fn failure(error: &dyn std::error::Error) -> ExitCode {
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "delete-learning: {error}");
    ExitCode::FAILURE
}
