//! Rule files: found, read and checked here, evaluated in their room. A file is taken as a whole or not at all.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};
use tandem_aiops::rule::{CheckedGroup, RuleFeed, RulesConfig, check};
use tandem_api::{ReloadedRules, RuleSource};
use tandem_domain::rule::RuleProblem;
use tandem_wire::rule_file;
use tokio::sync::watch;

/// Rule files at the most: each is looked at at every reload.
const MAX_FILES: usize = 10_000;

/// A rule file that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", told(file, problems))]
pub struct BadRuleFile {
    /// Which file.
    pub file: String,
    /// Everything that is wrong with it.
    pub problems: Vec<RuleProblem>,
}

/// One line for each problem: file, line, group, rule, reason.
fn told(file: &str, problems: &[RuleProblem]) -> String {
    let one = |problem: &RuleProblem| match problem.line {
        Some(_) => format!("{file}:{problem}"),
        None => format!("{file}: {problem}"),
    };
    problems.iter().map(one).collect::<Vec<String>>().join("\n")
}

fn of_file(file: &str, problem: String) -> BadRuleFile {
    let problem = RuleProblem { line: None, group: None, rule: None, problem };
    BadRuleFile { file: file.to_owned(), problems: vec![problem] }
}

/// Checks the text of a rule file.
///
/// # Errors
/// Everything that is wrong with it.
pub fn check_text(file: &str, text: &str) -> Result<Vec<CheckedGroup>, BadRuleFile> {
    let bad = |problems| BadRuleFile { file: file.to_owned(), problems };
    check(file, rule_file::read(text).map_err(bad)?).map_err(bad)
}

/// Reads and checks one rule file.
///
/// # Errors
/// When it cannot be read, or what is wrong with it.
pub fn check_file(path: &Path) -> Result<Vec<CheckedGroup>, BadRuleFile> {
    let file = path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(|error| of_file(&file, format!("cannot be read: {error}")))?;
    check_text(&file, &text)
}

/// The files that patterns name, each once and in order. A name without a pattern must be there.
fn files(patterns: &[String]) -> Result<Vec<PathBuf>, BadRuleFile> {
    let mut files = Vec::new();
    for pattern in patterns {
        let found =
            glob::glob(pattern).map_err(|error| of_file(pattern, format!("is no pattern of files: {error}")))?;
        let mut found: Vec<PathBuf> = found.filter_map(Result::ok).filter(|path| path.is_file()).collect();
        if found.is_empty() && !pattern.contains(['*', '?', '[']) {
            return Err(of_file(pattern, "there is no such file; give the right path in rules.files".into()));
        }
        found.retain(|path| !files.contains(path));
        files.append(&mut found);
        if files.len() > MAX_FILES {
            return Err(of_file(pattern, format!("there are more than {MAX_FILES} rule files")));
        }
    }
    Ok(files)
}

/// The rules of all files, and the files that cannot be used.
type Loaded = (BTreeMap<String, Vec<CheckedGroup>>, Vec<BadRuleFile>);

fn load(config: &RulesConfig) -> Loaded {
    let (mut good, mut bad) = (BTreeMap::new(), Vec::new());
    match files(&config.files) {
        Err(error) => bad.push(error),
        Ok(files) => {
            for path in files {
                match check_file(&path) {
                    Ok(groups) => drop(good.insert(path.display().to_string(), groups)),
                    Err(error) => bad.push(error),
                }
            }
        }
    }
    (good, bad)
}

/// Reads the rule files that a configuration names.
///
/// # Errors
/// The files that cannot be used.
pub fn load_all(config: &RulesConfig) -> Result<Vec<CheckedGroup>, Vec<BadRuleFile>> {
    let (good, bad) = load(config);
    if bad.is_empty() { Ok(good.into_values().flatten().collect()) } else { Err(bad) }
}

/// Keeps the rule room's rules those of the files.
pub struct RuleFiles {
    config: RulesConfig,
    running: BTreeMap<String, Vec<CheckedGroup>>,
    sender: watch::Sender<Arc<Vec<CheckedGroup>>>,
}

/// The rule files, for all who may have them read again.
pub struct SharedRuleFiles(Mutex<RuleFiles>);

impl SharedRuleFiles {
    /// Shared from now on.
    pub fn new(files: RuleFiles) -> Self {
        Self(Mutex::new(files))
    }

    /// As [`RuleFiles::reload`], and says in the log what came of it.
    pub fn reload(&self) -> Reloaded {
        let reloaded = self.0.lock().unwrap_or_else(PoisonError::into_inner).reload();
        for bad in &reloaded.bad {
            tracing::error!("a rule file is left out, what was known of it goes on:\n{bad}");
        }
        tracing::info!(groups = reloaded.groups, "the rule files were read again");
        reloaded
    }
}

impl RuleSource for SharedRuleFiles {
    fn reload(&self) -> ReloadedRules {
        let Reloaded { groups, bad } = SharedRuleFiles::reload(self);
        ReloadedRules { groups, bad: bad.iter().map(ToString::to_string).collect() }
    }
}

/// What a reload came to.
#[derive(Debug)]
pub struct Reloaded {
    /// Groups that are evaluated from now on.
    pub groups: usize,
    /// Files that could not be used; what was known of them before goes on.
    pub bad: Vec<BadRuleFile>,
}

impl RuleFiles {
    /// Reads the files for the first time.
    ///
    /// # Errors
    /// The files that cannot be used; a server does not start with half of its alerts.
    pub fn open(config: RulesConfig) -> Result<(Self, RuleFeed), Vec<BadRuleFile>> {
        let (running, bad) = load(&config);
        if !bad.is_empty() {
            return Err(bad);
        }
        let (sender, feed) = RuleFeed::new(running.values().flatten().cloned().collect());
        Ok((Self { config, running, sender }, feed))
    }

    /// Reads the files again. One that cannot be used any more goes on as it was.
    pub fn reload(&mut self) -> Reloaded {
        let (mut good, bad) = load(&self.config);
        for error in &bad {
            if let Some(groups) = self.running.get(&error.file) {
                good.insert(error.file.clone(), groups.clone());
            }
        }
        self.running = good;
        let groups: Vec<CheckedGroup> = self.running.values().flatten().cloned().collect();
        let count = groups.len();
        // Nobody is left to evaluate them at a shutdown.
        self.sender.send_replace(Arc::new(groups));
        Reloaded { groups: count, bad }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "groups:\n- name: g\n  rules:\n  - alert: A\n    expr: up == 0\n";
    const BAD: &str = "groups:\n- name: g\n  rules:\n  - alert: A\n    expr: up ==\n";

    #[test]
    fn a_bad_file_stops_a_start_and_keeps_its_old_rules_on_a_reload() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = |name: &str| folder.path().join(name);
        let write = |name: &str, text: &str| std::fs::write(path(name), text).expect("written");
        let config = RulesConfig { files: vec!["*.yml".into()], ..RulesConfig::default() }.beside(folder.path());
        write("a.yml", GOOD);
        write("b.yml", BAD);
        let Err(bad) = RuleFiles::open(config.clone()) else { panic!("it started with a bad file") };
        let said = bad[0].to_string();
        assert!(said.contains("b.yml:4: group \"g\": rule \"A\": could not parse expression"), "{said}");
        write("b.yml", &GOOD.replace("name: g", "name: other"));
        let (mut files, _feed) = RuleFiles::open(config).map_err(|bad| bad[0].clone()).expect("good files");
        write("b.yml", BAD);
        write("c.yml", &GOOD.replace("name: g", "name: third"));
        let reloaded = files.reload();
        assert_eq!((reloaded.groups, reloaded.bad.len()), (3, 1), "the old b and the new c");
        std::fs::remove_file(path("b.yml")).expect("removed");
        assert_eq!(files.reload().groups, 2);
    }

    #[test]
    fn a_file_that_is_named_must_be_there() {
        let config = RulesConfig { files: vec!["/nonexistent/rules.yml".into()], ..RulesConfig::default() };
        assert!(load_all(&config).unwrap_err()[0].to_string().contains("no such file"));
        let config = RulesConfig { files: vec!["/nonexistent/*.yml".into()], ..RulesConfig::default() };
        assert_eq!(load_all(&config).map(|groups| groups.len()), Ok(0));
    }
}
