//! Stories as data: a file and a seed become what a fleet shows, step after step, and what would be right to say of it.
//! Pure but for `folder`, which reads story files: no other IO, no clock; the same file, seed and start give the same steps. See `docs/stories.md` for how to write one.

mod draw;
mod error;
mod expression;
mod folder;
mod happening;
mod library;
mod limits;
mod models;
mod pages;
mod parts;
mod play;
mod send;
mod shape;
mod table;
mod template;
mod world;

pub use error::StoryError;
pub use happening::{Deployment, Truth};
pub use library::{About, Library};
pub use pages::{StorySeries, StoryTarget};
pub use play::{OperatorRelation, Play, Shown};
pub use send::Sender;
