//! A server for one story alone, in this process, whose clock goes as fast as the story does. What depends on time itself, such as
//! objectives and what is usual, is then seen at any speed; a server whose clock is the system's sees it in real time only.

use crate::{Server, ServerOptions, config::Config};
use anyhow::Context;
use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};
use tandem_domain::{Timestamp, time::Clock};

/// A clock that goes as fast as a story, and no further than the next step: a server that falls behind is waited for.
#[derive(Debug)]
struct StoryClock {
    speed: f64,
    step_millis: i64,
    /// The last step, when it was shown, and whether there is another.
    step: Mutex<(Timestamp, Instant, bool)>,
}

impl StoryClock {
    fn new(start: Timestamp, step_millis: i64, speed: f64) -> Self {
        Self { speed, step_millis, step: Mutex::new((start, Instant::now(), true)) }
    }

    fn reach(&self, at: Timestamp, more: bool) {
        *self.step.lock().unwrap_or_else(PoisonError::into_inner) = (at, Instant::now(), more);
    }
}

impl Clock for StoryClock {
    fn now(&self) -> Timestamp {
        let (at, shown, more) = *self.step.lock().unwrap_or_else(PoisonError::into_inner);
        let real = shown.elapsed().as_secs_f64() * 1_000.0;
        // After its end the story's time goes on as any time does.
        let since = if more { ((real * self.speed) as i64).min(self.step_millis - 1) } else { real as i64 };
        at.plus_millis(since)
    }
}

/// The server and its clock.
pub(super) struct Stage {
    server: Server,
    clock: Arc<StoryClock>,
    folder: PathBuf,
}

impl Stage {
    /// Starts a server in a folder of its own, which goes with it. `lines` are what the story adds to the configuration.
    pub(super) async fn open(
        listen: SocketAddr,
        lines: &[String],
        (start, step_millis, speed): (Timestamp, i64, f64),
    ) -> anyhow::Result<Self> {
        let folder = std::env::temp_dir().join(format!("tandem-demo-{}", std::process::id()));
        std::fs::create_dir_all(&folder).with_context(|| format!("no folder at {}", folder.display()))?;
        let text = format!(
            "listen = \"{listen}\"\ndata = {:?}\ncollect = []\nlog = \"warn\"\n{}",
            folder.display().to_string(),
            lines.join("\n")
        );
        let config = Config::parse(Path::new("the story's own configuration"), &text)?;
        config.check_listen()?;
        let clock = Arc::new(StoryClock::new(start, step_millis, speed));
        let options = ServerOptions { clock: clock.clone(), ..ServerOptions::new(config) };
        let server = Server::start(options).await.inspect_err(|_| remove(&folder))?;
        Ok(Self { server, clock, folder })
    }

    /// Where it is.
    pub(super) fn url(&self) -> String {
        format!("http://{}", self.server.address())
    }

    /// The story has come to a step; whether there is another.
    pub(super) fn reach(&self, at: Timestamp, more: bool) {
        self.clock.reach(at, more);
    }

    /// Ends it and removes what it kept.
    pub(super) async fn close(self) {
        self.server.stop().await;
        remove(&self.folder);
    }
}

fn remove(folder: &Path) {
    if let Err(error) = std::fs::remove_dir_all(folder) {
        note!("{} is left behind: {error}", folder.display());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_goes_as_fast_as_the_story_and_waits_for_its_next_step() {
        let clock = StoryClock::new(Timestamp(1_000_000), 15_000, 1e9);
        std::thread::sleep(std::time::Duration::from_millis(1));
        assert_eq!(clock.now(), Timestamp(1_014_999), "a step is not passed before it is shown");
        clock.reach(Timestamp(1_015_000), true);
        assert!((1_015_000..1_030_000).contains(&clock.now().0));
        clock.reach(Timestamp(1_030_000), false);
        assert!(clock.now().0 >= 1_030_000);
    }
}
