//! The arguments of `delete-learning check`.

use std::path::PathBuf;

/// The help text after the options.
pub(in crate::cli) const EXIT_CODES: &str = "\
Exit codes:
  0  Every case is in the group `same`, and every case of --cases passed
  1  A component cannot be loaded or violates the contract or a limit, a case of --cases failed, or, with --strict-calls,
     the calls differ
  2  The arguments are invalid
  3  Stricter: it retains records that the default policy deletes
  4  Laxer: it deletes records that the default policy retains, or distinguishes records that the default policy answers
     alike";

#[derive(clap::Args)]
pub(in crate::cli) struct CheckArguments {
    /// The component, a `.wasm` file: a policy or a guard. Without it, the policy and the guards of --config are checked
    #[arg(value_name = "COMPONENT", required_unless_present = "config")]
    pub(super) component: Option<PathBuf>,
    /// The configuration whose limits apply, and, if it contains the component, its grants, settings and pin
    #[arg(long, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    /// A directory with case files of your own (`tests/conformance/README.md`). What they expect counts for them
    #[arg(long, value_name = "DIR")]
    pub(super) cases: Option<PathBuf>,
    /// Prints each call and its result in one case, instead of the report
    #[arg(long, value_name = "CASE", conflicts_with = "format")]
    pub(super) explain: Option<String>,
    /// Compares the calls to the host too
    #[arg(long)]
    pub(super) strict_calls: bool,
    /// How to print the report
    #[arg(long, value_enum, default_value_t)]
    pub(super) format: CheckFormat,
}

/// The format of the report.
#[derive(Clone, Copy, Default, clap::ValueEnum)]
pub(super) enum CheckFormat {
    /// Text for people
    #[default]
    Table,
    /// One JSON object, with the result of every case
    Json,
    /// One JSON object on a line for every case, as the hosts in other languages print them, and nothing else
    Jsonl,
}
