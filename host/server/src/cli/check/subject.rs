//! What is checked: a component, or the policy and the guards of a configuration.

use delete_learning::{Access, Description, Digest, Limits, LoadError, ReadError, World, describe, read};
use delete_learning_server::config::GuardConfig;
use delete_learning_server::{Config, Environment};
use serde::Serialize;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

/// What is checked.
pub(super) struct Subject {
    pub(super) limits: Limits,
    /// Whose grants and settings apply, if a configuration was given.
    pub(super) access: Option<String>,
    /// The policy; `None` for the default policy.
    pub(super) policy: Option<Part>,
    /// The guards, outermost first.
    pub(super) guards: Vec<Part>,
}

/// A component that is checked.
pub(super) struct Part {
    pub(super) bytes: Vec<u8>,
    pub(super) access: Access,
    pub(super) report: ComponentReport,
}

/// The report on a component.
#[derive(Serialize)]
pub(super) struct ComponentReport {
    /// The name of a guard in a configuration.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) name: Option<String>,
    pub(super) file: String,
    /// Its world of the contract, as far as its exports show.
    pub(super) world: Option<&'static str>,
    pub(super) bytes: u64,
    pub(super) sha256: Option<String>,
    pub(super) imports: Vec<String>,
    pub(super) exports: Vec<String>,
    /// The imports that need a grant.
    pub(super) grants_needed: Vec<String>,
    /// Those of them that are granted.
    #[serde(skip)]
    pub(super) granted: Vec<String>,
    /// Why it cannot be loaded.
    pub(super) reason: Option<String>,
    pub(super) compile_ms: Option<u128>,
}

impl Subject {
    /// Reads the component, and what the configuration contains for it.
    ///
    /// # Errors
    /// A configuration that is invalid, or a file that cannot be read.
    pub(super) fn read(component: Option<&Path>, config: Option<&Path>) -> Result<Self, Box<dyn Error>> {
        let Some(file) = config else {
            let limits = Limits::default();
            let part = component.map(|file| Part::read(file, &limits, Access::default(), None, None)).transpose()?;
            return Ok(Self::new(limits, None, part));
        };
        let config = Config::read(file, &Environment::of_process())?;
        match component {
            Some(component) => Self::of_component(component, file, &config),
            None => Self::of_config(&config),
        }
    }

    /// One component: a policy, or a guard in front of the default policy.
    fn new(limits: Limits, access: Option<String>, part: Option<Part>) -> Self {
        let is_guard = part.as_ref().is_some_and(|part| part.report.world == Some(World::Guard.as_str()));
        let (policy, guards) = if is_guard { (None, part.into_iter().collect()) } else { (part, Vec::new()) };
        Self { limits, access, policy, guards }
    }

    fn of_component(component: &Path, file: &Path, config: &Config) -> Result<Self, Box<dyn Error>> {
        let limits = config.sandbox.clone();
        let canonical = fs::canonicalize(component).ok();
        let is_component = |path: &PathBuf| canonical.is_some() && fs::canonicalize(path).ok() == canonical;
        let guard = config.policy.guards.iter().enumerate().find(|(_, guard)| is_component(&guard.component));
        let (access, pin, key) = if let Some((index, guard)) = guard {
            (guard.access.clone(), guard.sha256, Some(format!("guards[{index}] ({})", guard.name)))
        } else if config.policy.component.as_ref().is_some_and(is_component) {
            (config.policy.access.clone(), config.policy.sha256, Some("policy".to_owned()))
        } else {
            (Access::default(), None, None)
        };
        let mut part = Part::read(component, &limits, access, pin, None)?;
        let file = file.display();
        let access = match key {
            Some(key) => format!("grants and settings of {key} in {file}"),
            None if part.report.world == Some(World::Guard.as_str()) => {
                format!("{file} does not contain this guard: it gets no grants and no settings")
            }
            None => {
                part.set_access(config.policy.access.clone());
                format!("{file} does not contain this policy: it gets the grants and settings of [policy]")
            }
        };
        Ok(Self::new(limits, Some(access), Some(part)))
    }

    fn of_config(config: &Config) -> Result<Self, Box<dyn Error>> {
        let limits = config.sandbox.clone();
        let policy = &config.policy;
        let read_guard = |guard: &GuardConfig| {
            Part::read(&guard.component, &limits, guard.access.clone(), guard.sha256, Some(guard.name.clone()))
        };
        let guards = policy.guards.iter().map(read_guard).collect::<Result<Vec<Part>, Box<dyn Error>>>()?;
        let read_policy = |file: &PathBuf| Part::read(file, &limits, policy.access.clone(), policy.sha256, None);
        let policy = policy.component.as_ref().map(read_policy).transpose()?;
        Ok(Self { limits, access: None, policy, guards })
    }

    /// The components, the policy first.
    pub(super) fn parts(&self) -> impl Iterator<Item = &Part> {
        self.policy.iter().chain(&self.guards)
    }
}

impl Part {
    /// Reads a component and describes it, without compiling it.
    fn read(
        file: &Path,
        limits: &Limits,
        access: Access,
        pin: Option<Digest>,
        name: Option<String>,
    ) -> Result<Self, Box<dyn Error>> {
        let mut report = ComponentReport {
            name,
            file: file.display().to_string(),
            world: None,
            bytes: file.metadata().map_or(0, |metadata| metadata.len()),
            sha256: None,
            imports: Vec::new(),
            exports: Vec::new(),
            grants_needed: Vec::new(),
            granted: Vec::new(),
            reason: None,
            compile_ms: None,
        };
        let bytes = match read(file, limits) {
            Ok(bytes) => bytes,
            Err(ReadError::Load(error)) => {
                report.reason = Some(error.to_string());
                return Ok(Self { bytes: Vec::new(), access, report });
            }
            Err(ReadError::Io(error)) => return Err(format!("{}: {error}", file.display()).into()),
        };
        let digest = Digest::of(&bytes);
        report.sha256 = Some(digest.to_string());
        match describe(&bytes, limits) {
            Ok(description) => report.describe(description),
            Err(error) => report.reason = Some(error.to_string()),
        }
        if let Some(pin) = pin.filter(|pin| *pin != digest) {
            report.reason = Some(format!("its SHA-256 is not the one that sha256 in the configuration pins: {pin}"));
        }
        let mut part = Self { bytes, access: Access::default(), report };
        part.set_access(access);
        Ok(part)
    }

    fn set_access(&mut self, access: Access) {
        let is_granted = |import: &&String| access.grants.contains(*import);
        self.report.granted = self.report.grants_needed.iter().filter(is_granted).cloned().collect();
        self.access = access;
    }

    /// Adds the reason why it cannot be loaded.
    pub(super) fn refuse(&mut self, error: &LoadError) {
        self.report.reason = Some(error.to_string());
    }
}

impl ComponentReport {
    fn describe(&mut self, description: Description) {
        self.world = description.world().map(World::as_str);
        self.grants_needed = description.grants_needed();
        self.imports = description.imports;
        self.exports = description.exports;
    }
}
