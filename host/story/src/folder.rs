//! Stories that others bring: a folder of story files, with their fleets in its folder `fleets`. The only place of this crate that
//! reads files.

use crate::{
    error::{At, StoryError},
    library::Library,
    limits::MAX_FILE_BYTES,
};
use std::{collections::BTreeMap, io::Read, path::Path};

/// How the name of a story's file ends.
const ENDING: &str = "toml";

impl Library {
    /// Adds the stories and fleets of a folder: `DIR/*.toml` and `DIR/fleets/*.toml`, each by the name of its file. One of the same name
    /// takes the place of a bundled one. The names of the stories, in order.
    ///
    /// # Errors
    /// When the folder or a file of it cannot be read, a file is too long, or no story is there. Whether what they say makes sense
    /// is found when they are played.
    pub fn add_folder(&mut self, folder: &Path) -> Result<Vec<String>, StoryError> {
        let stories = texts(folder)?;
        if stories.is_empty() {
            return Err(format!("the folder holds no story: none of its files ends with .{ENDING}"))
                .at(&folder.display().to_string(), || "folder".into());
        }
        let fleets = folder.join("fleets");
        if fleets.is_dir() {
            texts(&fleets)?.into_iter().for_each(|(name, text)| self.add_fleet(name, text));
        }
        let names = stories.keys().cloned().collect();
        stories.into_iter().for_each(|(name, text)| self.add_story(name, text));
        Ok(names)
    }
}

/// The texts of a folder's files, by name without ending.
fn texts(folder: &Path) -> Result<BTreeMap<String, String>, StoryError> {
    let shown = folder.display().to_string();
    let entries = std::fs::read_dir(folder).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let entries = entries.map_err(|error| error.to_string()).at(&shown, || "folder".into())?;
    let files =
        entries.iter().map(std::fs::DirEntry::path).filter(|path| path.extension().is_some_and(|e| e == ENDING));
    files
        .map(|path| {
            let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            Ok((name, text(&path).at(&path.display().to_string(), || "file".into())?))
        })
        .collect()
}

/// One byte more than may be is read at most, however long the file is.
fn text(path: &Path) -> Result<String, String> {
    let mut text = String::new();
    let read =
        std::fs::File::open(path).and_then(|file| file.take(MAX_FILE_BYTES as u64 + 1).read_to_string(&mut text));
    match read {
        Err(error) => Err(error.to_string()),
        Ok(_) if text.len() > MAX_FILE_BYTES => Err(format!("it is longer than {MAX_FILE_BYTES} bytes")),
        Ok(_) => Ok(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(folder.path().join("fleets")).expect("its fleets");
        for (name, text) in files {
            std::fs::write(folder.path().join(name), text).expect("a file");
        }
        folder
    }

    #[test]
    fn stories_and_fleets_come_by_the_names_of_their_files() {
        let story = "title = \"One\"\nabout = \"It is.\"\nfleet = \"own\"\nlasts = \"5m\"";
        let kind = "about = \"A host.\"\n[[kind]]\nname = \"host\"\ncount = 1\n";
        let folder = folder(&[("one.toml", story), ("read.me", "nothing"), ("fleets/own.toml", kind)]);
        let mut library = Library::default();
        assert_eq!(library.add_folder(folder.path()).expect("it can be read"), ["one"]);
        let listed = library.list().expect("they make sense");
        assert_eq!(listed.iter().map(|about| about.title.as_str()).collect::<Vec<_>>(), ["One"]);
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        let told = |path: &Path| Library::default().add_folder(path).expect_err("it is wrong").to_string();
        assert!(told(Path::new("/nowhere/at/all")).starts_with("/nowhere/at/all: folder: "));
        assert!(told(folder(&[("read.me", "")]).path()).contains("none of its files ends with .toml"));
        let long = "#".repeat(MAX_FILE_BYTES + 1);
        let told = told(folder(&[("long.toml", &long)]).path());
        assert!(told.contains("long.toml: file: it is longer than"), "{told}");
    }
}
