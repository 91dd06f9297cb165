//! `delete-learning health`.

use super::CommandResult;
use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

/// Time for the whole request.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Asks a server for its health, and prints the answer.
pub(super) fn health(url: &str) -> CommandResult {
    // A server on this machine is not behind the proxy of the environment.
    let config = ureq::Agent::config_builder().proxy(None).http_status_as_error(false).timeout_global(Some(TIMEOUT));
    let agent: ureq::Agent = config.build().into();
    let mut response = agent.get(url).call().map_err(|error| format!("{url}: {error}"))?;
    writeln!(std::io::stdout(), "{}", response.body_mut().read_to_string()?)?;
    match response.status().as_u16() {
        200 => Ok(ExitCode::SUCCESS),
        status => Err(format!("{url}: the server answers {status}").into()),
    }
}
