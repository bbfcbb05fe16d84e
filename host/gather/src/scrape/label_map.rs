//! Labels while they are worked on: by name, where an empty value is no label.

use std::collections::BTreeMap;
use tandem_domain::series::Labels;

/// Labels that change.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, PartialOrd, Ord)]
pub struct LabelMap(BTreeMap<String, String>);

impl LabelMap {
    /// The value of a label; empty when there is none.
    pub fn get(&self, name: &str) -> &str {
        self.0.get(name).map_or("", String::as_str)
    }

    /// Sets a label; an empty value removes it.
    pub(crate) fn set(&mut self, name: &str, value: &str) {
        if value.is_empty() {
            self.0.remove(name);
        } else if let Some(known) = self.0.get_mut(name) {
            value.clone_into(known);
        } else {
            self.0.insert(name.to_owned(), value.to_owned());
        }
    }

    /// Sets a label that is not there.
    pub(crate) fn set_missing(&mut self, name: &str, value: &str) {
        if self.get(name).is_empty() {
            self.set(name, value);
        }
    }

    /// Removes the labels whose names are not to stay.
    pub(crate) fn retain(&mut self, mut stays: impl FnMut(&str) -> bool) {
        self.0.retain(|name, _| stays(name));
    }

    /// Name and value, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// As the labels of a series or target.
    pub(crate) fn to_labels(&self) -> Labels {
        self.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }
}

impl FromIterator<(String, String)> for LabelMap {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(pairs: I) -> Self {
        Self(pairs.into_iter().filter(|(_, value)| !value.is_empty()).collect())
    }
}
