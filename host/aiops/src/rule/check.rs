//! Rules made ready: expressions that parse, templates that parse, and an identity that outlives the file's next version.

use super::{source::Nothing, template::Template};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use tandem_domain::rule::{Rule, RuleGroup, RuleKind, RuleProblem};
use tandem_query::{Engine, ErrorKind, QueryLimits};

/// A group whose rules can be evaluated.
#[derive(Debug, Clone)]
pub struct CheckedGroup {
    /// The file it comes from.
    pub file: String,
    /// As written.
    pub group: RuleGroup,
    /// Its rules in order.
    pub rules: Vec<CheckedRule>,
}

/// A rule that can be evaluated.
#[derive(Debug, Clone)]
pub struct CheckedRule {
    /// Its identity: file, group, name and labels, whatever its expression.
    pub id: String,
    /// As written.
    pub rule: Rule,
    /// Templates of its labels; of an alerting rule.
    pub(super) labels: Vec<(String, Template)>,
    /// Templates of its annotations.
    pub(super) annotations: Vec<(String, Template)>,
}

/// Checks the groups of a file.
///
/// # Errors
/// Everything that is wrong; nothing of the file is to be used then.
pub fn check(file: &str, groups: Vec<RuleGroup>) -> Result<Vec<CheckedGroup>, Vec<RuleProblem>> {
    let mut problems = Vec::new();
    let mut checked = Vec::with_capacity(groups.len());
    for group in groups {
        let mut met: BTreeMap<String, u32> = BTreeMap::new();
        let mut rules = Vec::with_capacity(group.rules.len());
        for rule in &group.rules {
            let mut problem = |problem: String| {
                let (group, name) = (Some(group.name.clone()), Some(rule.name.clone()));
                problems.push(RuleProblem { line: Some(rule.line), group, rule: name, problem });
            };
            if let Err(error) = expression(&rule.expr) {
                problem(format!("could not parse expression: {error}"));
            }
            let (labels, annotations) = templates(rule, &mut problem);
            let occurrence = met.entry(identity(file, &group.name, rule, 0)).or_default();
            let id = identity(file, &group.name, rule, *occurrence);
            *occurrence += 1;
            rules.push(CheckedRule { id, rule: rule.clone(), labels, annotations });
        }
        checked.push(CheckedGroup { file: file.to_owned(), group, rules });
    }
    if problems.is_empty() { Ok(checked) } else { Err(problems) }
}

/// Evaluates an expression over nothing: what is wrong with the expression itself shows then.
fn expression(text: &str) -> Result<(), String> {
    match Engine::new(&Nothing, QueryLimits::default()).instant(text, 0) {
        Err(error) if error.kind == ErrorKind::BadData => Err(error.message),
        _ => Ok(()),
    }
}

type Templates = Vec<(String, Template)>;

fn templates(rule: &Rule, problem: &mut impl FnMut(String)) -> (Templates, Templates) {
    let RuleKind::Alerting { annotations, .. } = &rule.kind else { return (Vec::new(), Vec::new()) };
    let mut parsed = |what: &str, texts: &BTreeMap<String, String>| {
        let mut all = Vec::with_capacity(texts.len());
        for (name, text) in texts {
            match Template::parse(text) {
                Ok(template) => all.push((name.clone(), template)),
                Err(error) => problem(format!("{what} {name:?}: {error}")),
            }
        }
        all
    };
    (parsed("label", &rule.labels), parsed("annotation", annotations))
}

/// What makes a rule the same one in the next version of its file; `occurrence` tells apart those that are alike.
fn identity(file: &str, group: &str, rule: &Rule, occurrence: u32) -> String {
    let mut hash = Sha256::new();
    let mut add = |text: &str| {
        hash.update((text.len() as u64).to_be_bytes());
        hash.update(text);
    };
    for text in [file, group, if rule.is_alerting() { "alert" } else { "record" }, &rule.name, &occurrence.to_string()]
    {
        add(text);
    }
    for (name, value) in &rule.labels {
        add(name);
        add(value);
    }
    hex::encode(hash.finalize())
}
