//! The command line: arguments, help, and one module for each command.

mod audit;
mod check;
mod check_config;
mod demo;
mod generate;
mod health;
mod new;
mod serve;
mod signal;
mod systemd;

use check::{CheckArguments, EXIT_CODES};
use check_config::CheckConfigFormat;
use clap::{CommandFactory, Parser, Subcommand};
use clap_complete::Shell;
use std::error::Error;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

/// The result of a command: an exit code, or an error to print.
type CommandResult = Result<ExitCode, Box<dyn Error>>;

/// Deletes learnings as a sandboxed policy decides: who may, on which record, in which database.
///
/// Serves `DELETE /learnings/{learning_id}` of the Agno API on the databases of an AgentOS. Every decision is made by a
/// policy: a WebAssembly component that can only identify the caller, and read or delete the one record that the request
/// names.
#[derive(Parser)]
#[command(name = "delete-learning", version, after_help = "Start with `delete-learning demo`.")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Sends one request for every rule to a real server on temporary databases; leaves nothing behind
    ///
    /// Starts a server on a free port with two databases in a temporary directory, sends it one request for every answer
    /// that the endpoint documents, and prints request, answer and the rule that decided. Exits with 1 if an answer is
    /// not the documented one.
    Demo,
    /// Compares a policy or a guard with the default policy, case by case
    ///
    /// Prints what the component imports, why it cannot be loaded if it cannot, and in which of the conformance cases it
    /// is stricter or laxer than the default policy. Each case with a caller is also run with other records: absent, of
    /// another owner, without an owner, held, new, and at night. A guard is run between the default policy and the
    /// records. Calls to the host do not matter unless --strict-calls is given.
    #[command(after_long_help = EXIT_CODES)]
    Check(CheckArguments),
    /// Keys, verification, receipts and erasure of the audit log
    ///
    /// The server writes an audit log if the configuration has `[audit]`. These commands read it, also while the server runs.
    #[command(subcommand)]
    Audit(audit::AuditCommand),
    /// Prints a configuration file with every key and its default
    ExampleConfig,
    /// Creates a crate for a policy or a guard, with an example rule, its tests, and the commands to build and serve it
    ///
    /// The crate contains everything of this project that it needs, so it can be anywhere. `component-builder` builds it.
    New {
        /// The name of the crate and of its directory, which must not exist
        #[arg(value_name = "NAME")]
        name: String,
        /// Create a guard, which stands between a policy and the storage, and can only retain records
        #[arg(long)]
        guard: bool,
    },
    /// Serves the endpoint until Ctrl-C or SIGTERM
    ///
    /// Prints `listening on http://ADDRESS` once it accepts connections. The log goes to standard error. An invalid
    /// configuration is refused with file, line, key and reason. SIGHUP reads the configuration again, and loads its policy and its
    /// guards.
    #[command(after_long_help = EXAMPLE)]
    Serve {
        /// The configuration, a TOML file. Without it, the configuration is that of the environment
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
        /// Validates the configuration and prints it, without serving
        ///
        /// Prints every key with the value that applies and where it comes from: a line of the file, an environment variable, or
        /// the default. Secrets are masked. Then does what a start does without changing anything: loads the policy and the guards,
        /// and reads the keys, the key set and the certificates. Does not connect to the databases or to jwks_url, does not listen,
        /// and creates nothing. Exits with 0, or with 1 and the error of the start.
        #[arg(long)]
        check: bool,
        /// How --check prints the configuration
        #[arg(long, value_enum, default_value_t, requires = "check")]
        format: CheckConfigFormat,
    },
    /// Asks a running server for its health, and prints the answer
    ///
    /// For a machine without another HTTP client, such as a container. Exits with 0 if the server answers 200 within five
    /// seconds, and with 1 otherwise.
    Health {
        /// The URL to ask
        #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:7777/health")]
        url: String,
    },
    /// Prints the completions of this command line for a shell
    ///
    /// For bash: `delete-learning completions bash > ~/.local/share/bash-completion/completions/delete-learning`
    Completions {
        /// The shell
        #[arg(value_name = "SHELL")]
        shell: Shell,
    },
    /// Writes the manual pages of this command line
    #[command(hide = true)]
    Manual {
        /// The date of the pages
        #[arg(long, value_name = "YYYY-MM-DD")]
        date: String,
        /// The directory to write to, which exists
        #[arg(value_name = "DIRECTORY")]
        directory: PathBuf,
    },
}

const EXAMPLE: &str = r#"The smallest FILE:

  [[databases]]
  id = "main"
  url = "sqlite:agno.db"              # the database of your AgentOS, which exists

  [auth]
  mode = "jwt"                        # or "security-key", or "none"

  [auth.jwt]
  algorithm = "HS256"                 # default RS256
  verification_keys = ["a shared secret of at least 32 bytes"]

`delete-learning example-config` prints every key. Each can also be set in the environment, which replaces the file's value:
DELETE_LEARNING_, then section and key in upper case with two underscores between them, and the index of an element of an array.

  DELETE_LEARNING_SERVER__LISTEN=0.0.0.0:7777
  DELETE_LEARNING_DATABASES__0__URL=sqlite:agno.db
  DELETE_LEARNING_AUTH__JWT__AUDIENCE='["my-os", "other-os"]'     # or …__AUDIENCE__0=my-os

Each secret can also be in a file, which a second key names (security_key_file, verification_key_files, url_file,
password_file). OS_SECURITY_KEY, JWT_VERIFICATION_KEY, JWT_JWKS_FILE and JWT_JWKS are read too, as by an AgentOS."#;

/// Runs the command of the process's arguments.
pub(crate) fn run() -> ExitCode {
    let arguments = Arguments::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return print_error(&error),
    };
    let result = match arguments.command {
        Command::Demo => runtime.block_on(demo::demo()),
        Command::Check(arguments) => runtime.block_on(check::check(&arguments)),
        Command::Audit(command) => audit::run(command),
        Command::ExampleConfig => example_config(),
        Command::New { name, guard } => new::new(&name, if guard { new::Kind::Guard } else { new::Kind::Policy }),
        Command::Serve { config, check: true, format } => check_config::check_config(config.as_deref(), format),
        Command::Serve { config, check: false, .. } => runtime.block_on(serve::serve(config.as_deref())),
        Command::Health { url } => health::health(&url),
        Command::Completions { shell } => generate::completions(Arguments::command(), shell),
        Command::Manual { date, directory } => generate::manual(Arguments::command(), &date, &directory),
    };
    // The shutdown timeout has passed for what still runs; a thread that hangs on a disk must not keep the process alive.
    runtime.shutdown_background();
    result.unwrap_or_else(|error| print_error(error.as_ref()))
}

fn example_config() -> CommandResult {
    std::io::stdout().write_all(include_bytes!("../../delete-learning.example.toml"))?;
    Ok(ExitCode::SUCCESS)
}

fn print_error(error: &dyn Error) -> ExitCode {
    let _ = writeln!(std::io::stderr(), "delete-learning: {error}");
    ExitCode::FAILURE
}
