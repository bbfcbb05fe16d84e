//! What to do about it.

use super::Facts;
use crate::ask::{new_version, version_before};
use tandem_domain::{
    cause::Direction,
    drift::is_answer,
    entity::EntityId,
    verdict::{CauseKind, Suggestion},
};

/// A rise of requests counts as one of load from so many spreads on.
const LOAD_SCORE: f64 = 3.0;

/// What to do; none where nothing is wrong, or nothing can be said.
pub(super) fn suggest(facts: &Facts<'_>, kind: CauseKind, entity: Option<&EntityId>) -> Option<Suggestion> {
    match kind {
        CauseKind::None => None,
        CauseKind::Unknown => {
            let missed = facts.felt()?;
            Some(told("look", format!("look at the service itself: {}", missed.sentence)))
        }
        CauseKind::Model => Some(of_model(facts)),
        CauseKind::Data => Some(of_data(facts)),
        CauseKind::Infrastructure => entity.map(|entity| of_machine(facts, entity)),
        CauseKind::Both => {
            let below = entity.map(|entity| of_machine(facts, entity));
            let above = if inputs_drifted(facts) { of_data(facts) } else { of_model(facts) };
            let Some(below) = below else { return Some(above) };
            let action = format!("{}+{}", below.action, above.action);
            Some(told(&action, format!("{}; and {}", below.sentence, above.sentence)))
        }
    }
}

fn told(action: &str, sentence: String) -> Suggestion {
    Suggestion { action: action.into(), sentence }
}

fn drifted_inputs<'a>(facts: &'a Facts<'_>) -> Vec<&'a str> {
    let columns = facts.drifting.map(|drifting| drifting.report.moved()).unwrap_or_default();
    columns.into_iter().filter(|column| !is_answer(column)).collect()
}

fn inputs_drifted(facts: &Facts<'_>) -> bool {
    !drifted_inputs(facts).is_empty()
}

fn of_model(facts: &Facts<'_>) -> Suggestion {
    match new_version(facts.traffic, facts.at) {
        Some(new) => {
            let before = version_before(facts.traffic, new);
            let back =
                before.map_or_else(|| "the version before it".to_owned(), |one| format!("version {}", one.version));
            told("roll-back", format!("roll {} back from version {} to {back}", facts.service, new.version))
        }
        None => {
            told("retrain", format!("look at recent labels of {}, and retrain or replace the model", facts.service))
        }
    }
}

fn of_data(facts: &Facts<'_>) -> Suggestion {
    let columns = drifted_inputs(facts);
    let named = columns.iter().take(3).copied().collect::<Vec<_>>().join(", ");
    let sentence = format!(
        "look at what feeds {named} to {}: if the source is broken (missing values, another unit), mend it; if the world has \
         changed, retrain",
        facts.service
    );
    told("check-data", sentence)
}

/// By the kind of what is to blame.
fn of_machine(facts: &Facts<'_>, entity: &EntityId) -> Suggestion {
    let name = facts.name(entity);
    let more_asked = facts.diagnosis.and_then(|one| one.outcome.as_ref().ok()).is_some_and(|answer| {
        let signals = answer.candidates.iter().flat_map(|candidate| &candidate.signals);
        signals.into_iter().any(|signal| {
            signal.name == "model.requests" && signal.direction == Direction::Up && signal.score >= LOAD_SCORE
        })
    });
    match entity.kind() {
        "service" if more_asked => {
            told("scale-out", format!("more is asked of {name} than it can take: add replicas, or shed load"))
        }
        "gpu" => told(
            "drain-node",
            format!("take {name} out of service: drain what runs on it, reset it, and replace it when it fails again"),
        ),
        "replica" => told("restart-replica", format!("take {name} out of rotation, and restart or move it")),
        "host" => told("drain-node", format!("drain {name} and look at it")),
        "disk" | "filesystem" | "array" | "volume" => told(
            "page-storage",
            format!("call whoever keeps the storage: {name} is slow or failing; move readers away from it"),
        ),
        "interface" | "switch" | "port" | "network" => {
            told("page-network", format!("call whoever keeps the network: look at {name}, its cable and its peer"))
        }
        "power-supply" | "ups" | "pdu" | "feed" | "chassis" => told(
            "page-facilities",
            format!("call whoever keeps power and cooling: look at {name}; move load off what it feeds meanwhile"),
        ),
        _ => told("look", format!("look at {name}")),
    }
}
