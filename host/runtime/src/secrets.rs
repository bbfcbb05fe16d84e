//! Secrets of one plugin: its configuration holds placeholders, and the value takes their place only in the headers of a
//! request that the host sends to a granted destination. No guest ever sees one.

use std::{collections::BTreeMap, fmt};
use tandem_domain::{Failure, FailureCode};

/// How a placeholder begins: `${secret.NAME}`.
const OPENS: &str = "${secret.";
/// How it ends.
const CLOSES: char = '}';

/// Values by name. Shown by their names alone.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secrets(BTreeMap<String, String>);

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl FromIterator<(String, String)> for Secrets {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(pairs: I) -> Self {
        Self(pairs.into_iter().collect())
    }
}

impl Secrets {
    /// The value of a header with all placeholders replaced; bytes that are no text have none.
    ///
    /// # Errors
    /// [`FailureCode::Misconfigured`] for a name that the operator did not give this plugin.
    pub(crate) fn fill(&self, header: &[u8]) -> Result<Vec<u8>, Failure> {
        let Ok(mut rest) = std::str::from_utf8(header) else { return Ok(header.to_vec()) };
        let mut filled = String::with_capacity(rest.len());
        while let Some((before, placeholder)) = rest.split_once(OPENS) {
            let Some((name, after)) = placeholder.split_once(CLOSES) else { break };
            let value = self.0.get(name).ok_or_else(|| unknown(name))?;
            filled.extend([before, value.as_str()]);
            rest = after;
        }
        filled.push_str(rest);
        Ok(filled.into_bytes())
    }
}

fn unknown(name: &str) -> Failure {
    let name: String = name.chars().take(64).collect();
    Failure::lasting(
        FailureCode::Misconfigured,
        format!(
            "a header names the secret {name:?}, which this plugin was not given; add `secrets = {{ {name} = {{ file = \"…\" }} }}` \
             to its part of tandem.toml"
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secrets() -> Secrets {
        [("bmc".to_owned(), "aGVsbG8=".to_owned()), ("odd".to_owned(), "${secret.bmc}".to_owned())]
            .into_iter()
            .collect()
    }

    #[test]
    fn placeholders_are_replaced_once_and_the_rest_stays() {
        let fill = |header: &str| String::from_utf8(secrets().fill(header.as_bytes()).expect("known")).expect("text");
        assert_eq!(fill("Basic ${secret.bmc}"), "Basic aGVsbG8=");
        assert_eq!(fill("${secret.bmc},${secret.bmc};"), "aGVsbG8=,aGVsbG8=;");
        assert_eq!(fill("plain ${other} ${secret.open"), "plain ${other} ${secret.open");
        assert_eq!(fill("${secret.odd}"), "${secret.bmc}", "a value is not looked into");
        assert_eq!(secrets().fill(&[0xff, 0xfe]).expect("no text"), [0xff, 0xfe]);
    }

    #[test]
    fn an_unknown_name_is_told_and_no_value_ever() {
        let failure = secrets().fill(b"Bearer ${secret.idrac}").expect_err("not given");
        assert!(failure.message.contains("idrac") && !failure.message.contains("aGVsbG8="), "{failure}");
        assert!(!format!("{:?}", secrets()).contains("aGVsbG8="));
    }
}
