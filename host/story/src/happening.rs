//! Faults and events: when they begin by the seed, which parts they meet, what they set, and what would be right to say.

use crate::{
    draw::Draws,
    error::{At, Problem, StoryError},
    expression::Node,
    limits::MAX_PROGRAMS,
    models::Model,
    parts::{Place, SERVICE},
    shape::{EventShape, FaultShape},
    world::{Override, Window, World},
};
use std::collections::{BTreeMap, BTreeSet};
use tandem_domain::{period::Period, verdict::CauseKind};

/// What is wrong from when until when, and what would be right to say of it. For judging, never for the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Truth {
    /// Where the cause lies: `model`, `data` or `infrastructure`.
    pub cause: CauseKind,
    /// Milliseconds since the story began, when it begins.
    pub from: i64,
    /// When the services begin to feel it.
    pub felt: i64,
    /// When it is over.
    pub until: i64,
    /// Entities that are a right answer, as `kind:scheme:value`.
    pub entities: BTreeSet<String>,
    /// Services that are affected, by name.
    pub services: BTreeSet<String>,
    /// The parts, for people.
    pub parts: Vec<String>,
}

/// A deployment that a story tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deployment {
    /// Milliseconds since the story began.
    pub at: i64,
    /// The service.
    pub service: String,
    /// Its model.
    pub model: String,
    /// The version that answers from now on.
    pub version: String,
}

/// What faults and events have in common.
struct Happening<'s> {
    at: &'s str,
    lasts: Option<Period>,
    ramp: Period,
    every: Option<Period>,
    on: Option<&'s str>,
    model: Option<&'s str>,
    set: &'s BTreeMap<String, String>,
    version: Option<&'s str>,
}

/// All that a story holds ready.
#[derive(Debug, Clone, Default)]
pub(crate) struct Schedule {
    pub truths: Vec<Truth>,
    pub deployments: Vec<Deployment>,
    /// When something begins or ends, and what, for people.
    pub told: Vec<(i64, String)>,
}

/// Where a happening falls.
struct Met {
    window: Window,
    parts: Vec<Place>,
    /// Numbers of models.
    models: Vec<usize>,
}

impl Schedule {
    pub(crate) fn build(
        file: &str,
        world: &mut World,
        models: &mut [Model],
        (faults, events): (&[FaultShape], &[EventShape]),
        ends: i64,
        draws: Draws,
    ) -> Result<Self, StoryError> {
        let mut schedule = Self::default();
        for (number, fault) in faults.iter().enumerate() {
            let place = || format!("fault.{number}");
            let happening = Happening {
                at: &fault.at,
                lasts: fault.lasts,
                ramp: fault.ramp,
                every: None,
                on: fault.on.as_deref(),
                model: fault.model.as_deref(),
                set: &fault.set,
                version: fault.version.as_deref(),
            };
            let draws = draws.of(&format!("fault {number}"));
            let met = schedule.happen(world, models, &happening, ends, draws).at(file, place)?;
            let truth = truth(world, models, fault, &met).at(file, place)?;
            schedule.told.push((met.window.from, format!("{:?} fault on {}", truth.cause, truth.parts.join(", "))));
            schedule.told.push((truth.until, format!("the fault on {} is over", truth.parts.join(", "))));
            schedule.truths.push(truth);
        }
        for (number, event) in events.iter().enumerate() {
            let happening = Happening {
                at: &event.at,
                lasts: event.lasts,
                ramp: Period::seconds(0),
                every: event.every,
                on: event.on.as_deref(),
                model: event.model.as_deref(),
                set: &event.set,
                version: event.version.as_deref(),
            };
            let draws = draws.of(&format!("event {number}"));
            let met = schedule.happen(world, models, &happening, ends, draws).at(file, || format!("event.{number}"))?;
            schedule
                .told
                .push((met.window.from, format!("planned, and no fault: {}", names(world, models, &met).join(", "))));
        }
        if world.overrides.len() > MAX_PROGRAMS {
            return Err(format!("more than {MAX_PROGRAMS} things are set")).at(file, || "fault".into());
        }
        schedule.deployments.sort_by_key(|deployment| deployment.at);
        schedule.told.sort();
        Ok(schedule)
    }

    fn happen(
        &mut self,
        world: &mut World,
        models: &mut [Model],
        happening: &Happening<'_>,
        ends: i64,
        draws: Draws,
    ) -> Result<Met, Problem> {
        let (least, most) = spread_of(happening.at).map_err(|told| format!("at: {told}"))?;
        let from = least + ((most - least) as f64 * draws.of("at").uniform(0, 0, 0)) as i64;
        if from >= ends {
            return Err("at: it begins when the story is over".into());
        }
        let until = happening.lasts.map_or(ends, |lasts| from.saturating_add(millis(lasts)));
        let every = happening.every.map_or(0, millis);
        if every > 0 && every < until - from {
            return Err("every is shorter than lasts".into());
        }
        let window = Window { from, until, ramp: millis(happening.ramp), every };
        let mut met = Met { window, parts: Vec::new(), models: Vec::new() };
        match (happening.on, happening.model) {
            (Some(on), None) => {
                met.parts = parts(world, on, draws.of("on")).map_err(|told| format!("on = {on:?}: {told}"))?;
                set_parts(world, &met, happening.set, draws)?;
                if happening.version.is_some() {
                    return Err("version goes with model = \"…\", not with on".into());
                }
            }
            (None, Some(model)) => {
                met.models = models_named(models, model, draws.of("model"))?;
                for &number in &met.models {
                    for (name, text) in happening.set {
                        models[number].set(world, name, text, window).map_err(|told| format!("set.{name}: {told}"))?;
                    }
                    if let Some(version) = happening.version {
                        self.deploy(&mut models[number], version, window, ends);
                    }
                }
            }
            _ => return Err("say either on = \"gpu:any\" or model = \"…\"".into()),
        }
        Ok(met)
    }

    /// A version comes, and the old one comes back when it goes.
    fn deploy(&mut self, model: &mut Model, version: &str, window: Window, ends: i64) {
        let (service, name) = (model.name().to_owned(), model.model().to_owned());
        let told = |at: i64, version: &str| Deployment {
            at,
            service: service.clone(),
            model: name.clone(),
            version: version.to_owned(),
        };
        let before = model.version_at(window.from - 1).to_owned();
        self.deployments.push(told(window.from, version));
        if window.until < ends {
            self.deployments.push(told(window.until, &before));
        }
        model.deploy(version, window);
    }
}

fn set_parts(world: &mut World, met: &Met, set: &BTreeMap<String, String>, draws: Draws) -> Result<(), Problem> {
    let Some(&(kind, _)) = met.parts.first() else { return Err("it meets no part".into()) };
    let lanes: Vec<u32> = met.parts.iter().map(|(_, part)| *part).collect();
    for (name, text) in set {
        let told = |told: String| format!("set.{name}: {told}");
        let variable = world.variable(kind, name).map_err(told)?;
        let node = Node::read(text, &world.names(kind, true)).map_err(told)?;
        if node.wanders() {
            return Err(format!("set.{name}: wander is a variable's own; make it one and use that"));
        }
        let (lanes, window, draws) = (lanes.clone(), met.window, draws.of(name));
        world.overrides.push(Override { kind, variable, node, lanes, window, draws });
    }
    Ok(())
}

/// Milliseconds of a period.
fn millis(period: Period) -> i64 {
    i64::try_from(period.0.as_millis()).unwrap_or(i64::MAX)
}

/// Reads `40m` or `40m..50m`, in milliseconds.
pub(crate) fn spread_of(text: &str) -> Result<(i64, i64), Problem> {
    let read =
        |text: &str| Period::parse(text).map(millis).ok_or_else(|| format!("{text:?} is no time like 40m or 90s"));
    let (least, most) = match text.split_once("..") {
        Some((least, most)) => (read(least)?, read(most)?),
        None => (read(text)?, read(text)?),
    };
    if most < least {
        return Err(format!("{text:?}: the later moment stands first"));
    }
    Ok((least, most))
}

/// The parts that a text like `gpu:any`, `2 of gpu`, `replica:all of ranker` means.
fn parts(world: &World, text: &str, draws: Draws) -> Result<Vec<Place>, Problem> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let (kind, which, of) = match words[..] {
        [one] => one.split_once(':').map(|(kind, which)| (kind, which, None)),
        [one, "of", of] if one.contains(':') => one.split_once(':').map(|(kind, which)| (kind, which, Some(of))),
        [count, "of", kind] => Some((kind, count, None)),
        [count, "of", kind, "of", of] => Some((kind, count, Some(of))),
        _ => None,
    }
    .ok_or("write it like gpu:any, gpu:all, 2 of gpu, host:node-03, or replica:any of ranker")?;
    let kind = world.parts.kind(kind).map_err(|told| told.replace(" before this", ""))?;
    let all = &world.parts.kinds[kind].parts;
    let mut found: Vec<u32> = (0..all.len() as u32).collect();
    if let Some(of) = of {
        found = linked_with(world, kind, of)?;
    }
    let take = match which {
        "all" => found.len(),
        "any" => 1,
        which => match which.parse::<usize>() {
            Ok(count) if (1..=found.len()).contains(&count) => count,
            Ok(count) => return Err(format!("there are {} to choose from, and not {count}", found.len())),
            Err(_) => {
                found.retain(|part| all[*part as usize].name == which);
                found.len()
            }
        },
    };
    if found.is_empty() {
        return Err("there is no such part".into());
    }
    found.sort_by_key(|part| draws.bits(u64::from(*part), 0, 0));
    found.truncate(take);
    found.sort_unstable();
    Ok(found.into_iter().map(|part| (kind, part)).collect())
}

/// How far from a part others are sought: service, replica, host, disk.
const FARTHEST: usize = 3;

/// Parts of a kind that are linked with the part of a name, or with what is linked with it, as a service's disks are through
/// the hosts of its replicas. What lies nearer, and of what lies equally near the kind declared last, stands before the rest.
fn linked_with(world: &World, kind: usize, name: &str) -> Result<Vec<u32>, Problem> {
    let kinds = &world.parts.kinds;
    let named =
        (0..kinds.len()).find_map(|k| Some((k, kinds[k].parts.iter().position(|part| part.name == name)? as u32)));
    let (named_kind, part) = named.ok_or_else(|| format!("no part is called {name:?}"))?;
    let mut near: BTreeMap<usize, BTreeSet<u32>> = BTreeMap::from([(named_kind, BTreeSet::from([part]))]);
    let linked = |from: usize, parts: &BTreeSet<u32>, to: usize| -> BTreeSet<u32> {
        parts.iter().flat_map(|part| kinds[from].links[to].of(*part as usize)).copied().collect()
    };
    for _ in 0..FARTHEST {
        let found = near.iter().rev().map(|(from, parts)| linked(*from, parts, kind)).find(|found| !found.is_empty());
        if let Some(found) = found {
            return Ok(found.into_iter().collect());
        }
        let mut next: BTreeMap<usize, BTreeSet<u32>> = BTreeMap::new();
        for (from, parts) in &near {
            for to in 0..kinds.len() {
                next.entry(to).or_default().extend(linked(*from, parts, to));
            }
        }
        near = next;
    }
    Err(format!("{name} is linked with no {}", kinds[kind].name))
}

fn models_named(models: &[Model], name: &str, draws: Draws) -> Result<Vec<usize>, Problem> {
    let known = || models.iter().map(Model::name).collect::<Vec<_>>().join(", ");
    let numbers: Vec<usize> = match name {
        "any" if !models.is_empty() => vec![(draws.bits(0, 0, 0) % models.len() as u64) as usize],
        "all" => (0..models.len()).collect(),
        name => models.iter().position(|model| model.name() == name).into_iter().collect(),
    };
    match numbers.is_empty() {
        true => Err(format!("model = {name:?}: there is no such model; there are {}", known())),
        false => Ok(numbers),
    }
}

fn names(world: &World, models: &[Model], met: &Met) -> Vec<String> {
    let of_part = |(kind, part): &Place| {
        let kind = &world.parts.kinds[*kind];
        format!("{} {}", kind.name, kind.parts[*part as usize].name)
    };
    let of_model = |number: &usize| format!("the model of {}", models[*number].name());
    met.parts.iter().map(of_part).chain(met.models.iter().map(of_model)).collect()
}

fn truth(world: &World, models: &[Model], fault: &FaultShape, met: &Met) -> Result<Truth, Problem> {
    if !matches!(fault.cause, CauseKind::Model | CauseKind::Data | CauseKind::Infrastructure) {
        return Err("cause is model, data or infrastructure; two faults at once come to both by themselves".into());
    }
    let service = world.parts.kind(SERVICE)?;
    let mut places: Vec<Place> = met.parts.clone();
    places.extend(met.models.iter().map(|number| (service, models[*number].service)));
    let key = |(kind, part): &Place| world.parts.kinds[*kind].parts[*part as usize].keys.iter().cloned();
    let mut entities: BTreeSet<String> = places.iter().flat_map(key).collect();
    for accept in &fault.accept {
        let other = world.parts.kind(accept).map_err(|told| format!("accept: {}", told.replace(" before this", "")))?;
        for (kind, part) in &places {
            let linked = world.parts.kinds[*kind].links[other].of(*part as usize);
            entities.extend(linked.iter().flat_map(|part| key(&(other, *part))));
            if linked.is_empty() {
                // A service's GPUs are those of its replicas.
                let name = &world.parts.kinds[*kind].parts[*part as usize].name;
                let further = linked_with(world, other, name)?;
                entities.extend(further.iter().flat_map(|part| key(&(other, *part))));
            }
        }
    }
    let reached = places.iter().flat_map(|place| world.parts.affected(*place));
    let name_of = |number: u32| world.parts.kinds[service].parts[number as usize].name.clone();
    let services = match fault.affects.is_empty() {
        true => reached.map(name_of).collect(),
        false => fault.affects.iter().cloned().collect(),
    };
    Ok(Truth {
        cause: fault.cause,
        from: met.window.from,
        felt: met.window.from + millis(fault.felt),
        until: met.window.until,
        entities,
        services,
        parts: names(world, models, met),
    })
}
