//! The objective room: what users feel. It counts, a quarter of a minute at a time, what of each service was answered, in time,
//! and right; judges how fast the budgets of its objectives are spent (`rules`); and tells an alert where one burns, which the
//! alert room takes as it takes those of others.

mod config;
mod learned;
mod metrics;
pub mod rules;
mod sources;
mod tables;
#[cfg(test)]
mod tests;
mod usual;

pub use config::{LatencyConfig, ObjectiveConfig, ServiceConfig};
pub use metrics::ObjectiveMetrics;

use crate::room::{Progress, Room, RoomError, reading};
use sources::Sources;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};
use tables::{CountedHour, Labelled, Ledger, SLOT_MILLIS, SLOTS_PER_HOUR, SeenLabels, slot_of};
use tandem_domain::{
    Record, Severity, Timestamp,
    alert::{AlertState, Fingerprint, ToldAlert},
    entity::EntityId,
    objective::{Indicator, Keeping, Learned, OBJECTIVES, Objective, ObjectiveStanding},
    prediction::ServiceTraffic,
    series::Labels,
};
use tandem_store::{ReadError, ReadTx, Store, WriteError, WriteTx};
use usual::{
    Judged, REPLAYED_SLOTS, Usual,
    labels::{Agreement, Labels as Labelling},
    rules::Sent,
};

/// The reader of slots: the last that was counted.
const CURSOR: &str = "objective/slot";
/// A slot is counted so long after its end, in milliseconds: senders need a moment.
const GRACE_MILLIS: i64 = 10_000;
/// Slots counted in one pass.
const SLOTS_PER_PASS: i64 = 20;
/// How far back a first start counts, in slots: an hour, so that it knows at once how things stand.
const FIRST_SLOTS: i64 = 240;
/// Hours kept: as many as the longest window has, and the running one.
const KEPT_HOURS: i64 = rules::LONGEST_MINUTES / 60 + 1;
/// Sources are looked for anew at least so often, in slots, and whenever meanings changed.
const LOOK_EVERY_SLOTS: i64 = 20;
/// Rows of services and hours read at a start.
const MAX_ROWS: usize = 1_000_000;

/// An objective that is watched.
type Watched = (String, &'static str);

/// The objective room.
pub struct ObjectiveRoom {
    store: Store,
    config: ObjectiveConfig,
    configured: BTreeMap<String, Vec<Objective>>,
    metrics: Arc<ObjectiveMetrics>,
    sources: Arc<Sources>,
    /// The slot at which sources were last looked for, and how far meanings had changed then.
    looked: Option<(i64, u64)>,
    ledgers: BTreeMap<Watched, Ledger>,
    usual: Usual,
    /// Labels of each service.
    answers: BTreeMap<String, Labelling>,
    /// Services whose answers were worse than usual at the last stop: since which slot, and by what.
    worse: BTreeMap<String, (i64, Learned)>,
    loaded: bool,
}

/// What a slot came to.
struct SlotResult {
    slot: i64,
    /// Good and all, by service and indicator.
    counted: Vec<(String, Objective, f64, f64)>,
    labels: Vec<SeenLabels>,
    /// Slots of what each replica counted, oldest first, by service; more than one of a service that is new here.
    sent: BTreeMap<String, SentSlots>,
    /// All labels of each version (`model@version`) so far, by service.
    labelled: BTreeMap<String, Vec<(String, Agreement)>>,
}

/// The first slot, how many, and what each replica counted in each.
type SentSlots = (i64, usize, BTreeMap<EntityId, Vec<Sent>>);

impl ObjectiveRoom {
    /// A room over a store. What a service's configuration says of objectives is checked before.
    pub fn new(store: Store, config: ObjectiveConfig, services: &[ServiceConfig]) -> Self {
        let of = |service: &ServiceConfig| (service.name.clone(), service.objectives().unwrap_or_default());
        Self {
            store,
            config,
            configured: services.iter().map(of).collect(),
            metrics: Arc::default(),
            sources: Arc::default(),
            looked: None,
            ledgers: BTreeMap::new(),
            usual: Usual::default(),
            answers: BTreeMap::new(),
            worse: BTreeMap::new(),
            loaded: false,
        }
    }

    /// Its counters.
    pub fn metrics(&self) -> Arc<ObjectiveMetrics> {
        self.metrics.clone()
    }

    /// Reads what was counted before a restart, and drops what no window reaches any more.
    async fn load(&mut self, now: Timestamp) -> Result<(), RoomError> {
        let hours = reading(&self.store, |read| read.scan::<CountedHour>(.., MAX_ROWS)).await?;
        let oldest = slot_of(now).div_euclid(SLOTS_PER_HOUR) - KEPT_HOURS;
        let (hours, over): (Vec<_>, Vec<_>) = hours.into_iter().partition(|hour| hour.hour >= oldest);
        if !over.is_empty() {
            let drop_all =
                move |tx: &mut WriteTx<'_>| over.iter().try_for_each(|hour| tx.remove::<CountedHour>(&hour.key()));
            self.store.write(drop_all).await?;
        }
        let mut by_objective: BTreeMap<Watched, Vec<CountedHour>> = BTreeMap::new();
        for hour in hours {
            let known = ["availability", "latency", "quality"].into_iter().find(|name| *name == hour.indicator);
            if let Some(indicator) = known {
                by_objective.entry((hour.service.clone(), indicator)).or_default().push(hour);
            }
        }
        self.ledgers = by_objective.into_iter().map(|(watched, hours)| (watched, Ledger::of(hours))).collect();
        let standings = reading(&self.store, |read| read.scan::<ObjectiveStanding>(.., MAX_ROWS)).await?;
        let is_worse =
            |one: &ObjectiveStanding| one.keeping == Keeping::Burning && one.objective.indicator == Indicator::Quality;
        let worse = standings.into_iter().filter(is_worse);
        self.worse = worse.filter_map(|one| Some((one.service, (slot_of(one.since), one.learned?)))).collect();
        self.loaded = true;
        Ok(())
    }

    /// Finds sources anew where meanings changed, or from time to time: who serves whom may have changed too.
    async fn look(&mut self, slot: i64) -> Result<(), RoomError> {
        let changes = self.store.read()?.log_end::<crate::signal::MeaningChange>()?;
        let current = |(at, seen): (i64, u64)| seen == changes && slot < at + LOOK_EVERY_SLOTS;
        if !self.looked.is_some_and(current) {
            self.sources = Arc::new(reading(&self.store, Sources::find).await?);
            self.looked = Some((slot, changes));
        }
        Ok(())
    }

    /// The objectives of every service that is configured or found.
    fn objectives(&self) -> Vec<(String, Objective)> {
        let names: BTreeSet<&str> = self.configured.keys().map(String::as_str).chain(self.sources.services()).collect();
        let of = |name: &str| {
            let objectives = self.configured.get(name).cloned().unwrap_or_else(|| self.config.of_found());
            objectives.into_iter().map(move |objective| (name.to_owned(), objective)).collect::<Vec<_>>()
        };
        names.into_iter().flat_map(of).collect()
    }

    /// Counts a slot and commits what it comes to.
    async fn count(&mut self, slot: i64) -> Result<(), RoomError> {
        self.look(slot).await?;
        let (objectives, sources) = (self.objectives(), self.sources.clone());
        self.metrics.objectives.set(objectives.len() as u64);
        let wanted = self.unread(slot);
        let read = move |read: &ReadTx| {
            let mut result = count_slot(read, &sources, objectives, slot)?;
            result.labelled = by_version(read)?;
            for (service, first, slots) in wanted {
                let sent = sources.sent(read, &service, first, slots)?;
                result.sent.insert(service, (first, slots, sent));
            }
            Ok(result)
        };
        let result = reading(&self.store, read).await?;
        let (standings, hours, dropped) = self.judge(&result);
        self.metrics.burning.set(standings.iter().filter(|one| one.keeping == Keeping::Burning).count() as u64);
        self.store
            .write(move |tx| {
                hours.iter().try_for_each(|hour| tx.put(hour))?;
                for hour in &dropped {
                    tx.remove::<CountedHour>(&hour.key())?;
                }
                result.labels.iter().try_for_each(|labels| tx.put(labels))?;
                settle(tx, standings)?;
                tx.set_cursor(CURSOR, slot.max(0) as u64)
            })
            .await?;
        self.metrics.slots.add(1);
        Ok(())
    }

    /// Of which services what is usual is learned, and which slots have to be read of each: of one that is new here those that
    /// its past needs too.
    fn unread(&mut self, slot: i64) -> Vec<(String, i64, usize)> {
        let names: Vec<String> = self.sources.services().map(str::to_owned).collect();
        let there: BTreeSet<&str> = names.iter().map(String::as_str).collect();
        self.usual.keep_only(|name| there.contains(name));
        let of = |name: String| match self.usual.knows(&name) {
            true => (name, slot, 1),
            false => (name, slot - REPLAYED_SLOTS + 1, REPLAYED_SLOTS as usize),
        };
        names.into_iter().map(of).collect()
    }

    /// Takes in what was read of each service, and says how each stands beside what was usual.
    fn learn(&mut self, sent: &BTreeMap<String, SentSlots>) -> BTreeMap<String, Judged> {
        let mut judged = BTreeMap::new();
        for (service, (first, slots, by_replica)) in sent {
            for place in 0..*slots {
                let one: Vec<(EntityId, Sent)> =
                    by_replica.iter().map(|(id, sent)| (id.clone(), sent[place])).collect();
                let stands = self.usual.take(service, first + place as i64, &one, self.config.least_bad);
                judged.insert(service.clone(), stands);
            }
        }
        judged
    }

    /// Adds what was counted to the ledgers and judges each objective.
    fn judge(&mut self, result: &SlotResult) -> (Vec<ObjectiveStanding>, Vec<CountedHour>, Vec<CountedHour>) {
        let (mut standings, mut hours, mut dropped) = (Vec::new(), Vec::new(), Vec::new());
        let at = Timestamp((result.slot + 1) * SLOT_MILLIS);
        let learned = self.learn(&result.sent);
        for (service, objective, good, total) in &result.counted {
            let indicator = objective.indicator.name();
            let ledger = self.ledgers.entry((service.clone(), indicator)).or_default();
            if *total > 0.0 {
                let (hour, gone) = ledger.add((service, indicator), result.slot, (*good, *total), KEPT_HOURS);
                hours.push(hour);
                dropped.extend(gone);
            }
            let counted: Vec<_> =
                rules::WINDOWS_MINUTES.iter().map(|minutes| ledger.counted(result.slot, *minutes)).collect();
            let standing = learned::of_budget(service, objective, counted, self.config.least_bad, at);
            let found = objective.indicator == Indicator::Availability && !self.configured.contains_key(service);
            standings.push(match learned.get(service).filter(|_| found) {
                Some(judged) => learned::availability(standing, judged, &self.sources),
                None => standing,
            });
        }
        for (service, judged) in &learned {
            let promised = self.configured.get(service).into_iter().flatten();
            if !promised.into_iter().any(|objective| objective.indicator.name() == "latency") {
                standings.push(learned::latency(service, judged, &self.usual, &self.sources, at));
            }
        }
        standings.extend(self.answers(result, at));
        (standings, hours, dropped)
    }

    /// How the answers of each service stand beside what was usual, where nothing was promised of them.
    fn answers(&mut self, result: &SlotResult, at: Timestamp) -> Vec<ObjectiveStanding> {
        let mut standings = Vec::new();
        self.answers.retain(|service, _| result.labelled.contains_key(service));
        for (service, versions) in &result.labelled {
            let mut promised = self.configured.get(service).into_iter().flatten();
            if promised.any(|objective| objective.indicator == Indicator::Quality) {
                continue;
            }
            let worse = self.worse.remove(service);
            let burning = worse.as_ref().map(|(since, learned)| (*since, learned));
            let answers = self.answers.entry(service.clone()).or_default().take(result.slot, versions, burning);
            standings.push(learned::quality(service, &answers, at));
        }
        standings
    }
}

/// All labels of each version so far, by service.
fn by_version(read: &ReadTx) -> Result<BTreeMap<String, Vec<(String, Agreement)>>, ReadError> {
    let mut all: BTreeMap<String, Vec<(String, Agreement)>> = BTreeMap::new();
    for ServiceTraffic { service, model, version, labels, agreed, .. } in read.scan::<ServiceTraffic>(.., MAX_ROWS)? {
        let counted = Agreement { labels: labels as f64, agreed: agreed as f64 };
        all.entry(service).or_default().push((format!("{model}@{version}"), counted));
    }
    Ok(all)
}

/// Counts one slot.
fn count_slot(
    read: &ReadTx,
    sources: &Sources,
    objectives: Vec<(String, Objective)>,
    slot: i64,
) -> Result<SlotResult, ReadError> {
    let time = (Timestamp(slot * SLOT_MILLIS), Timestamp((slot + 1) * SLOT_MILLIS));
    let mut result =
        SlotResult { slot, counted: Vec::new(), labels: Vec::new(), sent: BTreeMap::new(), labelled: BTreeMap::new() };
    for (service, objective) in objectives {
        let (good, total) = match objective.indicator {
            Indicator::Availability => {
                let counted = sources.counted(read, &service, None, time)?;
                (counted.answered, counted.requests)
            }
            Indicator::Latency { within_seconds } => {
                let counted = sources.counted(read, &service, Some(within_seconds), time)?;
                (counted.answered, counted.requests)
            }
            Indicator::Quality => {
                let (seen, new) = labelled(read, &service)?;
                result.labels.extend(seen);
                (new.agreed as f64, new.labels as f64)
            }
        };
        result.counted.push((service, objective, good, total));
    }
    Ok(result)
}

/// Labels of a service that were not counted yet, and what is counted with them.
fn labelled(read: &ReadTx, service: &str) -> Result<(Option<SeenLabels>, Labelled), ReadError> {
    let begin = (service.to_owned(), String::new());
    let versions = read.scan::<ServiceTraffic>(begin.., MAX_ROWS)?;
    let now = versions.iter().take_while(|traffic| traffic.service == service).fold(
        Labelled::default(),
        |sum: Labelled, traffic| Labelled { labels: sum.labels + traffic.labels, agreed: sum.agreed + traffic.agreed },
    );
    let before = read.get::<SeenLabels>(&service.to_owned())?.map(|known| known.seen);
    let seen = (before != Some(now)).then(|| SeenLabels { service: service.to_owned(), seen: now });
    // What came before anybody asked is no news; and what retention forgot must not count backwards.
    let before = before.filter(|before| before.labels <= now.labels && before.agreed <= now.agreed).unwrap_or(now);
    Ok((seen, Labelled { labels: now.labels - before.labels, agreed: now.agreed - before.agreed }))
}

/// Writes standings, and tells alerts of those that began or ceased to burn. An objective that nobody watches any more is over.
fn settle(tx: &mut WriteTx<'_>, standings: Vec<ObjectiveStanding>) -> Result<(), WriteError> {
    let known = tx.scan::<ObjectiveStanding>(.., MAX_ROWS)?;
    let mut known: BTreeMap<_, _> = known.into_iter().map(|standing| (standing.key(), standing)).collect();
    for mut standing in standings {
        let before = known.remove(&standing.key());
        if let Some(before) = before.as_ref().filter(|before| before.keeping == standing.keeping) {
            standing.since = before.since;
            if standing.learned.is_some() && standing.keeping == Keeping::Burning {
                // How many are concerned goes up and down; a symptom that was grave once stays so, rather than being told anew.
                standing.severity = standing.severity.max(before.severity);
            }
        }
        let burned = before.and_then(|before| before.severity);
        if burned != standing.severity {
            alerts(&standing, burned).iter().try_for_each(|alert| tx.append(alert).map(drop))?;
        }
        tx.put(&standing)?;
    }
    for gone in known.into_values() {
        let over = ObjectiveStanding { severity: None, ..gone.clone() };
        alerts(&over, gone.severity).iter().try_for_each(|alert| tx.append(alert).map(drop))?;
        tx.remove::<ObjectiveStanding>(&gone.key())?;
    }
    Ok(())
}

/// The alerts by which others learn that a standing changed: the one that ends, and the one that begins.
fn alerts(standing: &ObjectiveStanding, burned: Option<Severity>) -> Vec<ToldAlert> {
    let ended = burned.map(|severity| told(standing, severity, AlertState::Resolved));
    let begun = standing.severity.map(|severity| told(standing, severity, AlertState::Firing));
    ended.into_iter().chain(begun).collect()
}

fn told(standing: &ObjectiveStanding, severity: Severity, state: AlertState) -> ToldAlert {
    let indicator = standing.objective.indicator.name();
    let word = if severity == Severity::Critical { "critical" } else { "warning" };
    let labels = [
        ("alertname", format!("objective.{indicator}")),
        ("service", standing.service.clone()),
        ("severity", word.to_owned()),
    ];
    let labels = Labels::new(labels.map(|(name, value)| (name.to_owned(), value)));
    let annotations = [
        ("summary", format!("{}: {}", standing.service, standing.sentence)),
        ("action", "Look at the verdict of the service: it says what lies below, and what changed.".to_owned()),
    ];
    ToldAlert {
        source: OBJECTIVES.into(),
        fingerprint: Fingerprint::of_labels(&labels),
        state,
        labels,
        annotations: Labels::new(annotations.map(|(name, value)| (name.to_owned(), value))),
        started_at: standing.at,
        ends_at: (state == AlertState::Resolved).then_some(standing.at),
    }
}

impl Room for ObjectiveRoom {
    fn name(&self) -> &'static str {
        "objective"
    }

    async fn step(&mut self, now: Timestamp) -> Result<Progress, RoomError> {
        if !self.loaded {
            self.load(now).await?;
        }
        let newest = slot_of(now.plus_millis(-GRACE_MILLIS)) - 1;
        let counted = self.store.read()?.cursor(CURSOR)? as i64;
        let oldest_wanted = newest - rules::LONGEST_MINUTES * 60_000 / SLOT_MILLIS;
        let first = if counted == 0 { newest - FIRST_SLOTS } else { (counted + 1).max(oldest_wanted) };
        if counted != 0 && first > counted + 1 {
            self.metrics.skipped_slots.add((first - counted - 1) as u64);
        }
        let last = newest.min(first + SLOTS_PER_PASS - 1);
        for slot in first..=last {
            self.count(slot).await?;
        }
        let wake_at = Some(Timestamp((newest + 2) * SLOT_MILLIS + GRACE_MILLIS));
        Ok(Progress { worked: first <= last, more: last < newest, wake_at })
    }
}
