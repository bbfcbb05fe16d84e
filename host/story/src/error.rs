//! What is wrong with a story file, where, and what to do.

/// A story cannot be played.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}: {at}: {problem}")]
pub struct StoryError {
    /// The file, or the name of the story.
    pub file: String,
    /// The key, such as `kind.gpu.variables: busy`.
    pub at: String,
    /// What is wrong, and what to do.
    pub problem: String,
}

/// What is wrong, without the place: places are put on where they are known.
pub(crate) type Problem = String;

/// Puts the place on.
pub(crate) trait At<T> {
    /// With the key.
    fn at(self, file: &str, at: impl FnOnce() -> String) -> Result<T, StoryError>;
}

impl<T> At<T> for Result<T, Problem> {
    fn at(self, file: &str, at: impl FnOnce() -> String) -> Result<T, StoryError> {
        self.map_err(|problem| StoryError { file: file.to_owned(), at: at(), problem })
    }
}
