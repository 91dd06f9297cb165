//! The case files of `--cases`, and cases by name.

use delete_learning::conformance::{Case, parse};
use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

/// Reads the case files of a directory, sorted by name.
///
/// # Errors
/// A directory without case files, a file that does not have the format, or a name that is used twice.
pub(super) fn read_cases(directory: &Path, bundled: &[Case]) -> Result<Vec<Case>, Box<dyn Error>> {
    let cannot_read = |path: &Path, error: std::io::Error| format!("{}: {error}", path.display());
    let entries = fs::read_dir(directory).map_err(|error| cannot_read(directory, error))?;
    let paths: Result<Vec<PathBuf>, std::io::Error> = entries.map(|entry| Ok(entry?.path())).collect();
    let mut paths = paths.map_err(|error| cannot_read(directory, error))?;
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    paths.sort_unstable();
    if paths.is_empty() {
        return Err(format!("{}: contains no case files (*.json)", directory.display()).into());
    }
    let mut names: BTreeMap<String, String> =
        bundled.iter().map(|case| (case.name.clone(), "delete-learning itself".to_owned())).collect();
    let mut cases = Vec::new();
    for path in paths {
        let text = fs::read_to_string(&path).map_err(|error| cannot_read(&path, error))?;
        let file = path.display().to_string();
        for case in parse(&text).map_err(|error| format!("{file}: {error}"))? {
            if let Some(other) = names.insert(case.name.clone(), file.clone()) {
                return Err(format!("{file}: case {:?}: {other} has a case of this name too", case.name).into());
            }
            cases.push(case);
        }
    }
    Ok(cases)
}

/// Finds a case by name. The error suggests cases with similar names.
pub(super) fn find_case<'a>(name: &str, cases: &'a [Case]) -> Result<&'a Case, String> {
    if let Some(case) = cases.iter().find(|case| case.name == name) {
        return Ok(case);
    }
    let words: Vec<&str> = name.split(['-', ':']).collect();
    let shared = |case: &Case| case.name.split(['-', ':']).filter(|word| words.contains(word)).count();
    let mut near: Vec<(usize, &str)> = cases.iter().map(|case| (shared(case), case.name.as_str())).collect();
    near.sort_by_key(|(shared, name)| (std::cmp::Reverse(*shared), name.len()));
    let near: Vec<&str> = near.into_iter().filter(|(shared, _)| *shared > 0).map(|(_, name)| name).take(5).collect();
    let hint = if near.is_empty() { "--format json lists all names".to_owned() } else { near.join("\n  ") };
    Err(format!("no case has the name {name:?}; similar names:\n  {hint}"))
}
