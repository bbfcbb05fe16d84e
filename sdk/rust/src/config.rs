//! The plugin's configuration, from the JSON that the host passes.

use crate::types::Failure;
use serde::de::DeserializeOwned;

/// An empty text and an object without keys give the defaults.
pub(crate) fn parse<T: DeserializeOwned + Default>(config: &str) -> Result<T, Failure> {
    let text = config.trim();
    if text.is_empty()
        || text.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).is_some_and(|inner| inner.trim().is_empty())
    {
        return Ok(T::default());
    }
    serde_json::from_str(text).map_err(|error| {
        let why = format!("the plugin's configuration does not fit: {error}; correct `config` in tandem.toml");
        Failure::misconfigured(why)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::FailureCode;

    #[derive(serde::Deserialize, Debug)]
    #[serde(default, deny_unknown_fields)]
    struct Config {
        window: u32,
    }

    impl Default for Config {
        fn default() -> Self {
            Self { window: 30 }
        }
    }

    #[test]
    fn an_empty_text_gives_the_defaults() {
        assert_eq!(parse::<Config>("").expect("empty is fine").window, 30);
        assert_eq!(parse::<Config>("{ }").expect("no keys are fine").window, 30);
        parse::<()>("{}").expect("a plugin without configuration");
        assert_eq!(parse::<Config>(r#"{"window": 5}"#).expect("one key").window, 5);
    }

    #[test]
    fn a_wrong_configuration_is_the_persons_to_mend() {
        let failure = parse::<Config>(r#"{"windw": 5}"#).expect_err("a misspelt key");
        assert_eq!(failure.code, FailureCode::Misconfigured);
        assert!(!failure.retry && failure.message.contains("windw"), "{}", failure.message);
    }
}
