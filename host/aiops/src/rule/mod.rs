//! The rule room: Prometheus' recording and alerting rules. Groups are evaluated on their intervals over the store, their
//! series are written into it, and their alerts are told to the alert room as those are that others tell.
//!
//! Everything a rule knows lies in the store and is committed together with what came of it, so that a restart neither lets an
//! alert wait anew nor ends one that lasts (`rules`). The files are read and checked outside and come in by a [`RuleFeed`].

mod adopt;
mod check;
mod config;
mod evaluate;
mod metrics;
pub mod rules;
mod schedule;
mod source;
mod tables;
pub mod template;
#[cfg(test)]
mod tests;

pub use check::{CheckedGroup, CheckedRule, check};
pub use config::{RulesConfig, Span};
pub use metrics::RuleMetrics;
pub use tables::{ActiveAlert, Activity, GroupState, Health, RuleRun, RuleState};

use crate::room::{Progress, RoomError};
use evaluate::{Asked, Came};
use rules::Moment;
use schedule::Slots;
use std::{
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};
use tandem_domain::{Timestamp, time::Clock};
use tandem_query::{QueryLimits, SampleBudget};
use tandem_store::{Store, WriteError};
use tokio::{sync::watch, task::JoinSet};

/// How long the room sleeps at the most, in milliseconds, so that a clock that is set is noticed.
const LONGEST_SLEEP_MILLIS: i64 = 1_000;
/// Pause after the groups could not be taken over from the store, before that is tried again.
const ADOPT_PAUSE: Duration = Duration::from_secs(2);

/// The rules as they are now; who reads the files sends new ones.
#[derive(Clone)]
pub struct RuleFeed(watch::Receiver<Arc<Vec<CheckedGroup>>>);

impl RuleFeed {
    /// A feed, and where new rules are sent.
    pub fn new(groups: Vec<CheckedGroup>) -> (watch::Sender<Arc<Vec<CheckedGroup>>>, Self) {
        let (sender, receiver) = watch::channel(Arc::new(groups));
        (sender, Self(receiver))
    }
}

impl Default for RuleFeed {
    fn default() -> Self {
        Self::new(Vec::new()).1
    }
}

impl std::fmt::Debug for RuleFeed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "RuleFeed({} groups)", self.0.borrow().len())
    }
}

/// A group with its clockwork.
struct Scheduled {
    group: Arc<CheckedGroup>,
    place: u64,
    interval: i64,
    slots: Slots,
    due: Timestamp,
    is_running: bool,
    was_evaluated: bool,
}

/// What a finished evaluation tells.
struct Finished {
    index: usize,
    generation: u64,
}

/// The rule room.
pub struct RuleRoom {
    store: Store,
    config: RulesConfig,
    external_url: String,
    feed: RuleFeed,
    metrics: Arc<RuleMetrics>,
    groups: Vec<Scheduled>,
    /// Counts how often the rules were taken over; evaluations of earlier ones are of no group any more.
    generation: u64,
    started_at: Option<Timestamp>,
    /// The state in the store is that of other rules as long as this is set.
    is_stale: bool,
    running: JoinSet<Finished>,
    canceled: Arc<std::sync::atomic::AtomicBool>,
    queries: Arc<SampleBudget>,
}

impl RuleRoom {
    /// A room over a store; `url` is where the server is reached when the configuration does not say so.
    pub fn new(store: Store, config: RulesConfig, url: &str, feed: RuleFeed) -> Self {
        let external_url =
            if config.external_url.is_empty() { url } else { &config.external_url }.trim_end_matches('/').to_owned();
        Self {
            store,
            config,
            external_url,
            feed,
            metrics: Arc::default(),
            groups: Vec::new(),
            generation: 0,
            started_at: None,
            is_stale: true,
            running: JoinSet::new(),
            canceled: Arc::default(),
            queries: Arc::default(),
        }
    }

    /// Holds its queries to a budget that others take from too.
    #[must_use]
    pub fn within(self, queries: Arc<SampleBudget>) -> Self {
        Self { queries, ..self }
    }

    /// Its counters.
    pub fn metrics(&self) -> Arc<RuleMetrics> {
        self.metrics.clone()
    }

    /// Takes new rules over: state of rules that are still there is kept, others end.
    async fn adopt(&mut self, now: Timestamp) -> Result<bool, RoomError> {
        if !self.is_stale && !self.feed.0.has_changed().unwrap_or(false) {
            return Ok(false);
        }
        // Evaluations under way write the state of their rules: they come to their end first.
        while let Some(finished) = self.running.join_next().await {
            self.finished(finished);
        }
        let groups = self.feed.0.borrow_and_update().clone();
        self.is_stale = true;
        adopt::adopt(&self.store, &self.config, groups.clone(), now).await?;
        self.is_stale = false;
        self.generation += 1;
        let earlier = std::mem::take(&mut self.groups);
        let scheduled = |(place, group): (usize, &CheckedGroup)| {
            let interval = self.config.interval_of(group.group.interval_millis);
            let slots = Slots::of(&group.file, &group.group.name, interval);
            let same = earlier
                .iter()
                .find(|known| (&known.group.file, &known.group.group.name) == (&group.file, &group.group.name));
            let due = same.filter(|known| known.slots == slots).map_or_else(|| slots.after(now), |known| known.due);
            Scheduled {
                group: Arc::new(group.clone()),
                place: place as u64,
                interval,
                slots,
                due,
                is_running: false,
                was_evaluated: same.is_some_and(|known| known.was_evaluated),
            }
        };
        self.groups = groups.iter().enumerate().map(scheduled).collect();
        let names: std::collections::BTreeSet<String> = self.groups.iter().map(|one| group_name(&one.group)).collect();
        self.metrics.keep(|name| names.contains(name));
        names.iter().for_each(|name| self.metrics.count(name, |_| {}));
        Ok(true)
    }

    /// Starts groups whose time has come, the longest overdue first, as many as may be at once; whether any was started.
    fn start_due(&mut self, now: Timestamp) -> bool {
        let mut due: Vec<usize> = (0..self.groups.len())
            .filter(|index| !self.groups[*index].is_running && self.groups[*index].due <= now)
            .collect();
        due.sort_by_key(|index| self.groups[*index].due);
        let room = self.config.at_once.saturating_sub(self.running.len());
        for index in due.iter().take(room) {
            self.start(*index, now);
        }
        !due.is_empty() && room > 0
    }

    fn start(&mut self, index: usize, now: Timestamp) {
        let scheduled = &mut self.groups[index];
        let (at, missed) = scheduled.slots.latest(scheduled.due, now);
        scheduled.due = scheduled.slots.next(at);
        scheduled.is_running = true;
        let is_first = !std::mem::replace(&mut scheduled.was_evaluated, true);
        self.metrics.count(&group_name(&scheduled.group), |counts| counts.missed += missed);
        let asked = Asked {
            group: scheduled.group.clone(),
            place: scheduled.place,
            interval_millis: scheduled.interval,
            offset_millis: scheduled.group.group.query_offset_millis.unwrap_or(self.config.query_offset.0),
            moment: Moment { at, started_at: self.started_at.unwrap_or(now) },
            is_first,
            external_labels: self.config.labels(),
            external_url: self.external_url.clone(),
            limits: QueryLimits { canceled: self.canceled.clone(), ..QueryLimits::default() }.within(&self.queries),
        };
        let (store, metrics, generation) = (self.store.clone(), self.metrics.clone(), self.generation);
        let timeout = Duration::from_millis(self.config.timeout.0.unsigned_abs());
        self.running.spawn(async move {
            run(&store, asked, timeout, &metrics).await;
            Finished { index, generation }
        });
    }

    fn finished(&mut self, finished: Result<Finished, tokio::task::JoinError>) {
        match finished {
            Ok(Finished { index, generation }) if generation == self.generation => {
                if let Some(group) = self.groups.get_mut(index) {
                    group.is_running = false;
                }
            }
            Ok(_) => {}
            // Evaluations break on threads of their own; this one was cut off at a shutdown.
            Err(error) => tracing::error!("an evaluation of rules ended by a fault of its own: {error}"),
        }
    }

    fn next_due(&self) -> Option<Timestamp> {
        self.groups.iter().filter(|group| !group.is_running).map(|group| group.due).min()
    }

    /// Evaluates every group whose time has come, to the end; what tests drive.
    ///
    /// # Errors
    /// When the store fails while rules are taken over.
    pub async fn step(&mut self, now: Timestamp) -> Result<Progress, RoomError> {
        self.started_at.get_or_insert(now);
        let mut worked = self.adopt(now).await?;
        loop {
            worked |= self.start_due(now);
            let Some(finished) = self.running.join_next().await else { break };
            self.finished(finished);
        }
        Ok(Progress { worked, more: false, wake_at: self.next_due() })
    }

    /// Evaluates groups as their time comes, until shutdown.
    pub async fn run(mut self, clock: Arc<dyn Clock>, mut shutdown: watch::Receiver<bool>) {
        self.started_at = Some(clock.now());
        while !*shutdown.borrow() {
            let now = clock.now();
            let mut pause = Duration::ZERO;
            match self.adopt(now).await {
                Ok(_) => {
                    self.start_due(now);
                    let next = self.next_due().map_or(LONGEST_SLEEP_MILLIS, |due| due.millis_since(clock.now()));
                    let is_full = self.running.len() >= self.config.at_once;
                    let millis = if is_full { LONGEST_SLEEP_MILLIS } else { next.clamp(1, LONGEST_SLEEP_MILLIS) };
                    pause += Duration::from_millis(millis.unsigned_abs());
                }
                Err(error) => {
                    tracing::error!(room = "rule", "rules could not be taken over and that is tried again: {error}");
                    pause += ADOPT_PAUSE;
                }
            }
            tokio::select! {
                _ = shutdown.wait_for(|stop| *stop) => {}
                Ok(()) = self.feed.0.changed() => { self.is_stale = true; }
                Some(finished) = self.running.join_next() => self.finished(finished),
                () = tokio::time::sleep(pause) => {}
            }
        }
        self.canceled.store(true, Ordering::Relaxed);
        while self.running.join_next().await.is_some() {}
    }
}

/// A group's name among all, as Prometheus writes it.
fn group_name(group: &CheckedGroup) -> String {
    format!("{};{}", group.file, group.group.name)
}

/// One evaluation: on a thread that may block, called off when it takes too long, and committed.
async fn run(store: &Store, asked: Asked, timeout: Duration, metrics: &RuleMetrics) {
    let (began, name, expired) = (Instant::now(), group_name(&asked.group), asked.limits.expired.clone());
    let evaluating = store.clone();
    let mut working = tokio::task::spawn_blocking(move || evaluate::evaluate(&evaluating, &asked));
    let worked = match tokio::time::timeout(timeout, &mut working).await {
        Ok(worked) => worked,
        Err(_) => {
            // Its queries look at this, and then the rules that are left fail at once.
            expired.store(true, Ordering::Relaxed);
            working.await
        }
    };
    let came: Result<Came, String> = match worked {
        Ok(Ok(came)) => Ok(came),
        Ok(Err(error)) => Err(error.to_string()),
        Err(error) => Err(format!("it broke: {error}")),
    };
    let kept = match came {
        Ok(came) => {
            let (evaluations, failures, samples) = (came.evaluations, came.failures, came.samples());
            let written: Result<(), WriteError> = store.write(move |tx| came.write(tx)).await;
            written.map(|()| (evaluations, failures, samples)).map_err(|error| error.to_string())
        }
        Err(error) => Err(error),
    };
    let seconds = began.elapsed().as_secs_f64();
    metrics.count(&name, |counts| {
        counts.iterations += 1;
        counts.seconds += seconds;
        counts.last_seconds = seconds;
        match &kept {
            Ok((evaluations, failures, samples)) => {
                counts.evaluations += evaluations;
                counts.failures += failures;
                counts.samples += samples;
            }
            Err(_) => counts.failed_iterations += 1,
        }
    });
    if let Err(error) = kept {
        tracing::error!(group = name, "nothing was kept of an evaluation, the next one goes on: {error}");
    }
}
