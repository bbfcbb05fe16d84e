//! What a plugin says of itself, checked.

use super::Check;
use crate::bindings::wit_description;
use tandem_domain::{
    Failure,
    plugin::{Capability, Description, Interest, Scope, Selector},
};

/// Longest config schema.
const MAX_SCHEMA_BYTES: usize = 256 << 10;

/// Wishes and capabilities of one plugin; a person has to read them.
const MAX_WISHES: usize = 256;

/// Patterns in one selector: a mapper for node_exporter names every metric it knows.
const MAX_PATTERNS: usize = 2_000;

/// History that may be asked for: a year and a day.
const MAX_HISTORY_SECONDS: u32 = 366 * 86_400;

/// Longest plugin name: it becomes a part of file names, URLs and metric labels.
const MAX_PLUGIN_NAME_BYTES: usize = 64;

const CAPABILITY_NAMES: [&str; 5] = ["http", "tcp", "udp", "file", "space"];

/// Checks a description.
pub(crate) fn description(check: Check<'_>, said: wit_description::Description) -> Result<Description, Failure> {
    let name = plugin_name(check, said.name)?;
    if let Err(error) = semver::Version::parse(&said.version) {
        return Err(check.breach(
            "version",
            format_args!("is `{}`, not a semantic version such as 1.2.0 ({error})", super::shortened(&said.version)),
        ));
    }
    if said.config_schema.len() > MAX_SCHEMA_BYTES {
        return Err(check.breach("config-schema", format_args!("is longer than {MAX_SCHEMA_BYTES} bytes")));
    }
    check.count("interests", said.interests.len(), MAX_WISHES)?;
    check.count("capabilities", said.capabilities.len(), MAX_WISHES)?;
    Ok(Description {
        name,
        version: said.version,
        summary: check.text("summary", said.summary)?,
        config_schema: said.config_schema,
        interests: said
            .interests
            .into_iter()
            .enumerate()
            .map(|(i, wish)| interest(check, i, wish))
            .collect::<Result<_, _>>()?,
        capabilities: said
            .capabilities
            .into_iter()
            .enumerate()
            .map(|(i, asked)| capability(check, i, asked))
            .collect::<Result<_, _>>()?,
    })
}

fn plugin_name(check: Check<'_>, name: String) -> Result<String, Failure> {
    let well_formed = name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.len() <= MAX_PLUGIN_NAME_BYTES
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    if !well_formed {
        return Err(check.breach(
            "name",
            format_args!(
                "is `{}`; a name begins with a letter, holds lower case letters, digits and dashes, and has at most \
                 {MAX_PLUGIN_NAME_BYTES} bytes",
                super::shortened(&name).escape_debug()
            ),
        ));
    }
    Ok(name)
}

fn interest(check: Check<'_>, i: usize, wish: wit_description::Interest) -> Result<Interest, Failure> {
    let selector = wish.selector;
    check.count(format_args!("interests[{i}].selector.metrics"), selector.metrics.len(), MAX_PATTERNS)?;
    check.count(format_args!("interests[{i}].selector.entity-kinds"), selector.entity_kinds.len(), MAX_PATTERNS)?;
    check.count(format_args!("interests[{i}].selector.labels"), selector.labels.len(), MAX_PATTERNS)?;
    if wish.history_seconds > MAX_HISTORY_SECONDS {
        return Err(check.breach(
            format_args!("interests[{i}].history-seconds"),
            format_args!("is {}, at most {MAX_HISTORY_SECONDS} are kept for it", wish.history_seconds),
        ));
    }
    let patterns = |field: &str, patterns: Vec<String>| {
        patterns
            .into_iter()
            .map(|pattern| check.name(format_args!("interests[{i}].selector.{field}"), pattern))
            .collect::<Result<Vec<_>, _>>()
    };
    Ok(Interest {
        selector: Selector {
            metrics: patterns("metrics", selector.metrics)?,
            entity_kinds: patterns("entity-kinds", selector.entity_kinds)?,
            labels: selector
                .labels
                .into_iter()
                .map(|label| {
                    let pattern = check.text(format_args!("interests[{i}].selector.labels"), label.pattern)?;
                    Ok((check.name(format_args!("interests[{i}].selector.labels name"), label.name)?, pattern))
                })
                .collect::<Result<_, Failure>>()?,
            with_fault_rules: selector.with_fault_rules,
        },
        scope: match wish.scope {
            wit_description::Scope::Series => Scope::Series,
            wit_description::Scope::Entity => Scope::Entity,
            wit_description::Scope::Peers => Scope::Peers,
            wit_description::Scope::Target => Scope::Target,
        },
        history_seconds: wish.history_seconds,
    })
}

fn capability(check: Check<'_>, i: usize, asked: wit_description::Capability) -> Result<Capability, Failure> {
    if !CAPABILITY_NAMES.contains(&asked.name.as_str()) {
        return Err(check.breach(
            format_args!("capabilities[{i}].name"),
            format_args!("is `{}`, known are {}", super::shortened(&asked.name), CAPABILITY_NAMES.join(", ")),
        ));
    }
    Ok(Capability {
        name: asked.name,
        value: check.name(format_args!("capabilities[{i}].value"), asked.value)?,
        reason: check.name(format_args!("capabilities[{i}].reason"), asked.reason)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said() -> wit_description::Description {
        wit_description::Description {
            name: "detector-x".into(),
            version: "1.0.0".into(),
            summary: "Finds x.".into(),
            config_schema: String::new(),
            interests: Vec::new(),
            capabilities: vec![wit_description::Capability {
                name: "http".into(),
                value: "target".into(),
                reason: "to read it".into(),
            }],
        }
    }

    fn refused(change: impl FnOnce(&mut wit_description::Description)) -> String {
        let mut said = said();
        change(&mut said);
        description(Check { plugin: "detector-x", function: "about.describe" }, said)
            .expect_err("must be refused")
            .message
    }

    #[test]
    fn a_breach_names_plugin_function_and_field() {
        let text = refused(|said| said.version = "one".into());
        assert!(text.starts_with("plugin detector-x, about.describe: version is `one`"), "{text}");
        assert!(refused(|said| said.name = "../x".into()).contains("name is `../x`"));
        assert!(refused(|said| said.capabilities[0].name = "root".into()).contains("capabilities[0].name is `root`"));
        assert!(refused(|said| said.capabilities[0].reason = " ".into()).contains("capabilities[0].reason is empty"));
    }
}
