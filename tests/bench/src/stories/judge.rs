//! Holds what a server says against what is true.
//!
//! A service's time is cut where what is wrong with it changes. Each stretch is a case: its answer is the kind of cause that
//! stood longest in it, after some minutes of grace in which nobody can know yet. Before the first minutes of a server are
//! over nothing is judged.

use super::{
    Telling,
    client::{Client, Said},
};
use std::collections::{BTreeMap, BTreeSet};
use tandem_domain::{Timestamp, verdict::CauseKind};
use tandem_story::{Play, Truth};

/// A server that has just been started knows nothing yet: milliseconds that are not judged.
const SETTLING_MILLIS: i64 = 20 * 60_000;
/// Grace after something is felt.
const GRACE_MILLIS: i64 = 5 * 60_000;
/// Grace after something is over: incidents are held open so that they do not flap.
const RECOVERY_MILLIS: i64 = 10 * 60_000;
/// Shorter stretches are not judged.
const LEAST_MILLIS: i64 = 5 * 60_000;

/// Kinds of causes, in the order in which they are printed.
pub(super) const KINDS: [&str; 6] = ["model", "data", "infrastructure", "both", "none", "unknown"];

/// One stretch of one service, judged.
#[derive(Debug, Clone)]
pub(super) struct Case {
    pub service: String,
    /// Numbers of the faults that it feels.
    pub faults: Vec<usize>,
    pub truth: &'static str,
    /// The kind that stood longest.
    pub answer: &'static str,
    /// Milliseconds from when it is felt until the kind, and the entity where one is wanted, was right for the first time.
    pub right_after: Option<i64>,
    /// Where an entity is wanted: whether it was named first, and among three, in most of the looks at the right kind.
    pub entity: Option<(bool, bool)>,
    /// Share of the looks that stood by a wrong kind or a wrong entity.
    pub confidently_wrong: f64,
}

/// A stretch while it is looked at.
#[derive(Debug, Clone)]
struct Stretch {
    service: String,
    faults: Vec<usize>,
    truth: &'static str,
    entities: BTreeSet<String>,
    from: i64,
    /// From here on it is judged.
    judged_from: i64,
    until: i64,
    looks: BTreeMap<&'static str, usize>,
    named: usize,
    first: usize,
    among_three: usize,
    wrong: usize,
    right_after: Option<i64>,
}

/// Judges one play.
pub(super) struct Judge {
    start: Timestamp,
    stretches: Vec<Stretch>,
    before: BTreeMap<String, (String, Option<String>)>,
    /// Services whose verdict is wrong, and what it says.
    wrong: BTreeMap<String, (String, Option<String>)>,
}

impl Judge {
    /// `ends` is when the play does, in milliseconds since it began.
    pub(super) fn new(play: &Play, start: Timestamp, ends: i64) -> Self {
        let services: BTreeSet<String> = play.services().map(str::to_owned).collect();
        let stretches = services.iter().flat_map(|service| stretches(service, play.truths(), ends)).collect();
        Self { start, stretches, before: BTreeMap::new(), wrong: BTreeMap::new() }
    }

    /// Looks at all verdicts.
    pub(super) async fn look(&mut self, client: &mut Client, now: Timestamp, telling: Telling) {
        let said = client.verdicts().await;
        let at = now.millis_since(self.start);
        for (service, said) in &said {
            let now = (said.kind.clone(), said.entities.first().cloned());
            if telling == Telling::All && self.before.get(service) != Some(&now) {
                let truth = self.stretches.iter().find(|s| s.service == *service && (s.from..s.until).contains(&at));
                let truth = truth.map_or("", |stretch| stretch.truth);
                println!(
                    "    {:>5.1} min  {service}: {} (true: {truth}) {}",
                    at as f64 / 6e4,
                    said.kind,
                    said.sentence
                );
                if said.kind != "none" {
                    println!("               {}", said.candidates);
                }
            }
            self.before.insert(service.clone(), now);
        }
        for stretch in self.stretches.iter_mut().filter(|stretch| (stretch.from..stretch.until).contains(&at)) {
            let said = said.get(&stretch.service);
            let is_right = stretch.look(client, at, said).await;
            let now = said.filter(|_| !is_right).map(|said| (said.kind.clone(), said.entities.first().cloned()));
            if telling != Telling::Wrong || now.as_ref() == self.wrong.get(&stretch.service) {
                continue;
            }
            let minutes = at as f64 / 6e4;
            match (now, said) {
                (Some(now), Some(said)) => {
                    let doubts = if said.confident { "" } else { ", doubtfully" };
                    println!(
                        "    {minutes:>7.1} min  verdict of {}: {}{doubts} (true: {}): {}",
                        stretch.service, said.kind, stretch.truth, said.sentence
                    );
                    self.wrong.insert(stretch.service.clone(), now);
                }
                _ => {
                    println!(
                        "    {minutes:>7.1} min  verdict of {} is right again ({})",
                        stretch.service, stretch.truth
                    );
                    self.wrong.remove(&stretch.service);
                }
            }
        }
    }

    pub(super) fn cases(self) -> Vec<Case> {
        self.stretches.into_iter().filter(|stretch| !stretch.looks.is_empty()).map(Stretch::case).collect()
    }
}

/// Cuts a service's time.
fn stretches(service: &str, truths: &[Truth], ends: i64) -> Vec<Stretch> {
    let mine: Vec<(usize, &Truth)> =
        truths.iter().enumerate().filter(|(_, truth)| truth.services.contains(service)).collect();
    let mut cuts: BTreeSet<i64> = [0, ends].into();
    cuts.extend(mine.iter().flat_map(|(_, truth)| [truth.from.min(ends), truth.felt.min(ends), truth.until.min(ends)]));
    let cuts: Vec<i64> = cuts.into_iter().collect();
    let mut found = Vec::new();
    for pair in cuts.windows(2) {
        let (from, until) = (pair[0], pair[1]);
        // Between beginning and being felt, either answer may be right.
        if mine.iter().any(|(_, truth)| truth.from <= from && from < truth.felt) {
            continue;
        }
        let (faults, active): (Vec<usize>, Vec<&Truth>) =
            mine.iter().filter(|(_, truth)| truth.felt <= from && from < truth.until).copied().unzip();
        let after_fault = mine.iter().any(|(_, truth)| truth.until <= from);
        let grace = match (active.is_empty(), after_fault) {
            (false, _) => GRACE_MILLIS,
            (true, true) => RECOVERY_MILLIS,
            (true, false) => 0,
        };
        let judged_from = (from + grace).max(SETTLING_MILLIS);
        if until - judged_from < LEAST_MILLIS {
            continue;
        }
        found.push(Stretch {
            service: service.to_owned(),
            faults,
            truth: truth_of(&active),
            entities: active
                .iter()
                .filter(|truth| truth.cause == CauseKind::Infrastructure)
                .flat_map(|truth| truth.entities.iter().cloned())
                .collect(),
            from,
            judged_from,
            until,
            looks: BTreeMap::new(),
            named: 0,
            first: 0,
            among_three: 0,
            wrong: 0,
            right_after: None,
        });
    }
    found
}

/// The kind that all active faults come to.
fn truth_of(active: &[&Truth]) -> &'static str {
    let has = |kind: CauseKind| active.iter().any(|truth| truth.cause == kind);
    match (has(CauseKind::Infrastructure), has(CauseKind::Model), has(CauseKind::Data)) {
        (true, false, false) => "infrastructure",
        (true, ..) => "both",
        (false, true, _) => "model",
        (false, false, true) => "data",
        (false, false, false) => "none",
    }
}

impl Case {
    /// Whether the kind was right, and the entity named first where one is wanted.
    pub(super) fn is_right(&self) -> bool {
        self.truth == self.answer && self.entity.is_none_or(|(first, _)| first)
    }
}

impl Stretch {
    /// Whether what is said is right, or need not be yet. A service without a verdict is one of which nothing is known.
    async fn look(&mut self, client: &mut Client, at: i64, said: Option<&Said>) -> bool {
        let kind = KINDS.iter().find(|kind| said.is_some_and(|said| said.kind == **kind)).copied().unwrap_or("unknown");
        let right = kind == self.truth;
        let (mut first, mut among_three) = (false, false);
        if let Some(said) = said.filter(|_| right && !self.entities.is_empty()) {
            for (place, entity) in said.entities.iter().enumerate() {
                let fits = client.is_one_of(entity, &self.entities).await;
                first |= fits && place == 0;
                among_three |= fits;
            }
        }
        let whole = right && (first || self.entities.is_empty());
        if whole && self.right_after.is_none() {
            self.right_after = Some(at - self.from);
        }
        if at < self.judged_from {
            return true;
        }
        *self.looks.entry(kind).or_default() += 1;
        if right {
            self.named += 1;
            self.first += usize::from(first);
            self.among_three += usize::from(among_three);
        }
        let names_something = !["none", "unknown"].contains(&kind);
        let stands_by = said.is_some_and(|said| said.confident);
        let names_another = said.is_some_and(|said| !said.entities.is_empty()) && !self.entities.is_empty() && !first;
        self.wrong += usize::from(names_something && stands_by && (!right || names_another));
        whole
    }

    fn case(self) -> Case {
        let all: usize = self.looks.values().sum();
        let answer =
            self.looks.iter().max_by_key(|(kind, count)| (**count, **kind == self.truth)).map(|(kind, _)| *kind);
        let most = |count: usize| count * 2 > self.named;
        let wants_entity = !self.entities.is_empty();
        Case {
            service: self.service,
            faults: self.faults,
            truth: self.truth,
            answer: answer.unwrap_or("unknown"),
            right_after: self.right_after,
            entity: wants_entity.then(|| (most(self.first), most(self.among_three))),
            confidently_wrong: self.wrong as f64 / all.max(1) as f64,
        }
    }
}
