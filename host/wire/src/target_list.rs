//! Lists of targets as Prometheus' `file_sd` and `http_sd` have them: `[{"targets": ["host:port"], "labels": {…}}]`, in JSON or
//! YAML.

use serde::Deserialize;
use std::collections::BTreeMap;

/// Targets that share labels.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListedGroup {
    /// Their addresses, `host:port`.
    pub targets: Vec<String>,
    /// Labels of all of them.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
}

/// Reads a list in JSON.
///
/// # Errors
/// When it is none, in words.
pub fn from_json(bytes: &[u8]) -> Result<Vec<ListedGroup>, String> {
    serde_json::from_slice(bytes).map_err(|error| format!("it is no list of target groups: {error}"))
}

/// Reads a list in YAML; an empty text lists nothing.
///
/// # Errors
/// As [`from_json`].
pub fn from_yaml(text: &str) -> Result<Vec<ListedGroup>, String> {
    if text.trim().is_empty() {
        return Ok(Vec::new());
    }
    serde_saphyr::from_str(text).map_err(|error| format!("it is no list of target groups: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_read_alike_in_json_and_yaml() {
        let json = from_json(br#"[{"targets": ["a:1", "b:2"], "labels": {"rack": "7"}}, {"targets": []}]"#);
        let yaml = from_yaml("- targets: ['a:1', 'b:2']\n  labels: { rack: '7' }\n- targets: []\n");
        let [one, other] = &*json.clone().expect("a list") else { panic!("{json:?}") };
        assert_eq!(
            (one.targets.as_slice(), one.labels["rack"].as_str()),
            (["a:1".into(), "b:2".into()].as_slice(), "7")
        );
        assert!(other.targets.is_empty() && other.labels.is_empty());
        assert_eq!(json, yaml);
        assert_eq!(from_yaml(" \n"), Ok(Vec::new()));
    }

    #[test]
    fn what_is_no_list_is_told_with_its_place() {
        let said = from_json(b"[{\"targets\": \"a\"}]").expect_err("a text is no list");
        assert!(said.contains("no list of target groups") && said.contains("line 1"), "{said}");
        let said = from_yaml("- targets: []\n  label: {}\n").expect_err("an unknown key");
        assert!(said.contains("label") && said.contains('2'), "{said}");
    }
}
