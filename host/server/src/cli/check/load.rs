//! Loads what is checked and the default policy. Each component is compiled once.

use super::subject::{Part, Subject};
use delete_learning::{Access, DEFAULT_POLICY, LoadError, Policy, Sandbox};
use std::error::Error;
use std::io::{self, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::{JoinError, spawn_blocking};
use tokio::time::timeout;

/// A compilation that takes longer is announced.
const SILENT: Duration = Duration::from_secs(1);

/// The policies that are compared.
pub(super) struct Loaded {
    /// The default policy alone.
    pub(super) default: Policy,
    /// What is checked: a policy, with its guards if it has any.
    pub(super) checked: Policy,
}

/// Loads what is checked, and then the default policy. Returns `None` if a component cannot be loaded; its report has the
/// reason.
///
/// # Errors
/// A sandbox that cannot be set up, or a default policy that exceeds the limits.
pub(super) async fn load(subject: &mut Subject) -> Result<Option<Loaded>, Box<dyn Error>> {
    if subject.parts().any(|part| part.report.reason.is_some()) {
        return Ok(None);
    }
    let sandbox = Sandbox::new(&subject.limits, None)?;
    let mut guards = Vec::new();
    for part in &mut subject.guards {
        let name = part.report.name.clone().unwrap_or_else(|| "guard".to_owned());
        let sandbox = sandbox.clone();
        match compile(part, move |bytes, access| sandbox.load_guard(&name, bytes, access)).await? {
            Some(guard) => guards.push(guard),
            None => return Ok(None),
        }
    }
    let mut policy = None;
    if let Some(part) = &mut subject.policy {
        let sandbox = sandbox.clone();
        policy = compile(part, move |bytes, access| sandbox.load_policy(bytes, access, Vec::new())).await?;
        if policy.is_none() {
            return Ok(None);
        }
    }
    let load_default = move || sandbox.load_policy(DEFAULT_POLICY, &Access::default(), Vec::new());
    let default = announce("the default policy", load_default)
        .await?
        .map_err(|error| format!("the default policy cannot be loaded under these limits: {error}"))?;
    let checked = policy.as_ref().unwrap_or(&default).with_guards(guards)?;
    Ok(Some(Loaded { default, checked }))
}

/// Compiles a component. Returns `None` if it cannot be loaded.
async fn compile<T: Send + 'static>(
    part: &mut Part,
    load: impl FnOnce(&[u8], &Access) -> Result<T, LoadError> + Send + 'static,
) -> Result<Option<T>, JoinError> {
    let start = Instant::now();
    let (bytes, access) = (Arc::<[u8]>::from(part.bytes.as_slice()), part.access.clone());
    match announce(&part.report.file, move || load(&bytes, &access)).await? {
        Ok(loaded) => {
            part.report.compile_ms = Some(start.elapsed().as_millis());
            Ok(Some(loaded))
        }
        Err(error) => {
            part.refuse(&error);
            Ok(None)
        }
    }
}

/// Compiles on a thread of its own, and prints that to standard error if it takes long.
async fn announce<T: Send + 'static>(
    name: &str,
    load: impl FnOnce() -> Result<T, LoadError> + Send + 'static,
) -> Result<Result<T, LoadError>, JoinError> {
    let mut task = spawn_blocking(load);
    match timeout(SILENT, &mut task).await {
        Ok(result) => result,
        Err(_) => {
            let _ = writeln!(io::stderr(), "compiling {name} ...");
            task.await
        }
    }
}
