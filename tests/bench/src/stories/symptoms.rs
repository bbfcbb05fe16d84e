//! What users feel, as the server tells it: objectives that are not kept and predictions that drifted, beside what is true of
//! each service. It is told apart from the verdict, which says why.

use super::{Telling, client::Client};
use std::collections::BTreeMap;
use tandem_domain::Timestamp;
use tandem_story::{Play, Truth};

/// What is over goes on burning for a while: no symptom after a fault is held against it for so long, in milliseconds.
const AFTER_MILLIS: i64 = 10 * 60_000;

/// A symptom: the service, and what kind it is.
type Symptom = (String, String);

/// What one play came to.
#[derive(Debug, Clone, Default)]
pub(super) struct Felt {
    /// By fault and service: milliseconds from when it began until a symptom of the service was told; none where none was.
    pub after: Vec<(String, Option<i64>)>,
    /// Symptoms that began while nothing was wrong with their service.
    pub for_nothing: Vec<String>,
}

/// Follows the symptoms of a play.
pub(super) struct Symptoms {
    start: Timestamp,
    truths: Vec<Truth>,
    before: BTreeMap<Symptom, String>,
    /// By truth and service.
    first: BTreeMap<(usize, String), i64>,
    for_nothing: Vec<String>,
}

impl Symptoms {
    /// `ends` is when the play does, in milliseconds since it began.
    pub(super) fn new(play: &Play, start: Timestamp, ends: i64) -> Self {
        let truths = play.truths().iter().filter(|truth| truth.from < ends).cloned().collect();
        let (before, first, for_nothing) = (BTreeMap::new(), BTreeMap::new(), Vec::new());
        Self { start, truths, before, first, for_nothing }
    }

    pub(super) async fn look(&mut self, client: &Client, now: Timestamp, telling: Telling) {
        let at = now.millis_since(self.start);
        let told = client.symptoms().await;
        let minutes = at as f64 / 6e4;
        for ((service, kind), sentence) in &told {
            for (number, truth) in self.truths.iter().enumerate() {
                if truth.services.contains(service) && truth.from <= at && at < truth.until {
                    self.first.entry((number, service.clone())).or_insert(at - truth.from);
                }
            }
            if self.before.contains_key(&(service.clone(), kind.clone())) {
                continue;
            }
            let explains = |truth: &Truth| {
                truth.services.contains(service) && (truth.from..truth.until + AFTER_MILLIS).contains(&at)
            };
            let is_true = self.truths.iter().any(explains);
            if !is_true {
                self.for_nothing.push(format!("{minutes:.1} min {service} {kind}: {sentence}"));
            }
            if telling == Telling::All || telling == Telling::Wrong && !is_true {
                let beside = if is_true { "" } else { " (nothing is wrong)" };
                println!("    {minutes:>7.1} min  {service}: {kind} begins{beside}: {sentence}");
            }
        }
        if telling == Telling::All {
            for (service, kind) in self.before.keys().filter(|known| !told.contains_key(*known)) {
                println!("    {minutes:>5.1} min  {service}: {kind} is over");
            }
        }
        self.before = told;
    }

    pub(super) fn felt(self) -> Felt {
        let of = |(number, truth): (usize, &Truth)| {
            let services = truth.services.iter().map(move |service| (number, service.clone()));
            services.collect::<Vec<_>>()
        };
        let wanted = self.truths.iter().enumerate().flat_map(of);
        let after = wanted.map(|key| (key.1.clone(), self.first.get(&key).copied())).collect();
        Felt { after, for_nothing: self.for_nothing }
    }
}
