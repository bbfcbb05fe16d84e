//! How an answer was found, step by step from samples to sentence; and the same question asked again.

use super::{Answer, KeptCase, answer, tables::Diagnosis};
use crate::reading::VerdictError;
use std::collections::BTreeMap;
use tandem_domain::{
    Failure, Timestamp,
    cause::{Case, Direction, Ranking},
    entity::{Entity, EntityId},
    meaning::Meaning,
    ports::RootCauses,
    series::{Series, SeriesId},
};
use tandem_store::ReadTx;

/// Candidates whose signals are followed down to their samples.
const FOLLOWED_CANDIDATES: usize = 3;

/// Where a signal comes from: a series, and who said what it means.
#[derive(Debug, Clone, PartialEq)]
pub struct Origin {
    /// The series as its sender describes it; none when it was deleted since.
    pub series: Option<Series>,
    /// Its number.
    pub id: SeriesId,
    /// What it means, who said so and with which digest; none when it has lost its meaning since.
    pub meaning: Option<Meaning>,
}

/// A signal that speaks for a candidate, down to its samples.
#[derive(Debug, Clone, PartialEq)]
pub struct Followed {
    /// Whose.
    pub entity: EntityId,
    /// Its name.
    pub name: String,
    /// Which way it went.
    pub direction: Direction,
    /// How far, in spreads of its own.
    pub score: f64,
    /// Its median before the onset; NaN when nothing was known.
    pub before: f64,
    /// Its median after it.
    pub after: f64,
    /// Its moments.
    pub at: Vec<Timestamp>,
    /// Its values as the case has them; NaN is missing.
    pub value: Vec<f64>,
    /// The series it is made of.
    pub origins: Vec<Origin>,
}

/// How an answer was found.
#[derive(Debug, Clone, PartialEq)]
pub struct Explanation {
    /// The case with who was asked.
    pub kept: KeptCase,
    /// The answer in terms that outlive it.
    pub answer: Result<Answer, Failure>,
    /// Whether it is the present answer for its service.
    pub is_current: bool,
    /// Signals that speak for the first candidates.
    pub followed: Vec<Followed>,
}

/// How the answer to a kept case was found; none when the case is not kept, or not any more.
///
/// # Errors
/// When the store cannot be read.
pub fn explain(read: &ReadTx, id: u64) -> Result<Option<Explanation>, VerdictError> {
    let Some(kept) = read.get::<KeptCase>(&id)? else { return Ok(None) };
    let current = read.get::<Diagnosis>(&kept.service)?.is_some_and(|diagnosis| diagnosis.case == id);
    let mut names = BTreeMap::new();
    for suspect in &kept.case.suspects {
        if let Some(entity) = read.get::<Entity>(&suspect.id.0)? {
            names.insert(suspect.id.clone(), entity.name);
        }
    }
    let mut followed = Vec::new();
    if let Ok(ranking) = &kept.outcome {
        for cause in ranking.causes.iter().take(FOLLOWED_CANDIDATES) {
            for evidence in &cause.signals {
                let column = column(&kept.case, evidence.signal);
                let Some((suspect, name, at, value)) = column else { continue };
                let onset = ranking.onset.or(kept.case.onset).unwrap_or(Timestamp::MAX);
                let cut = at.partition_point(|moment| *moment < onset);
                let ids = kept.series.get(evidence.signal as usize).cloned().unwrap_or_default();
                followed.push(Followed {
                    entity: kept.case.suspects[suspect as usize].id.clone(),
                    name: name.to_owned(),
                    direction: evidence.direction,
                    score: evidence.score,
                    before: median(&value[..cut]),
                    after: median(&value[cut..]),
                    at: at.to_vec(),
                    value: value.to_vec(),
                    origins: ids.into_iter().map(|id| origin(read, id)).collect::<Result<_, _>>()?,
                });
            }
        }
    }
    let answer = match &kept.outcome {
        Ok(ranking) => Ok(answer(&kept.case, &kept.series, ranking, &names)),
        Err(failure) => Err(failure.clone()),
    };
    Ok(Some(Explanation { answer, is_current: current, followed, kept }))
}

fn origin(read: &ReadTx, id: SeriesId) -> Result<Origin, tandem_store::ReadError> {
    Ok(Origin { series: read.get::<Series>(&id.0)?, meaning: read.get::<Meaning>(&id.0)?, id })
}

/// A signal of a case by its number: whose, its name, its moments and values.
fn column(case: &Case, number: u32) -> Option<(u32, &str, &[Timestamp], &[f64])> {
    let mut first = 0;
    for frame in &case.frames {
        let place = (number as usize).checked_sub(first)?;
        if let Some(signal) = frame.signals.get(place) {
            let rows = frame.at.len();
            return Some((signal.suspect, &signal.name, &frame.at, frame.value.get(place * rows..(place + 1) * rows)?));
        }
        first += frame.signals.len();
    }
    None
}

fn median(values: &[f64]) -> f64 {
    let mut known: Vec<f64> = values.iter().copied().filter(|value| value.is_finite()).collect();
    known.sort_by(f64::total_cmp);
    if known.is_empty() { f64::NAN } else { known[known.len() / 2] }
}

/// What became of a question that was asked again.
#[derive(Debug, Clone, PartialEq)]
pub struct AskedAgain {
    /// The digest of the plugin that was asked now.
    pub plugin_digest: String,
    /// Whether that is the one that was asked then.
    pub same_plugin: bool,
    /// Whether it answers the same, to the last digit.
    pub same_answer: bool,
    /// What it answers now.
    pub outcome: Result<Ranking, Failure>,
}

/// Asks a kept case again, of the plugin of the same name.
///
/// # Errors
/// When no plugin of that name is live.
pub async fn ask_again(root_causes: &dyn RootCauses, kept: &KeptCase) -> Result<AskedAgain, Failure> {
    let live = root_causes.root_causes().into_iter().find(|plugin| plugin.name == kept.plugin);
    let live = live.ok_or_else(|| {
        Failure::passing(
            tandem_domain::FailureCode::Unsupported,
            format!("{} was asked then and is not live now; see /api/v1/plugins for why", kept.plugin),
        )
    })?;
    let outcome = root_causes.rank(&live.name, &kept.case).await;
    Ok(AskedAgain {
        same_plugin: live.digest == kept.plugin_digest,
        same_answer: outcome == kept.outcome,
        plugin_digest: live.digest,
        outcome,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use tandem_domain::cause::{SignalClass, SignalFrame, SuspectSignal};

    #[test]
    fn signals_are_numbered_through_all_frames() {
        let frame = |suspect: u32, value: [f64; 4]| SignalFrame {
            at: vec![Timestamp(1), Timestamp(2)],
            signals: [suspect, suspect + 1]
                .map(|suspect| SuspectSignal { suspect, name: format!("s{suspect}"), class: SignalClass::Unknown })
                .to_vec(),
            value: value.to_vec(),
        };
        let frames = vec![frame(0, [0.0, 1.0, 2.0, 3.0]), frame(2, [4.0, 5.0, 6.0, 7.0])];
        let case = Case { frames, ..Case::default() };
        let found = |number: u32| column(&case, number).map(|(suspect, _, _, value)| (suspect, value.to_vec()));
        assert_eq!(found(1), Some((1, vec![2.0, 3.0])));
        assert_eq!(found(2), Some((2, vec![4.0, 5.0])));
        assert_eq!(found(3), Some((3, vec![6.0, 7.0])));
        assert_eq!(found(4), None);
    }

    #[test]
    fn a_median_of_nothing_is_no_number() {
        assert_eq!(median(&[3.0, f64::NAN, 1.0, 2.0]), 2.0);
        assert!(median(&[f64::NAN]).is_nan());
    }
}
