//! Tells how a play goes while it is played: whom it disturbed when, and every hour how much became of how much. A long play that
//! is cut off is evidence of what it came to until then.

use super::{Telling, client::Client};
use serde_json::Value;
use std::{
    collections::BTreeSet,
    io::Write as _,
    time::{Duration, Instant},
};
use tandem_domain::Timestamp;
use tandem_tests::Peer;

const HOUR_MILLIS: i64 = 3_600_000;

/// Somebody was told that an incident opened or came back.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Notified {
    /// Milliseconds since the play began.
    pub at: i64,
    pub incident: u64,
    pub title: String,
    /// The first cause it names, else what its alerts are about.
    pub entities: BTreeSet<String>,
}

/// Follows a play.
pub(super) struct Follow<'h> {
    hook: &'h Peer,
    start: Timestamp,
    telling: Telling,
    began: Instant,
    /// What was posted and looked at.
    seen: usize,
    notified: Vec<Notified>,
    resolutions: usize,
    hours: i64,
}

impl<'h> Follow<'h> {
    pub(super) fn new(hook: &'h Peer, start: Timestamp, telling: Telling) -> Self {
        let (began, notified) = (Instant::now(), Vec::new());
        Self { hook, start, telling, began, seen: 0, notified, resolutions: 0, hours: 0 }
    }

    /// Looks at what was told since the last look, and tells how far it is when another hour is over.
    pub(super) async fn look(&mut self, client: &Client, now: Timestamp) {
        let at = now.millis_since(self.start);
        for told in self.hook.posted().split_off(self.seen) {
            self.seen += 1;
            let incident = &told["incident"];
            let (id, title) = (incident["id"].as_u64().unwrap_or(0), incident["title"].as_str().unwrap_or(""));
            let event = told["event"].as_str().unwrap_or("");
            if self.telling != Telling::Nothing {
                let severity = incident["severity"].as_str().unwrap_or("");
                println!("    {:>7.1} min  told: {event} #{id} ({severity}) {title}", at as f64 / 6e4);
            }
            if event == "resolve" {
                self.resolutions += 1;
                continue;
            }
            self.notified.push(Notified { at, incident: id, title: title.to_owned(), entities: named(incident) });
        }
        if self.telling == Telling::Wrong && at / HOUR_MILLIS > self.hours {
            self.hours = at / HOUR_MILLIS;
            let [findings, alerts, incidents] = client.counts().await;
            println!(
                "  hour {:>3} after {:>6.0} s: {} notifications, {incidents} incidents, {alerts} alerts, {findings} findings",
                self.hours,
                self.worked().as_secs_f64(),
                self.notified.len()
            );
        }
        if self.telling != Telling::Nothing {
            // Whoever reads it may be a file, and the play may be cut off. A reader that has gone is told nothing.
            let _ = std::io::stdout().flush();
        }
    }

    /// Since it began.
    pub(super) fn worked(&self) -> Duration {
        self.began.elapsed()
    }

    /// Who was told what, and how often that something was over.
    pub(super) fn told(self) -> (Vec<Notified>, usize) {
        (self.notified, self.resolutions)
    }
}

/// What an incident is about, as a notification tells it.
fn named(incident: &Value) -> BTreeSet<String> {
    let entity = |one: &Value| one["entity"].as_str().map(str::to_owned);
    match incident["causes"].get(0).and_then(entity) {
        Some(first) => [first].into(),
        None => incident["alerts"].as_array().into_iter().flatten().filter_map(entity).collect(),
    }
}
