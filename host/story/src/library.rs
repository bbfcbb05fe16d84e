//! Stories by name: the bundled ones, and those that others bring in a folder of the same shape.

use crate::{
    error::{At, StoryError},
    limits::MAX_FILE_BYTES,
    shape::{FleetShape, StoryShape},
};
use std::collections::BTreeMap;

/// Name and text of every bundled story and fleet.
const STORIES: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/stories.rs"));
const FLEETS: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/fleets.rs"));

/// Texts of stories and fleets, by name.
#[derive(Debug, Clone, Default)]
pub struct Library {
    stories: BTreeMap<String, String>,
    fleets: BTreeMap<String, String>,
}

/// What is said of a story in a list.
#[derive(Debug, Clone, PartialEq)]
pub struct About {
    /// By which it is played.
    pub name: String,
    /// One line.
    pub title: String,
    /// What happens.
    pub about: String,
    /// Played only when asked for by name.
    pub long: bool,
    /// The hour of the day at which it begins.
    pub hour: f64,
}

impl Library {
    /// The stories inside the program.
    pub fn bundled() -> Self {
        let texts = |list: &[(&str, &str)]| list.iter().map(|(n, t)| ((*n).to_owned(), (*t).to_owned())).collect();
        Self { stories: texts(STORIES), fleets: texts(FLEETS) }
    }

    /// Adds a story, or takes the place of one.
    pub fn add_story(&mut self, name: impl Into<String>, text: impl Into<String>) {
        self.stories.insert(name.into(), text.into());
    }

    /// Adds a fleet, or takes the place of one.
    pub fn add_fleet(&mut self, name: impl Into<String>, text: impl Into<String>) {
        self.fleets.insert(name.into(), text.into());
    }

    /// All stories, by name.
    ///
    /// # Errors
    /// When one cannot be read.
    pub fn list(&self) -> Result<Vec<About>, StoryError> {
        let about = |name: &String| {
            let StoryShape { title, about, long, hour, .. } = self.story(name)?;
            Ok(About { name: name.clone(), title, about: about.trim().to_owned(), long, hour })
        };
        self.stories.keys().map(about).collect()
    }

    /// Reads a story with its fleet: what the story has itself comes after what the fleet has, and a kind of the same name
    /// is changed by what the story says of it.
    pub(crate) fn story(&self, name: &str) -> Result<StoryShape, StoryError> {
        let known = || self.stories.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
        let text = self.stories.get(name).ok_or_else(|| format!("there is no such story; there are {}", known()));
        let mut story: StoryShape = read(name, text.at(name, || "story".into())?)?;
        let Some(fleet) = &story.fleet else { return Ok(story) };
        let known = || self.fleets.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
        let text = self.fleets.get(fleet).ok_or_else(|| format!("there is no fleet {fleet:?}; there are {}", known()));
        let mut base: FleetShape = read(&format!("fleets/{fleet}"), text.at(name, || "fleet".into())?)?;
        for own in std::mem::take(&mut story.kind) {
            match base.kind.iter_mut().find(|kind| kind.name == own.name) {
                None => base.kind.push(own),
                Some(kind) => {
                    kind.count = own.count.or(kind.count);
                    kind.each = own.each.or(kind.each.take());
                    if !own.names.is_empty() {
                        kind.names = own.names;
                    }
                    kind.values.extend(own.values);
                    kind.on.extend(own.on);
                    kind.variables.push('\n');
                    kind.variables.push_str(&own.variables);
                }
            }
        }
        for (name, rate) in &story.model_rate {
            let model = base.model.iter_mut().find(|model| model.model == *name);
            let model = model.ok_or_else(|| format!("model_rate: the fleet has no model {name:?}"));
            model.at(fleet, || "model_rate".into())?.rate.clone_from(rate);
        }
        story.kind = base.kind;
        story.page.splice(0..0, base.page);
        story.model.splice(0..0, base.model);
        story.relation.splice(0..0, base.relation);
        Ok(story)
    }
}

fn read<T: serde::de::DeserializeOwned>(file: &str, text: &str) -> Result<T, StoryError> {
    if text.len() > MAX_FILE_BYTES {
        return Err(format!("the file is longer than {MAX_FILE_BYTES} bytes")).at(file, || "file".into());
    }
    toml::from_str(text).map_err(|error| {
        let line = error.span().map(|span| text[..span.start.min(text.len())].matches('\n').count() + 1);
        let at = line.map_or_else(|| "file".to_owned(), |line| format!("line {line}"));
        StoryError { file: file.to_owned(), at, problem: error.message().to_owned() }
    })
}
