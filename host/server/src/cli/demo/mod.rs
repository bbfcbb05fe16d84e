//! `tandem demo`: plays a story against a running server, or one of its own, over the doors that everybody has.

mod loopback;
mod player;
mod stage;

use super::stop::Stop;
use anyhow::{Context, bail};
use player::Player;
use stage::Stage;
use std::{net::SocketAddr, path::PathBuf, process::ExitCode, time::Duration};
use tandem_domain::{Timestamp, time::Clock};
use tandem_story::{Library, Play, Shown};
use tokio::time::Instant;

/// How often it is told what was sent.
const TELL_EVERY: Duration = Duration::from_secs(10);
/// Steps in a row in which nothing could be sent, after which it is given up: the server is gone.
const MOST_SILENT_STEPS: u32 = 20;

/// Plays a story against a server: telemetry, predictions, labels and deployments of a made-up fleet.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  tandem demo --list\n  tandem demo gpu-off-bus --speed 20\n  tandem demo power-feed --scrape nut,ipmi\n  \
                        tandem demo packet-loss-switch --serve --speed 30\n  tandem demo my-story --files stories --serve --speed 30\n\n\
                        Everything that is sent carries the label demo=\"STORY\". Faster than real time the story begins in the past, so \
                        that it ends now; what depends on time itself (objectives, what is usual) a running server sees in real \
                        time only, and one of the story's own (--serve) at any speed.\nStop it with Ctrl-C."
)]
pub(super) struct Demo {
    /// Which story; see --list.
    #[arg(required_unless_present = "list")]
    story: Option<String>,
    /// Shows all stories.
    #[arg(long)]
    list: bool,
    /// A folder with stories of your own, DIR/*.toml, and their fleets, DIR/fleets/*.toml; see docs/stories.md.
    #[arg(long, value_name = "DIR")]
    files: Option<PathBuf>,
    /// Where the server is.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8420")]
    server: String,
    /// Starts a server for this story alone, by default at 127.0.0.1:8420, whose clock goes as fast as the story. It keeps nothing.
    #[arg(long, value_name = "ADDRESS", num_args = 0..=1, default_missing_value = "127.0.0.1:8420", conflicts_with = "server")]
    serve: Option<SocketAddr>,
    /// The same seed breaks the same part at the same moment.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// So many times faster than real time; 0 for as fast as the server takes it.
    #[arg(long, default_value_t = 1.0, value_parser = speed)]
    speed: f64,
    /// Targets of these jobs are shown as exporters' pages on loopback, to be scraped, instead of being written remotely.
    #[arg(long, value_name = "JOB", value_delimiter = ',')]
    scrape: Vec<String>,
}

fn speed(text: &str) -> Result<f64, String> {
    let speed = text.parse::<f64>().ok().filter(|speed| *speed == 0.0 || (0.1..=10_000.0).contains(speed));
    speed.ok_or_else(|| "give 0, or a number from 0.1 to 10000".into())
}

impl Demo {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        let mut library = Library::bundled();
        if let Some(folder) = &self.files {
            library.add_folder(folder)?;
        }
        if self.list {
            return list(&library);
        }
        if !self.scrape.is_empty() && self.speed != 1.0 {
            bail!("what is scraped happens now: --scrape goes with --speed 1 only");
        }
        if self.serve.is_some() && self.speed == 0.0 {
            bail!("a server's clock goes at a speed: give --serve a --speed above 0");
        }
        let name = self.story.as_deref().unwrap_or_default();
        let now = crate::SystemClock.now();
        // The length is needed for the start, and does not depend on it.
        let planned = Play::new(&library, name, self.seed, now)?;
        let lasts = planned.step_millis() * planned.steps() as i64;
        let start = began(now, lasts, self.speed);
        let play = Play::new(&library, name, self.seed, start)?;
        let jobs: Vec<&str> = play.targets().iter().map(|target| target.job.as_str()).collect();
        if let Some(unknown) = self.scrape.iter().find(|job| !jobs.contains(&job.as_str())) {
            let mut known = jobs;
            known.dedup();
            bail!("--scrape {unknown}: the story has no such job; it has {}", known.join(", "));
        }
        say!("{}: {} (seed {})", play.name(), play.title(), self.seed);
        say!(
            "{} series of {} targets every {} s, {} steps",
            play.series().len(),
            play.targets().len(),
            play.step_millis() / 1_000,
            play.steps()
        );
        let loopback = loopback::Loopback::start().await.context("nothing can be shown on loopback")?;
        let lines = loopback::config_lines(&play, &self.scrape, loopback.address());
        let Some(listen) = self.serve else {
            lines.iter().for_each(|line| say!("{line}"));
            let mut player = Player::new(&play, &self.server, self.scrape.clone(), loopback)?;
            self.play(play, &mut player, None, &mut Stop::catch()?).await?;
            return Ok(ExitCode::SUCCESS);
        };
        let mut stop = Stop::catch()?;
        let stage = Stage::open(listen, &lines, (start, play.step_millis(), self.speed)).await?;
        say!("Look at {}/", stage.url());
        let mut player = Player::new(&play, &stage.url(), self.scrape.clone(), loopback)?;
        let played = self.play(play, &mut player, Some(&stage), &mut stop).await;
        if let Ok(true) = played {
            say!("Its server goes on until Ctrl-C.");
            stop.asked().await;
        }
        stage.close().await;
        played.map(|_| ExitCode::SUCCESS)
    }

    /// Plays to the end, unless it is stopped; whether it came to its end.
    async fn play(
        &self,
        mut play: Play,
        player: &mut Player,
        stage: Option<&Stage>,
        stop: &mut Stop,
    ) -> anyhow::Result<bool> {
        let began = Instant::now();
        let (mut told_at, mut silent, mut number) = (began, 0, 0_u64);
        while let Some(shown) = play.step() {
            if self.speed > 0.0 {
                let due = (number as i64 * play.step_millis()) as f64 / 1_000.0 / self.speed;
                tokio::select! {
                    () = tokio::time::sleep_until(began + Duration::from_secs_f64(due)) => {}
                    () = stop.asked() => return stopped(player),
                }
            }
            number += 1;
            if let Some(stage) = stage {
                stage.reach(shown.at, number < play.steps());
            }
            announce(&play, &shown, number);
            let sent = tokio::select! {
                sent = player.send(&play, &shown) => sent,
                () = stop.asked() => return stopped(player),
            };
            silent = if sent { 0 } else { silent + 1 };
            if silent >= MOST_SILENT_STEPS {
                bail!("{} does not take anything any more: {}", player.base(), player.last_refusal());
            }
            if told_at.elapsed() >= TELL_EVERY {
                told_at = Instant::now();
                say!("{:>6.1} min  {}", minutes(&play, number), player.told());
            }
        }
        say!("The story is over. {}", player.told());
        Ok(true)
    }
}

fn stopped(player: &Player) -> anyhow::Result<bool> {
    say!("Stopped. {}", player.told());
    Ok(false)
}

fn minutes(play: &Play, number: u64) -> f64 {
    (number as i64 * play.step_millis()) as f64 / 60_000.0
}

/// What begins and ends is told to who plays the story, and to no server.
fn announce(play: &Play, shown: &Shown, number: u64) {
    for told in &shown.told {
        say!("{:>6.1} min  · {told}", minutes(play, number));
    }
}

/// When a story begins that shall end no later than time itself has come to.
fn began(now: Timestamp, lasts: i64, speed: f64) -> Timestamp {
    match speed {
        0.0 => now.plus_millis(-lasts),
        speed if speed > 1.0 => now.plus_millis(-((lasts as f64 * (1.0 - 1.0 / speed)) as i64)),
        _ => now,
    }
}

fn list(library: &Library) -> anyhow::Result<ExitCode> {
    for about in library.list()? {
        say!("{}  {}", about.name, about.title);
        about.about.lines().for_each(|line| say!("    {line}"));
    }
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_story_ends_now_however_fast_it_is_played() {
        let now = Timestamp(10_000_000);
        assert_eq!(began(now, 60_000, 1.0), now);
        assert_eq!(began(now, 60_000, 0.0), Timestamp(9_940_000));
        // Half a minute of playing, and half a minute in the past.
        assert_eq!(began(now, 60_000, 2.0), Timestamp(9_970_000));
        assert!(speed("-1").is_err() && speed("nan").is_err() && speed("20").is_ok());
    }
}
