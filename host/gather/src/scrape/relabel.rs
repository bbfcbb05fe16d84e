//! Rules that choose targets and series by their labels and rewrite these, as Prometheus' `relabel_configs` do: the same keys,
//! actions and defaults, expressions anchored at both ends.

use super::label_map::LabelMap;
use md5::{Digest, Md5};
use regex::Regex;
use serde::Deserialize;

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
pub(crate) struct Relabeling(Vec<Rule>);

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
        let regex = Regex::new(&format!("^(?s:{written})$")).map_err(|error| match error {
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
    pub(crate) fn compile(key: &str, configs: &[RelabelConfig]) -> Result<Self, String> {
        let rules = configs.iter().enumerate();
        let rules = rules.map(|(index, config)| config.rule().map_err(|problem| format!("{key}.{index}: {problem}")));
        Ok(Self(rules.collect::<Result<_, _>>()?))
    }

    /// Applies the rules; whether what bears the labels is kept.
    pub(crate) fn apply(&self, labels: &mut LabelMap) -> bool {
        self.0.iter().all(|rule| rule.apply(labels))
    }
}

impl Rule {
    fn apply(&self, labels: &mut LabelMap) -> bool {
        let value = self.joined(labels);
        match self.action {
            Action::Keep => return self.regex.is_match(&value),
            Action::Drop => return !self.regex.is_match(&value),
            Action::KeepEqual => return labels.get(&self.target_label) == value,
            Action::DropEqual => return labels.get(&self.target_label) != value,
            Action::Replace => self.replace(&value, labels),
            Action::HashMod => labels.set(&self.target_label, &self.hash(&value).to_string()),
            Action::Lowercase => labels.set(&self.target_label, &value.to_lowercase()),
            Action::Uppercase => labels.set(&self.target_label, &value.to_uppercase()),
            Action::LabelMap => {
                let fitting = labels.iter().filter(|(name, _)| self.regex.is_match(name));
                let copies: Vec<(String, String)> = fitting
                    .map(|(name, value)| {
                        (self.regex.replace_all(name, self.replacement.as_str()).into_owned(), value.to_owned())
                    })
                    .collect();
                copies.iter().for_each(|(name, value)| labels.set(name, value));
            }
            Action::LabelDrop => labels.retain(|name| !self.regex.is_match(name)),
            Action::LabelKeep => labels.retain(|name| self.regex.is_match(name)),
        }
        true
    }

    fn joined(&self, labels: &LabelMap) -> String {
        let mut joined = String::new();
        for (index, name) in self.source_labels.iter().enumerate() {
            if index > 0 {
                joined.push_str(&self.separator);
            }
            joined.push_str(labels.get(name));
        }
        joined
    }

    fn replace(&self, value: &str, labels: &mut LabelMap) {
        let Some(groups) = self.regex.captures(value) else { return };
        let (mut target, mut text) = (String::new(), String::new());
        groups.expand(&self.target_label, &mut target);
        groups.expand(&self.replacement, &mut text);
        if !target.is_empty() {
            labels.set(&target, &text);
        }
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
mod tests {
    use super::*;

    fn rules(json: &str) -> Result<Relabeling, String> {
        let configs: Vec<RelabelConfig> = serde_json::from_str(json).map_err(|error| error.to_string())?;
        Relabeling::compile("relabel_configs", &configs)
    }

    /// The labels after the rules, or none when what bears them was let go.
    fn after(json: &str, labels: &[(&str, &str)]) -> Option<Vec<String>> {
        let mut labels: LabelMap = labels.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        let kept = rules(json).expect("rules").apply(&mut labels);
        kept.then(|| labels.iter().map(|(name, value)| format!("{name}={value}")).collect())
    }

    fn told(labels: &[&str]) -> Option<Vec<String>> {
        Some(labels.iter().map(|label| (*label).to_owned()).collect())
    }

    // The cases follow the behaviour that Prometheus documents, and were compared with its 2.42 (tests/tests/scraping.rs).
    #[test]
    fn replace_sets_by_groups_where_the_whole_value_fits() {
        let abc = [("a", "foo"), ("b", "bar"), ("c", "baz")];
        let rule = r#"[{"source_labels": ["a"], "regex": "f(.*)", "target_label": "d", "replacement": "ch${1}-ch$1"}]"#;
        assert_eq!(after(rule, &abc), told(&["a=foo", "b=bar", "c=baz", "d=choo-choo"]));
        let rule = r#"[{"source_labels": ["a", "b"], "regex": "f(.*);(.*)r", "target_label": "a", "replacement": "b${1}${2}m"}]"#;
        assert_eq!(after(rule, &abc), told(&["a=boobam", "b=bar", "c=baz"]));
        let partly = r#"[{"source_labels": ["a"], "regex": "fo", "target_label": "d", "replacement": "x"}]"#;
        assert_eq!(after(partly, &abc), told(&["a=foo", "b=bar", "c=baz"]), "it is anchored");
        let alternatives = r#"[{"source_labels": ["a"], "regex": "f|o", "target_label": "d", "replacement": "x"}]"#;
        assert_eq!(after(alternatives, &abc), told(&["a=foo", "b=bar", "c=baz"]), "each alternative is anchored");
        let empty = r#"[{"source_labels": ["missing"], "target_label": "a"}]"#;
        assert_eq!(after(empty, &abc), told(&["b=bar", "c=baz"]), "an empty value removes the label");
        let constant = r#"[{"target_label": "d", "replacement": "always"}]"#;
        assert_eq!(after(constant, &abc), told(&["a=foo", "b=bar", "c=baz", "d=always"]));
        let computed =
            r#"[{"source_labels": ["a"], "regex": "(f)(.*)", "target_label": "${1}_label", "replacement": "$2"}]"#;
        assert_eq!(after(computed, &abc), told(&["a=foo", "b=bar", "c=baz", "f_label=oo"]));
        let unknown = r#"[{"source_labels": ["a"], "regex": "f.*", "target_label": "d", "replacement": "x${3}$$y"}]"#;
        assert_eq!(after(unknown, &abc), told(&["a=foo", "b=bar", "c=baz", "d=x$y"]));
    }

    #[test]
    fn keep_and_drop_choose() {
        let a = [("a", "foo"), ("b", "foo"), ("c", "other")];
        let kept = |rule: &str| after(rule, &a).is_some();
        assert!(kept(r#"[{"source_labels": ["a"], "regex": "fo+", "action": "keep"}]"#));
        assert!(!kept(r#"[{"source_labels": ["a"], "regex": "o+", "action": "keep"}]"#));
        assert!(!kept(r#"[{"source_labels": ["a"], "regex": ".*o.*", "action": "drop"}]"#));
        assert!(kept(r#"[{"source_labels": ["a"], "regex": "bar", "action": "drop"}]"#));
        assert!(kept(r#"[{"source_labels": ["a"], "target_label": "b", "action": "keepequal"}]"#));
        assert!(!kept(r#"[{"source_labels": ["a"], "target_label": "c", "action": "keepequal"}]"#));
        assert!(!kept(r#"[{"source_labels": ["a"], "target_label": "b", "action": "dropequal"}]"#));
        assert!(kept(r#"[{"source_labels": ["a"], "target_label": "c", "action": "dropequal"}]"#));
    }

    #[test]
    fn names_are_mapped_dropped_and_kept() {
        let labels = [("__meta_x_a", "1"), ("__meta_x_b", "2"), ("c", "3")];
        let map = r#"[{"regex": "__meta_x_(.+)", "action": "labelmap"}]"#;
        assert_eq!(after(map, &labels), told(&["__meta_x_a=1", "__meta_x_b=2", "a=1", "b=2", "c=3"]));
        let drop = r#"[{"regex": "__meta_.*", "action": "labeldrop"}]"#;
        assert_eq!(after(drop, &labels), told(&["c=3"]));
        let keep = r#"[{"regex": "c|__meta_x_a", "action": "labelkeep"}]"#;
        assert_eq!(after(keep, &labels), told(&["__meta_x_a=1", "c=3"]));
    }

    #[test]
    fn case_and_hash_are_made_of_the_joined_value() {
        let labels = [("a", "FoO"), ("b", "Bar")];
        let lower = r#"[{"source_labels": ["a", "b"], "target_label": "l", "action": "lowercase"}]"#;
        assert_eq!(after(lower, &labels), told(&["a=FoO", "b=Bar", "l=foo;bar"]));
        let upper = r#"[{"source_labels": ["a"], "target_label": "u", "action": "uppercase"}]"#;
        assert_eq!(after(upper, &labels), told(&["a=FoO", "b=Bar", "u=FOO"]));
        // md5("baz") = 73feffa4b7f6bb68e44cf984c85f6e88; its last eight bytes modulo 1000 are 976.
        let hash = r#"[{"source_labels": ["c"], "target_label": "d", "action": "hashmod", "modulus": 1000}]"#;
        assert_eq!(after(hash, &[("c", "baz")]), told(&["c=baz", "d=976"]));
    }

    #[test]
    fn rules_that_cannot_be_meant_are_named() {
        for (rule, part) in [
            (r#"[{"action": "replace"}]"#, "relabel_configs.0: action replace needs a target_label"),
            (r#"[{"action": "hashmod", "target_label": "a"}]"#, "modulus above 0"),
            (r#"[{"target_label": "a", "regex": "("}]"#, "regex \"(\" is none"),
            (r#"[{"action": "labeldrop", "regex": "a", "source_labels": ["b"]}]"#, "takes a regex only"),
            (r#"[{"action": "keepequal", "target_label": "a", "regex": "x"}]"#, "source_labels and target_label only"),
            (r#"[{"action": "labelmap", "replacement": ""}]"#, "replacement"),
            (r#"[{"action": "keepit"}]"#, "unknown variant"),
            (r#"[{"target": "a"}]"#, "unknown field"),
        ] {
            let said = rules(rule).expect_err(rule);
            assert!(said.contains(part), "{said}");
        }
    }
}
