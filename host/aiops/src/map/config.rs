//! Settings of the map room, and relations that only the operator knows.

use serde::Deserialize;
use tandem_domain::relation::RelationKind;

/// How series get their meaning.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MapConfig {
    /// A target's new series are shown to mappers when none has come for this long, in milliseconds: the series of one
    /// scrape are to be seen together.
    pub debounce_millis: u64,
    /// A target whose series keep coming is shown after this long all the same, in milliseconds.
    pub longest_wait_millis: u64,
    /// A relation that nobody reports any more is forgotten after this many seconds.
    pub relation_age_seconds: u64,
}

impl Default for MapConfig {
    fn default() -> Self {
        Self { debounce_millis: 500, longest_wait_millis: 5_000, relation_age_seconds: 3_600 }
    }
}

impl MapConfig {
    /// Checks what the shapes alone do not say.
    ///
    /// # Errors
    /// In words, with what to do.
    pub fn validate(&self) -> Result<(), String> {
        if self.longest_wait_millis < self.debounce_millis {
            return Err("longest_wait_millis is shorter than debounce_millis; make it at least as long".into());
        }
        if !(60..=31_536_000).contains(&self.relation_age_seconds) {
            return Err("relation_age_seconds must be 60 to 31536000 (a year)".into());
        }
        Ok(())
    }
}

/// A relation that no collector can see, such as which hosts a UPS feeds: one `[[relation]]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RelationConfig {
    /// Who suffers: an entity's id, or `kind:scheme:value` with any key it is known by, such as `host:hostname:node-1`.
    pub dependent: String,
    /// Who is needed, written likewise, such as `ups:name:rack7-a`.
    pub dependency: String,
    /// In what way: `runs-on`, `contains`, `powered-by`, `connected-to`, `stored-on` or `depends-on`.
    pub kind: RelationKind,
}

impl RelationConfig {
    /// Checks what the shapes alone do not say.
    ///
    /// # Errors
    /// In words, with what to do.
    pub fn validate(&self) -> Result<(), String> {
        for (key, text) in [("dependent", &self.dependent), ("dependency", &self.dependency)] {
            let named =
                text.split_once(':').is_some_and(|(kind, rest)| super::identity::is_kind(kind) && !rest.is_empty());
            if !named {
                return Err(format!("{key} = {text:?} names no entity; write it like \"host:hostname:node-1\""));
            }
        }
        if self.dependent == self.dependency {
            return Err(format!("{:?} cannot depend on itself", self.dependent));
        }
        Ok(())
    }
}
