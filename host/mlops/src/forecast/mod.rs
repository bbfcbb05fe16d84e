//! Tandem's own forecasters: disk fill, memory and network of this machine some minutes ahead. They are a model service like
//! anybody's: predictions now, the values that came as labels later, drift and accuracy by the rooms that serve all, and this
//! host below it. So a server that nobody has told anything yet has something true to say.
//!
//! A round is made whenever new values came, every ten seconds as long as a fit is new and needs rows to be compared, then
//! once a minute: at most 40 rows a round, 58,000 a day, so that a million rows that are kept hold weeks of them.

mod config;
mod method;
mod metrics;
mod place;
mod signals;
mod tables;

pub use config::ForecastConfig;
pub(crate) use metrics::ForecastCounts;

use crate::{
    drift::WindowsConfig,
    monitor::{keep_labels, keep_predictions},
};
use method::{Ahead, Course, HORIZONS_SECONDS, LEAST_POINTS, Quantity, moved};
use signals::{Machine, Signal, Source, courses, machine};
use std::{
    collections::BTreeMap,
    hash::{Hash, Hasher},
    sync::Arc,
};
use tables::{BandWidth, Forecaster, OwedLabel, moment};
use tandem_domain::{
    Timestamp,
    drift::{DriftStanding, DriftState},
    prediction::{FeatureValue, Prediction, TruthLabel},
};
use tandem_store::{ReadTx, Store, WriteError, WriteTx};

/// The name of the service.
pub const SERVICE: &str = "tandem-forecast";
/// The name of its model.
const MODEL: &str = "damped-trend";

/// The least time between two rounds of a new fit, in milliseconds: below the usual 15 s between two values, so that each is
/// seen.
const QUICK_ROUND_MILLIS: i64 = 10_000;
/// As long as a fit counts as new, in milliseconds: until it has its reference and its first report on the smallest machine.
const QUICK_MILLIS: i64 = 180_000;
/// Between two rounds later, in milliseconds.
const ROUND_MILLIS: i64 = 60_000;
/// How far back a forecast looks, in milliseconds.
const COURSE_MILLIS: i64 = 3_600_000;
/// How far back a fit looks, in milliseconds: a working day's busy and quiet hours, a few thousand values a signal.
const FIT_MILLIS: i64 = 6 * 3_600_000;
/// A signal whose newest value is older has vanished, in milliseconds: a few collections.
const SILENT_MILLIS: i64 = 60_000;
/// A fit on fewer points than this is made again soon: it has seen no more than how the server started.
const LEAST_FITTED_POINTS: u64 = 40;
/// How soon, in milliseconds; and how soon after a fit that has drifted.
const REFIT_SOON_MILLIS: i64 = 900_000;
/// How old a fit gets, in milliseconds: a day.
const REFIT_MILLIS: i64 = 24 * 3_600_000;
/// How often labels are looked for, in milliseconds.
const SETTLE_EVERY_MILLIS: i64 = 5_000;
/// How often new values are looked for when a round is due, in milliseconds.
const LOOK_EVERY_MILLIS: i64 = 2_000;
/// A course that spans less shows no step between its values, in milliseconds: the first two collections of a start follow each
/// other closely.
const LEAST_SPAN_MILLIS: i64 = 10_000;
/// How long the value of a moment is waited for, in milliseconds: some collections, and a restart of the server.
const PATIENCE_MILLIS: i64 = 120_000;
/// Labels settled in one transaction: all that come due while the patience lasts.
const SETTLED_AT_ONCE: usize = 1_000;
/// How often the service is told to the graph, in milliseconds: well within the hour after which a relation is forgotten.
const TELL_EVERY_MILLIS: i64 = 600_000;

/// The rhythm of its drift reports: a first one within two minutes, from the few rows that a small machine has by then.
pub(crate) fn windows() -> WindowsConfig {
    WindowsConfig {
        reference_rows: Some(40),
        window_rows: Some(300),
        report_every_rows: Some(300),
        first_report_rows: Some(30),
    }
}

/// The room.
pub struct ForecastRoom {
    store: Store,
    config: ForecastConfig,
    counts: Arc<ForecastCounts>,
    /// Looked at before: nothing is due until then.
    next_settle_at: Timestamp,
    next_look_at: Timestamp,
}

/// What one round comes to.
struct Round {
    machine: Machine,
    courses: Vec<Course>,
    forecaster: Forecaster,
    refitted: bool,
    told: bool,
}

impl ForecastRoom {
    /// The room at rest.
    pub fn new(store: Store, config: ForecastConfig) -> Self {
        let (next_settle_at, next_look_at) = (Timestamp::MIN, Timestamp::MIN);
        Self { store, config, counts: Arc::default(), next_settle_at, next_look_at }
    }

    pub(crate) fn counts(&self) -> Arc<ForecastCounts> {
        self.counts.clone()
    }

    /// Settles what is owed, then forecasts when it is time.
    ///
    /// # Errors
    /// When the store cannot be read or written; the same is tried again at the next pass.
    pub async fn step(&mut self, now: Timestamp) -> Result<(), WriteError> {
        if !self.config.enabled {
            return Ok(());
        }
        if is_due(self.next_settle_at, now, SETTLE_EVERY_MILLIS) {
            self.settle(now).await?;
            self.next_settle_at = now.plus_millis(SETTLE_EVERY_MILLIS);
        }
        if is_due(self.next_look_at, now, ROUND_MILLIS) {
            self.round(now).await?;
        }
        Ok(())
    }

    /// Labels for forecasts whose time has come and whose value is there. What nobody saw within the patience is given up, and
    /// so is what a clock that was set back left in the future: no value is made up.
    async fn settle(&self, now: Timestamp) -> Result<(), WriteError> {
        let read = self.store.read()?;
        let due = read.scan::<OwedLabel>(..=(moment(now), String::from('\u{10ffff}')), SETTLED_AT_ONCE)?;
        let longest = HORIZONS_SECONDS.iter().max().map_or(0, |seconds| *seconds as i64 * 1_000);
        let beyond = moment(now.plus_millis(longest + QUICK_ROUND_MILLIS));
        let strays = read.scan::<OwedLabel>((beyond, String::new()).., SETTLED_AT_ONCE)?;
        self.counts.owed.set(read.count::<OwedLabel>()?);
        let mut settled = Vec::new();
        let mut given_up = strays;
        for owed in due {
            let (start, end) = (owed.due_at.plus_millis(-PATIENCE_MILLIS), owed.due_at.plus_millis(PATIENCE_MILLIS));
            let course = courses(&read, &[owed.source], start, end)?.pop().unwrap_or_default();
            match course.value_at(owed.due_at) {
                Some(value) => settled.push((owed, value)),
                None if now.millis_since(owed.due_at) > PATIENCE_MILLIS => given_up.push(owed),
                None => {}
            }
        }
        drop(read);
        if settled.is_empty() && given_up.is_empty() {
            return Ok(());
        }
        let (labels, dropped) = (settled.len() as u64, given_up.len() as u64);
        self.store
            .write(move |tx| {
                for owed in &given_up {
                    tx.remove::<OwedLabel>(&tandem_domain::Record::key(owed))?;
                }
                settled.iter().try_for_each(|(owed, value)| settle_one(tx, owed, *value, now))
            })
            .await?;
        self.counts.labels.add(labels);
        self.counts.given_up.add(dropped);
        Ok(())
    }

    /// Forecasts every signal that has a course, for each horizon, where values came since the last round.
    async fn round(&mut self, now: Timestamp) -> Result<(), WriteError> {
        let read = self.store.read()?;
        let before = read.get::<Forecaster>(&0)?;
        let quick = before.as_ref().is_none_or(|known| is_quick(known, now));
        let apart = if quick { QUICK_ROUND_MILLIS } else { ROUND_MILLIS };
        if let Some(known) = before.as_ref().filter(|known| !is_due(known.round_at.plus_millis(apart), now, apart)) {
            self.next_look_at = known.round_at.plus_millis(apart);
            return Ok(());
        }
        // Where nothing is collected of this machine, it is looked again after a while, which costs one short scan.
        self.next_look_at = now.plus_millis(LOOK_EVERY_MILLIS);
        let Some(round) = look(&read, before, now)? else { return Ok(()) };
        let mut rows = Vec::new();
        for (signal, course) in round.machine.signals.iter().zip(&round.courses) {
            if course.at.len() < LEAST_POINTS {
                continue;
            }
            let mut factors = Vec::with_capacity(HORIZONS_SECONDS.len());
            for horizon in HORIZONS_SECONDS {
                let key = (signal.name.clone(), horizon);
                factors.push(read.get::<BandWidth>(&key)?.map_or(1.0, |width| width.factor));
            }
            rows.extend(rows_of(signal, course, &round.forecaster, &factors, now));
        }
        drop(read);
        // In no order, so that where a reference ends within a round it holds some of every signal and horizon.
        rows.sort_by_cached_key(|(prediction, _)| hash(&prediction.id));
        let (count, refitted) = (rows.len() as u64, round.refitted);
        let host = round.machine.host.filter(|_| round.told);
        self.store
            .write(move |tx| {
                let (predictions, owed): (Vec<_>, Vec<_>) = rows.into_iter().unzip();
                keep_predictions(tx, predictions)?;
                owed.iter().try_for_each(|owed| tx.put(owed))?;
                if let Some(host) = &host {
                    tx.append(&place::told(host, now))?;
                }
                tx.put(&round.forecaster)
            })
            .await?;
        self.counts.predictions.add(count);
        self.counts.fits.add(u64::from(refitted));
        Ok(())
    }
}

/// A number that has nothing to do with what a text says, and is the same each time.
fn hash(text: &str) -> u64 {
    let mut hasher = std::hash::DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}

/// Whether a planned moment has come, also when the clock was set back behind it.
fn is_due(planned: Timestamp, now: Timestamp, apart_millis: i64) -> bool {
    now >= planned || planned.millis_since(now) > apart_millis
}

fn is_quick(forecaster: &Forecaster, now: Timestamp) -> bool {
    (0..QUICK_MILLIS).contains(&now.millis_since(forecaster.fitted_at))
}

/// Whether a fit is too old, was made on too little, or what it is given has moved.
fn wants_fit(read: &ReadTx, known: &Forecaster, now: Timestamp) -> Result<bool, WriteError> {
    let age = now.millis_since(known.fitted_at);
    if !(0..REFIT_MILLIS).contains(&age) {
        return Ok(true);
    }
    if age < REFIT_SOON_MILLIS {
        return Ok(false);
    }
    let key = (SERVICE.to_owned(), format!("{MODEL}@{}", known.version));
    let drifted = read.get::<DriftStanding>(&key)?.is_some_and(|standing| standing.state == DriftState::Drifted);
    Ok(drifted || known.fitted_points < LEAST_FITTED_POINTS)
}

/// This machine as it is now; none when nothing new came.
fn look(read: &ReadTx, before: Option<Forecaster>, now: Timestamp) -> Result<Option<Round>, WriteError> {
    let machine = machine(read)?;
    if machine.host.is_none() || machine.signals.is_empty() {
        return Ok(None);
    }
    let sources: Vec<Source> = machine.signals.iter().map(|signal| signal.source).collect();
    let mut found = courses(read, &sources, now.plus_millis(-COURSE_MILLIS), now)?;
    for course in &mut found {
        let spans = |(first, last): (&Timestamp, &Timestamp)| last.millis_since(*first) >= LEAST_SPAN_MILLIS;
        let is_course = course.at.first().zip(course.at.last()).is_some_and(spans);
        if !is_course || course.at.last().is_some_and(|last| now.millis_since(*last) > SILENT_MILLIS) {
            *course = Course::default();
        }
    }
    let Some(seen_at) = found.iter().filter_map(|course| course.at.last()).max().copied() else { return Ok(None) };
    // Collections are out of step with one another: a round waits until each signal has a new value, so that no round is of
    // some alone, unless one keeps it waiting.
    if let Some(known) = &before {
        let mut last = found.iter().filter_map(|course| course.at.last());
        let all_new = last.all(|last| *last > known.round_at);
        let waited = !(0..ROUND_MILLIS).contains(&now.millis_since(known.round_at));
        if known.seen_at == seen_at || !(all_new || waited) {
            return Ok(None);
        }
    }
    let refitted = match &before {
        None => true,
        Some(known) => wants_fit(read, known, now)?,
    };
    let told = before
        .as_ref()
        .is_none_or(|known| is_due(known.told_at.plus_millis(TELL_EVERY_MILLIS), now, TELL_EVERY_MILLIS));
    let mut forecaster = match before {
        Some(known) if !refitted => known,
        before => fitted(read, &machine, &sources, before, now)?,
    };
    (forecaster.round_at, forecaster.seen_at) = (now, seen_at);
    if told {
        forecaster.told_at = now;
    }
    Ok(Some(Round { machine, courses: found, forecaster, refitted, told }))
}

/// A new version, fitted on what was seen lately.
fn fitted(
    read: &ReadTx,
    machine: &Machine,
    sources: &[Source],
    before: Option<Forecaster>,
    now: Timestamp,
) -> Result<Forecaster, WriteError> {
    let courses = courses(read, sources, now.plus_millis(-FIT_MILLIS), now)?;
    let fitted_points = courses.iter().map(|course| course.at.len() as u64).max().unwrap_or(0);
    let quantities = machine.signals.iter().map(|signal| signal.quantity);
    let trend_seconds = method::fit(&quantities.zip(courses).collect::<Vec<_>>());
    let (version, told_at) = before.map_or((1, Timestamp(0)), |known| (known.version + 1, known.told_at));
    tracing::info!(version, points = fitted_points, "the forecaster of this machine was fitted");
    Ok(Forecaster { version, fitted_at: now, fitted_points, trend_seconds, round_at: now, seen_at: now, told_at })
}

/// The rows of one signal: each prediction with the label that is owed for it.
fn rows_of(
    signal: &Signal,
    course: &Course,
    forecaster: &Forecaster,
    factors: &[f64],
    now: Timestamp,
) -> Vec<(Prediction, OwedLabel)> {
    let Some((last_at, last)) = course.at.last().zip(course.value.last()) else { return Vec::new() };
    let trend = forecaster.trend_seconds.get(&signal.quantity).copied().unwrap_or(0.0);
    // A network's share is of what the interface carries, and of an untold speed may be more.
    let most = if signal.quantity == Quantity::Network { f64::INFINITY } else { 1.0 };
    let step = course.step_seconds();
    let missed = ((now.millis_since(*last_at) as f64 / 1_000.0) / step.max(1.0)).floor();
    let row = |(horizon, ahead): (&u64, Ahead)| {
        let id = format!("{}/{horizon}s/{}", signal.name, last_at.0);
        let features = BTreeMap::from([
            ("signal".to_owned(), FeatureValue::Text(signal.name.clone())),
            ("horizon_seconds".to_owned(), FeatureValue::Number(*horizon as f64)),
            // In tenths: the model is the same for a disk that is half full and one that is a little fuller.
            ("level_tenths".to_owned(), FeatureValue::Number((last * 10.0).floor())),
            ("direction".to_owned(), FeatureValue::Text(course.direction().to_owned())),
            // In quarters of a minute: a collection that is late now and then is no other rhythm.
            ("step_seconds".to_owned(), FeatureValue::Number((step / 15.0).round() * 15.0)),
            ("steps_missed".to_owned(), FeatureValue::Number(missed)),
        ]);
        let prediction = Prediction {
            service: SERVICE.into(),
            model: MODEL.into(),
            version: forecaster.version.to_string(),
            id: id.clone(),
            at: now,
            replica: String::new(),
            features,
            prediction: FeatureValue::Number(ahead.value),
            score: ahead.score.map(|score| (score * 100.0).round() / 100.0),
            band: Some(ahead.band),
        };
        let owed = OwedLabel {
            due_at: last_at.plus_millis(*horizon as i64 * 1_000),
            id,
            signal: signal.name.clone(),
            horizon_seconds: *horizon,
            source: signal.source,
            band: ahead.band,
        };
        (prediction, owed)
    };
    HORIZONS_SECONDS.iter().zip(course.ahead(trend, most, factors)).map(row).collect()
}

/// Gives a forecast its label, and moves the width of the bands to come.
fn settle_one(tx: &mut WriteTx<'_>, owed: &OwedLabel, value: f64, now: Timestamp) -> Result<(), WriteError> {
    let label = TruthLabel {
        service: SERVICE.into(),
        id: owed.id.clone(),
        label: FeatureValue::Number(value),
        at: now,
        received_at: now,
    };
    keep_labels(tx, vec![label])?;
    let key = (owed.signal.clone(), owed.horizon_seconds);
    let factor = tx.get::<BandWidth>(&key)?.map_or(1.0, |width| width.factor);
    let factor = moved(factor, owed.band.contains(value));
    tx.put(&BandWidth { signal: owed.signal.clone(), horizon_seconds: owed.horizon_seconds, factor })?;
    tx.remove::<OwedLabel>(&tandem_domain::Record::key(owed))
}

#[cfg(test)]
mod tests;
