//! Labels while they are worked on: by name, where an empty value is no label.

use std::collections::BTreeMap;
use tandem_domain::series::Labels;

/// Labels that change.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, PartialOrd, Ord)]
pub struct LabelMap {
    labels: BTreeMap<String, String>,
    /// Of all names and values together.
    bytes: usize,
}

impl LabelMap {
    /// The value of a label; empty when there is none.
    pub fn get(&self, name: &str) -> &str {
        self.labels.get(name).map_or("", String::as_str)
    }

    /// Sets a label; an empty value removes it.
    pub fn set(&mut self, name: &str, value: &str) {
        let known = self.labels.get_mut(name);
        self.bytes -= known.as_ref().map_or(0, |known| name.len() + known.len());
        if value.is_empty() {
            self.labels.remove(name);
            return;
        }
        self.bytes += name.len() + value.len();
        match known {
            Some(known) => value.clone_into(known),
            None => drop(self.labels.insert(name.to_owned(), value.to_owned())),
        }
    }

    /// Sets a label that is not there.
    pub fn set_missing(&mut self, name: &str, value: &str) {
        if self.get(name).is_empty() {
            self.set(name, value);
        }
    }

    /// Removes the labels whose names are not to stay.
    pub fn retain(&mut self, mut stays: impl FnMut(&str) -> bool) {
        self.labels.retain(|name, _| stays(name));
        self.bytes = self.iter().map(|(name, value)| name.len() + value.len()).sum();
    }

    /// Name and value, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.labels.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Bytes of all names and values together.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// As the labels of a series or target.
    pub fn to_labels(&self) -> Labels {
        self.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }
}

impl FromIterator<(String, String)> for LabelMap {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(pairs: I) -> Self {
        let labels: BTreeMap<String, String> = pairs.into_iter().filter(|(_, value)| !value.is_empty()).collect();
        let bytes = labels.iter().map(|(name, value)| name.len() + value.len()).sum();
        Self { labels, bytes }
    }
}
