//! Fault by fault: whether it was found with the right cause, and how often people were disturbed about it. A fault counts as found
//! when the verdict of a service that feels it was right; one that no service feels, when a notification names it.

use super::{client::Client, follow::Notified, judge::Case};
use tandem_story::{Play, Truth};

/// What is told so long after a fault is over still belongs to it, in milliseconds.
const AFTER_MILLIS: i64 = 10 * 60_000;

/// What came of one fault.
#[derive(Debug, Clone)]
pub(super) struct Outcome {
    /// The parts, for people.
    pub parts: String,
    /// Minutes since the play began.
    pub minute: f64,
    /// Services that feel it, each with what was said of it and whether that was right.
    pub said: Vec<(String, &'static str, bool)>,
    /// Whether a notification named it.
    pub named: bool,
    pub notifications: usize,
}

impl Outcome {
    pub(super) fn is_found(&self) -> bool {
        match self.said.is_empty() {
            true => self.named,
            false => self.said.iter().any(|(.., right)| *right),
        }
    }
}

/// The faults of a play that began before it ended, and notifications that belong to none.
pub(super) async fn outcomes(
    play: &Play,
    ends: i64,
    cases: &[Case],
    notified: &[Notified],
    client: &mut Client,
) -> (Vec<Outcome>, Vec<Notified>) {
    let mut outcomes = Vec::new();
    for (number, truth) in play.truths().iter().enumerate().filter(|(_, truth)| truth.from < ends) {
        let said = cases.iter().filter(|case| case.faults.contains(&number));
        let mut outcome = Outcome {
            parts: truth.parts.join(", "),
            minute: truth.from as f64 / 6e4,
            said: said.map(|case| (case.service.clone(), case.answer, case.is_right())).collect(),
            named: false,
            notifications: 0,
        };
        for told in notified.iter().filter(|told| belongs(told, truth)) {
            outcome.notifications += 1;
            for entity in &told.entities {
                outcome.named |= client.is_one_of(entity, &truth.entities).await;
            }
        }
        outcomes.push(outcome);
    }
    let of_none = |told: &&Notified| !play.truths().iter().any(|truth| belongs(told, truth));
    (outcomes, notified.iter().filter(of_none).cloned().collect())
}

fn belongs(told: &Notified, truth: &Truth) -> bool {
    (truth.from..truth.until + AFTER_MILLIS).contains(&told.at)
}
