//! Rules that choose targets and series by their labels and rewrite these, as Prometheus' `relabel_configs` do: the same keys,
//! actions and defaults, expressions anchored at both ends.

mod label_map;

pub use label_map::LabelMap;

use md5::{Digest, Md5};
use regex::{Regex, RegexBuilder};
use serde::Deserialize;

/// Names and values that rules may let one set of labels grow to, in bytes: eight times what the longest series may have. A rule
/// that doubles a label needs but thirty of its kind to fill a machine's memory; who grows beyond is let go.
const MAX_BYTES: usize = 1 << 20;
/// What the program of one expression may take, in bytes; the largest lists of alternatives in use take a tenth.
const MAX_REGEX_BYTES: usize = 10 << 20;

/// What a rule does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// Sets `target_label` to `replacement` where the expression fits.
    #[default]
    Replace,
    /// Lets go what the expression does not fit.
    Keep,
    /// Lets go what the expression fits.
    Drop,
    /// Lets go what does not have the joined source labels as value of `target_label`.
    KeepEqual,
    /// Lets go what has the joined source labels as value of `target_label`.
    DropEqual,
    /// Sets `target_label` to a hash of the joined source labels, modulo `modulus`.
    HashMod,
    /// Copies each label whose name fits to the name that `replacement` makes of it.
    LabelMap,
    /// Removes labels whose names fit.
    LabelDrop,
    /// Removes labels whose names do not fit.
    LabelKeep,
    /// Sets `target_label` to the joined source labels in lower case.
    Lowercase,
    /// Sets `target_label` to the joined source labels in upper case.
    Uppercase,
}

/// One rule as configured.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RelabelConfig {
    /// Labels whose values are joined; none gives an empty text.
    pub source_labels: Vec<String>,
    /// Between the values; `;` when absent.
    pub separator: Option<String>,
    /// The label that is set, or compared with.
    pub target_label: Option<String>,
    /// Anchored at both ends; `(.*)` when absent.
    pub regex: Option<String>,
    /// Of `hashmod`.
    pub modulus: Option<u64>,
    /// May refer to groups of the expression, `$1` or `${1}`; `$1` when absent.
    pub replacement: Option<String>,
    /// `replace` when absent.
    pub action: Action,
}

/// One rule ready to be applied.
#[derive(Debug, Clone)]
struct Rule {
    action: Action,
    source_labels: Vec<String>,
    separator: String,
    target_label: String,
    regex: Regex,
    modulus: u64,
    replacement: String,
}

/// Rules in their order.
#[derive(Debug, Clone, Default)]
pub struct Relabeling(Vec<Rule>);

impl RelabelConfig {
    /// What makes a rule one that cannot be meant so.
    fn check(&self) -> Result<(), String> {
        use Action::{DropEqual, HashMod, KeepEqual, LabelDrop, LabelKeep, LabelMap, Lowercase, Replace, Uppercase};
        let target = self.target_label.as_deref().unwrap_or_default();
        let (action, needs_target) =
            (self.action, matches!(self.action, Replace | HashMod | Lowercase | Uppercase | KeepEqual | DropEqual));
        let named = format!("{action:?}").to_lowercase();
        if needs_target && target.is_empty() {
            return Err(format!("action {named} needs a target_label"));
        }
        if action == HashMod && self.modulus.is_none_or(|modulus| modulus == 0) {
            return Err("action hashmod needs a modulus above 0".into());
        }
        if action == LabelMap && self.replacement.as_deref() == Some("") {
            return Err("action labelmap needs a replacement that names labels, such as \"$1\"".into());
        }
        if matches!(action, KeepEqual | DropEqual)
            && (self.regex.is_some() || self.separator.is_some() || self.replacement.is_some())
        {
            return Err(format!("action {named} takes source_labels and target_label only"));
        }
        let by_name = matches!(action, LabelDrop | LabelKeep);
        if by_name && (!self.source_labels.is_empty() || self.replacement.is_some() || !target.is_empty()) {
            return Err(format!("action {named} takes a regex only"));
        }
        Ok(())
    }

    fn rule(&self) -> Result<Rule, String> {
        self.check()?;
        let written = self.regex.as_deref().unwrap_or("(.*)");
        let anchored = format!("^(?s:{written})$");
        let regex = RegexBuilder::new(&anchored).size_limit(MAX_REGEX_BYTES).build().map_err(|error| match error {
            regex::Error::CompiledTooBig(bytes) => format!("regex {written:?} takes more than {bytes} bytes"),
            _ => format!("regex {written:?} is none"),
        })?;
        Ok(Rule {
            action: self.action,
            source_labels: self.source_labels.clone(),
            separator: self.separator.clone().unwrap_or_else(|| ";".into()),
            target_label: self.target_label.clone().unwrap_or_default(),
            regex,
            modulus: self.modulus.unwrap_or(1),
            replacement: self.replacement.clone().unwrap_or_else(|| "$1".into()),
        })
    }
}

impl Relabeling {
    /// Compiles rules.
    ///
    /// # Errors
    /// Names the rule, counted from 0 under `key`, and what is wrong with it.
    pub fn compile(key: &str, configs: &[RelabelConfig]) -> Result<Self, String> {
        let rules = configs.iter().enumerate();
        let rules = rules.map(|(index, config)| config.rule().map_err(|problem| format!("{key}.{index}: {problem}")));
        Ok(Self(rules.collect::<Result<_, _>>()?))
    }

    /// Applies the rules; whether what bears the labels is kept. What they would let grow beyond 1 MiB is not.
    pub fn apply(&self, labels: &mut LabelMap) -> bool {
        self.0.iter().all(|rule| rule.apply(labels).unwrap_or(false))
    }
}

/// At the most so long is what a replacement makes of a text.
fn longest(replacement: &str, text: &str) -> usize {
    let references = replacement.bytes().filter(|byte| *byte == b'$').count();
    replacement.len().saturating_add(references.saturating_mul(text.len()))
}

impl Rule {
    /// Whether what bears the labels is kept; none when they would grow beyond the limit.
    fn apply(&self, labels: &mut LabelMap) -> Option<bool> {
        let value = self.joined(labels)?;
        match self.action {
            Action::Keep => return Some(self.regex.is_match(&value)),
            Action::Drop => return Some(!self.regex.is_match(&value)),
            Action::KeepEqual => return Some(labels.get(&self.target_label) == value),
            Action::DropEqual => return Some(labels.get(&self.target_label) != value),
            Action::Replace => self.replace(&value, labels)?,
            Action::HashMod => labels.set(&self.target_label, &self.hash(&value).to_string()),
            Action::Lowercase => labels.set(&self.target_label, &value.to_lowercase()),
            Action::Uppercase => labels.set(&self.target_label, &value.to_uppercase()),
            Action::LabelMap => self.copy(labels)?,
            Action::LabelDrop => labels.retain(|name| !self.regex.is_match(name)),
            Action::LabelKeep => labels.retain(|name| self.regex.is_match(name)),
        }
        (labels.bytes() <= MAX_BYTES).then_some(true)
    }

    fn joined(&self, labels: &LabelMap) -> Option<String> {
        let mut joined = String::new();
        for (index, name) in self.source_labels.iter().enumerate() {
            if index > 0 {
                joined.push_str(&self.separator);
            }
            joined.push_str(labels.get(name));
            if joined.len() > MAX_BYTES {
                return None;
            }
        }
        Some(joined)
    }

    fn replace(&self, value: &str, labels: &mut LabelMap) -> Option<()> {
        let Some(groups) = self.regex.captures(value) else { return Some(()) };
        if longest(&self.target_label, value).max(longest(&self.replacement, value)) > MAX_BYTES {
            return None;
        }
        let (mut target, mut text) = (String::new(), String::new());
        groups.expand(&self.target_label, &mut target);
        groups.expand(&self.replacement, &mut text);
        if !target.is_empty() {
            labels.set(&target, &text);
        }
        Some(())
    }

    /// Copies the labels whose names fit to the names that the replacement makes of theirs.
    fn copy(&self, labels: &mut LabelMap) -> Option<()> {
        let mut copies: Vec<(String, String)> = Vec::new();
        let mut bytes = labels.bytes();
        for (name, value) in labels.iter().filter(|(name, _)| self.regex.is_match(name)) {
            bytes += longest(&self.replacement, name) + value.len();
            if bytes > MAX_BYTES {
                return None;
            }
            copies.push((self.regex.replace_all(name, self.replacement.as_str()).into_owned(), value.to_owned()));
        }
        copies.iter().for_each(|(name, value)| labels.set(name, value));
        Some(())
    }

    /// The last eight bytes of an MD5, as Prometheus takes them, so that shards of both agree.
    fn hash(&self, value: &str) -> u64 {
        let digest: [u8; 16] = Md5::digest(value.as_bytes()).into();
        let mut last = [0; 8];
        last.copy_from_slice(&digest[8..]);
        u64::from_be_bytes(last) % self.modulus
    }
}

#[cfg(test)]
mod tests;
