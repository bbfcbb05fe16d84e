//! What of this machine is forecast, and the courses of it, read from the samples that its own collections brought.

use super::method::{Course, Quantity};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use tandem_domain::{
    Timestamp,
    entity::{Entity, EntityId},
    meaning::Meaning,
    series::{Points, SeriesId},
    target::{THIS_MACHINE, TargetKey, TargetStatus},
};
use tandem_store::{ReadError, ReadTx};

/// Signals that are forecast: a round of all of them is 40 rows.
const MAX_SIGNALS: usize = 8;
/// Of them at most so many directions of interfaces, so that filesystems are left room.
const MAX_DIRECTIONS: usize = 4;
/// Targets looked at to find this machine's own.
const MAX_TARGETS: usize = 10_000;
/// What an interface is taken to carry whose driver tells no speed, as those of virtual machines do, in bytes per second: one
/// gigabit. It is a measure to reckon shares in, the same for forecast and truth, and no claim.
const UNTOLD_SPEED: f64 = 125e6;
/// Steps from a merged entity to the one it has become.
const MAX_MERGE_STEPS: usize = 16;

/// Where the values of a signal come from.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Source {
    /// The share of a whole that is not available any more.
    Taken {
        /// What is available.
        available: SeriesId,
        /// Of what.
        whole: SeriesId,
    },
    /// A counter's rise per second, as a share of the most there can be.
    Rate {
        /// The counter.
        counter: SeriesId,
        /// The most, per second.
        most: f64,
    },
}

/// One thing that is forecast.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Signal {
    pub quantity: Quantity,
    /// For people, and as a category of what the model is given.
    pub name: String,
    pub source: Source,
}

/// What is known of this machine.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Machine {
    pub host: Option<Entity>,
    pub signals: Vec<Signal>,
}

/// The entity that an entity has become.
fn followed(read: &ReadTx, id: &EntityId) -> Result<Option<Entity>, ReadError> {
    let mut id = id.clone();
    for _ in 0..MAX_MERGE_STEPS {
        match read.get::<Entity>(&id.0)? {
            Some(Entity { merged_into: Some(next), .. }) => id = next,
            found => return Ok(found),
        }
    }
    Ok(None)
}

/// This machine and its signals; none where nothing of it is collected here.
pub(super) fn machine(read: &ReadTx) -> Result<Machine, ReadError> {
    let mut named: BTreeMap<EntityId, BTreeMap<String, SeriesId>> = BTreeMap::new();
    for status in read.scan::<TargetStatus>(.., MAX_TARGETS)? {
        let TargetKey { job, instance } = status.info.key;
        if instance != THIS_MACHINE || status.plugin.is_none() {
            continue;
        }
        for series in read.series_of_target(&TargetKey { job, instance })? {
            let Some(meaning) = read.get::<Meaning>(&series.id.0)? else { continue };
            let name = meaning.body.name.as_str();
            // An interface over which nothing ever went is none that anybody waits for.
            let silent = [RECEIVED, TRANSMITTED].contains(&name)
                && read.latest(series.id)?.is_none_or(|(_, bytes)| bytes <= 0.0);
            if WANTED.contains(&name) && !silent {
                named.entry(meaning.entity).or_default().insert(meaning.body.name, series.id);
            }
        }
    }
    let mut machine = Machine::default();
    for (id, series) in &named {
        if machine.host.is_none() && series.contains_key(MEMORY.1) {
            machine.host = followed(read, id)?;
        }
    }
    let host = machine.host.as_ref().map(|host| host.name.clone()).unwrap_or_default();
    let mut found = Vec::new();
    for (id, series) in &named {
        let name = followed(read, id)?.map_or_else(|| id.0.clone(), |entity| entity.name);
        let name = name.strip_suffix(&format!(" on {host}")).unwrap_or(&name).to_owned();
        let speed = match series.get(SPEED) {
            Some(speed) => read.latest(*speed)?.map(|(_, speed)| speed).filter(|speed| *speed > 0.0),
            None => None,
        };
        found.extend(signals(&name, series, speed.unwrap_or(UNTOLD_SPEED)));
    }
    found.sort_by(|a, b| (a.quantity, &a.name).cmp(&(b.quantity, &b.name)));
    let mut directions = 0;
    found.retain(|signal| {
        directions += usize::from(signal.quantity == Quantity::Network);
        signal.quantity != Quantity::Network || directions <= MAX_DIRECTIONS
    });
    // Memory is always among them, and where there are many filesystems, some of those are not.
    let beyond_disks = found.iter().filter(|signal| signal.quantity != Quantity::Disk).count();
    let mut disks = 0;
    found.retain(|signal| {
        disks += usize::from(signal.quantity == Quantity::Disk);
        signal.quantity != Quantity::Disk || disks + beyond_disks <= MAX_SIGNALS
    });
    machine.signals = found;
    Ok(machine)
}

/// Available and whole, by canonical name.
const MEMORY: (&str, &str) = ("host.memory.available", "host.memory.total");
const DISK: (&str, &str) = ("filesystem.available", "filesystem.size");
const RECEIVED: &str = "interface.receive.bytes";
const TRANSMITTED: &str = "interface.transmit.bytes";
const SPEED: &str = "interface.speed";
const WANTED: [&str; 7] = [MEMORY.0, MEMORY.1, DISK.0, DISK.1, RECEIVED, TRANSMITTED, SPEED];

/// The signals of one entity.
pub(super) fn signals(name: &str, series: &BTreeMap<String, SeriesId>, speed: f64) -> Vec<Signal> {
    let taken = |quantity, (available, whole): (&str, &str), name: String| {
        let source = Source::Taken { available: *series.get(available)?, whole: *series.get(whole)? };
        Some(Signal { quantity, name, source })
    };
    let rate = |metric: &str, way: &str| {
        let source = Source::Rate { counter: *series.get(metric)?, most: speed };
        Some(Signal { quantity: Quantity::Network, name: format!("{name} {way}"), source })
    };
    let found = [
        taken(Quantity::Disk, DISK, format!("disk {name}")),
        taken(Quantity::Memory, MEMORY, "memory".into()),
        rate(RECEIVED, "in"),
        rate(TRANSMITTED, "out"),
    ];
    found.into_iter().flatten().collect()
}

/// The courses of some sources from one moment to another, in their order.
pub(super) fn courses(
    read: &ReadTx,
    sources: &[Source],
    start: Timestamp,
    end: Timestamp,
) -> Result<Vec<Course>, ReadError> {
    let series: Vec<SeriesId> = sources
        .iter()
        .flat_map(|source| match source {
            Source::Taken { available, whole } => [*available, *whole],
            Source::Rate { counter, .. } => [*counter, *counter],
        })
        .collect();
    let points = read.points_of_many(&series, start, end)?;
    let course = |(source, points): (&Source, &[Points])| match (source, points) {
        (Source::Taken { .. }, [available, whole]) => taken(available, whole),
        (Source::Rate { most, .. }, [counter, ..]) => rates(counter, *most),
        _ => Course::default(),
    };
    Ok(sources.iter().zip(points.chunks(2)).map(course).collect())
}

fn taken(available: &Points, whole: &Points) -> Course {
    let mut course = Course::default();
    let Some(whole) = whole.value.iter().rev().find(|whole| **whole > 0.0) else { return course };
    for (at, available) in available.at.iter().zip(&available.value) {
        if available.is_finite() {
            course.at.push(*at);
            course.value.push((1.0 - available / whole).clamp(0.0, 1.0));
        }
    }
    course
}

/// A fall is a restart, and says nothing.
fn rates(counter: &Points, most: f64) -> Course {
    let mut course = Course::default();
    let known: Vec<(Timestamp, f64)> =
        counter.at.iter().copied().zip(counter.value.iter().copied()).filter(|(_, value)| value.is_finite()).collect();
    for pair in known.windows(2) {
        let (seconds, rise) = (pair[1].0.millis_since(pair[0].0) as f64 / 1_000.0, pair[1].1 - pair[0].1);
        if seconds > 0.0 && rise >= 0.0 {
            course.at.push(pair[1].0);
            course.value.push(rise / seconds / most);
        }
    }
    course
}
