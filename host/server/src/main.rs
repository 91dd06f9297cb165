//! The program `delete-learning`.

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::run()
}
