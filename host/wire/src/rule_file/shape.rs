//! The YAML of a rule file as serde sees it: every key, and no other.

use serde::{
    Deserialize, Deserializer,
    de::{self, Visitor},
};
use serde_saphyr::{Spanned, options::MergeKeyPolicy};
use std::{collections::BTreeMap, fmt};

/// Depth of a document: a rule file has six levels.
const MAX_DEPTH: usize = 32;

/// A scalar as it is written, whatever YAML takes it for: `severity: 1` is a label like any other.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Text(pub String);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AnyScalar;
        impl<'de> Visitor<'de> for AnyScalar {
            type Value = Text;
            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a text")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Text, E> {
                Ok(Text(text.to_owned()))
            }
            fn visit_unit<E: de::Error>(self) -> Result<Text, E> {
                Ok(Text::default())
            }
            fn visit_none<E: de::Error>(self) -> Result<Text, E> {
                Ok(Text::default())
            }
            fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Text, D::Error> {
                deserializer.deserialize_str(self)
            }
        }
        // Nothing is an empty text, as Prometheus reads it.
        deserializer.deserialize_option(AnyScalar)
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct FileShape {
    pub groups: Option<Vec<Spanned<GroupShape>>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct GroupShape {
    pub name: Option<Text>,
    pub interval: Option<Text>,
    pub query_offset: Option<Text>,
    pub limit: Option<i64>,
    pub labels: Option<BTreeMap<String, Text>>,
    pub rules: Option<Vec<Spanned<RuleShape>>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RuleShape {
    pub record: Option<Text>,
    pub alert: Option<Text>,
    pub expr: Option<Text>,
    #[serde(rename = "for")]
    pub hold: Option<Text>,
    pub keep_firing_for: Option<Text>,
    pub labels: Option<BTreeMap<String, Text>>,
    pub annotations: Option<BTreeMap<String, Text>>,
}

/// Reads the text; on failure the line, when it can be told, and what is wrong.
pub(super) fn parse(text: &str) -> Result<FileShape, (Option<usize>, String)> {
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! { max_depth: MAX_DEPTH },
        merge_keys: MergeKeyPolicy::Merge,
        with_snippet: false,
    };
    let read: Result<Option<FileShape>, _> = serde_saphyr::from_str_with_options(text, options);
    match read {
        Ok(shape) => Ok(shape.unwrap_or_default()),
        Err(error) => {
            let line = error.location().map(|location| location.line() as usize).filter(|line| *line > 0);
            Err((line, error.to_string()))
        }
    }
}
