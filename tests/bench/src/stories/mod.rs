//! Plays stories against the whole server, in lockstep with a clock that this program moves, and says how often its verdict
//! was right, how soon, and how much it disturbed people meanwhile. What is judged is what anybody is told: the API's answers
//! and the notifications.

mod client;
mod faults;
mod follow;
mod judge;
mod play;
mod print;
mod symptoms;

use judge::{Case, Judge};
use std::path::{Path, PathBuf};
use tandem_story::{About, Library};

/// Stories, seeds, and how much is told.
#[derive(Debug, clap::Args)]
pub struct Stories {
    /// How many seeds each story is played with.
    #[arg(long, default_value_t = 3)]
    seeds: u64,
    /// The first seed.
    #[arg(long, default_value_t = 1)]
    first_seed: u64,
    /// Only these, by name; also those that are too long to be played otherwise.
    #[arg(long, value_delimiter = ',')]
    stories: Vec<String>,
    /// A folder with stories (and `fleets/`) of the same form: these are played, the bundled fleets can be used.
    #[arg(long, value_name = "DIR")]
    files: Option<PathBuf>,
    /// Tells every change of every verdict beside what is true. Of long stories it is always told who was notified, which verdicts
    /// are wrong, and every hour how far it is.
    #[arg(long)]
    tell: bool,
    /// Plays only the first so many hours of each story.
    #[arg(long, value_name = "HOURS")]
    hours: Option<u32>,
}

/// What is told while a play is under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Telling {
    Nothing,
    /// Notifications, what is wrong, and how far it is.
    Wrong,
    /// Notifications, and every change of every verdict and symptom.
    All,
}

/// What came of one story with one seed.
struct Played {
    story: String,
    cases: Vec<Case>,
    felt: symptoms::Felt,
    funnel: Funnel,
    seconds: f64,
    series: usize,
    steps: u64,
    faults: Vec<faults::Outcome>,
    /// Notifications that belong to no fault.
    for_nothing: Vec<follow::Notified>,
}

/// How much became of how much.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Funnel {
    findings: usize,
    alerts: usize,
    incidents: usize,
    /// Of incidents that opened or came back.
    notifications: usize,
    /// Of incidents that were over.
    resolutions: usize,
}

impl Stories {
    /// Plays and prints.
    pub async fn run(self, folder: &Path) {
        let (library, own) = library(self.files.as_deref());
        let chosen = chosen(&library, &self.stories, &own);
        println!("{} stories with {} seeds each, against the whole server in this process.", chosen.len(), self.seeds);
        let mut played = Vec::new();
        for about in &chosen {
            for seed in self.first_seed..self.first_seed + self.seeds {
                let telling = match (self.tell, about.long) {
                    (true, _) => Telling::All,
                    (false, true) => Telling::Wrong,
                    (false, false) => Telling::Nothing,
                };
                let one = play::play(&library, about, seed, folder, (telling, self.hours)).await;
                print::line(&one, seed);
                played.push(one);
            }
        }
        print::summary(&played);
    }
}

/// The bundled stories and those of a folder, and the names of the latter.
fn library(files: Option<&Path>) -> (Library, Vec<String>) {
    let mut library = Library::bundled();
    let own = files.map(|folder| library.add_folder(folder).unwrap_or_else(|error| panic!("{error}")));
    (library, own.unwrap_or_default())
}

/// Those asked for, else those of the folder, else all that are not long.
fn chosen(library: &Library, asked: &[String], own: &[String]) -> Vec<About> {
    let all = library.list().unwrap_or_else(|error| panic!("{error}"));
    let wanted = if asked.is_empty() { own } else { asked };
    for name in wanted {
        assert!(all.iter().any(|about| about.name == *name), "there is no story {name:?}; see `tandem demo --list`");
    }
    let is_chosen = |about: &About| if wanted.is_empty() { !about.long } else { wanted.contains(&about.name) };
    all.into_iter().filter(is_chosen).collect()
}
