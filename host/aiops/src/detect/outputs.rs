//! What a detector answers becomes findings and fault changes, and is written with the cursor it stands for.

use super::{
    config::DetectConfig,
    tables::{ActiveFault, OpenFinding},
    tracker::{ScoredPoint, Step, Stretch},
    watched::{Watched, WatchedGroups},
};
use crate::signal::{FaultChange, FindingChange};
use std::collections::{BTreeMap, HashMap};
use tandem_domain::{
    Timestamp,
    finding::Finding,
    frame::{Fault, Frame, GroupId, Scores},
    ports::LivePlugin,
    series::{Labels, Series, SeriesId},
};
use tandem_store::{ReadError, ReadTx, Store, WriteError, WriteTx};

/// Members named in a finding of many; those with the largest share.
const MAX_FINDING_MEMBERS: usize = 8;

/// How a finding moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Motion {
    /// It began.
    Opened,
    /// It is notably worse: the correlator is told.
    Grew,
    /// It goes on.
    Continued,
    /// It is over.
    Closed,
}

/// A move of one group's finding.
#[derive(Debug, Clone)]
pub struct FindingMove {
    /// The group's key.
    pub group: String,
    /// How it moved.
    pub motion: Motion,
    /// As it stands; the number is set when it is written.
    pub finding: Finding,
}

/// What is to be written.
#[derive(Debug, Clone, Default)]
pub struct Outputs {
    /// In order.
    pub findings: Vec<FindingMove>,
    /// In order.
    pub faults: Vec<FaultChange>,
}

impl Outputs {
    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.findings.is_empty() && self.faults.is_empty()
    }
}

/// A finding of a stretch.
pub fn finding_of(plugin: &LivePlugin, group: &Watched, stretch: &Stretch, ended: bool) -> Option<Finding> {
    let first = stretch.peak.members.first().copied();
    let of_first = |series: SeriesId| group.plan.members.iter().find(|member| member.meaning.series == series);
    let member = first.and_then(of_first).or(group.plan.members.first())?;
    Some(Finding {
        id: 0,
        detector: plugin.name.clone(),
        detector_digest: plugin.digest.clone(),
        series: stretch.peak.members.clone(),
        entity: member.meaning.entity.clone(),
        name: member.meaning.body.name.clone(),
        started_at: stretch.started_at,
        ended_at: ended.then_some(stretch.last_odd_at),
        score: stretch.peak.score,
        value: stretch.peak.value,
        low: stretch.peak.low,
        high: stretch.peak.high,
        points: stretch.points,
    })
}

fn columns_fit(scores: &Scores) -> bool {
    let points = scores.at.len();
    let band_fits = |band: &[f64]| band.is_empty() || band.len() == points;
    scores.score.len() == points && band_fits(&scores.low) && band_fits(&scores.high)
}

fn scored_point(group: &Watched, frame: Option<&Frame>, scores: &Scores, index: usize) -> ScoredPoint {
    let (at, score) = (scores.at[index], scores.score[index]);
    let mut order: Vec<usize> = (0..group.plan.members.len()).collect();
    if let Some(attribution) = scores.attributions.iter().find(|attribution| attribution.index as usize == index) {
        let share = |member: &usize| attribution.share.get(*member).copied().unwrap_or(0.0);
        order.sort_by(|a, b| share(b).total_cmp(&share(a)));
    }
    let value = order.first().zip(frame).and_then(|(member, frame)| {
        let row = frame.at.binary_search(&at).ok()?;
        frame.value.get(member * frame.at.len() + row).copied()
    });
    let band = |band: &[f64]| band.get(index).copied().unwrap_or(f64::NAN);
    // Members are kept of odd points only; of the others nobody asks.
    let named = if score >= 1.0 { MAX_FINDING_MEMBERS } else { 0 };
    let members = order.iter().take(named).filter_map(|member| Some(group.member(*member)?.meaning.series)).collect();
    ScoredPoint {
        at,
        score,
        value: value.unwrap_or(f64::NAN),
        low: band(&scores.low),
        high: band(&scores.high),
        members,
    }
}

/// Turns scores into moves of findings; warm-up points never count. Answers false when the columns do not fit together.
pub fn take_scores(
    plugin: &LivePlugin,
    groups: &mut WatchedGroups,
    frames: &HashMap<GroupId, Frame>,
    scores: &Scores,
    config: &DetectConfig,
    outputs: &mut Outputs,
) -> bool {
    let Some(group) = groups.get_mut(scores.group).filter(|_| columns_fit(scores)) else { return false };
    let frame = frames.get(&scores.group);
    for index in (scores.warming as usize).min(scores.at.len())..scores.at.len() {
        let point = scored_point(group, frame, scores, index);
        let Some(step) = group.tracker.push(point, config) else { continue };
        let (motion, stretch) = match &step {
            Step::Opened(stretch) => (Motion::Opened, stretch),
            Step::Grew(stretch) => (Motion::Grew, stretch),
            Step::Continued(stretch) => (Motion::Continued, stretch),
            Step::Closed(stretch) => (Motion::Closed, stretch),
        };
        if let Some(finding) = finding_of(plugin, group, stretch, motion == Motion::Closed) {
            outputs.findings.push(FindingMove { group: group.plan.key.clone(), motion, finding });
        }
    }
    true
}

/// A fault as a change; none when the group or member is not there.
///
/// # Errors
/// When the store cannot be read.
pub fn fault_change(
    plugin: &str,
    groups: &WatchedGroups,
    read: &ReadTx,
    fault: Fault,
) -> Result<Option<FaultChange>, ReadError> {
    let member = groups.get(fault.group).and_then(|group| group.member(fault.member as usize));
    let Some(member) = member.filter(|_| !fault.code.is_empty()) else { return Ok(None) };
    let meaning = &member.meaning;
    let sent = read.get::<Series>(&meaning.series.0)?;
    let labels = sent.map_or_else(Labels::default, |series| {
        let target = [("job".to_owned(), series.target.job), ("instance".to_owned(), series.target.instance)];
        let sent = series.description.labels;
        let sent = sent.iter().map(|(name, value)| (name.to_owned(), value.to_owned()));
        Labels::new(target.into_iter().chain(sent))
    });
    Ok(Some(FaultChange {
        at: fault.at,
        detector: plugin.to_owned(),
        series: meaning.series,
        entity: meaning.entity.clone(),
        code: fault.code,
        active: fault.active,
        severity: fault.severity,
        title: fault.title,
        advice: fault.advice,
        telling: meaning.body.dimensions.clone(),
        labels,
        value: fault.value,
    }))
}

/// The end of a fault for another reason than its value.
pub fn ended(begun: &FaultChange, now: Timestamp) -> FaultChange {
    FaultChange { at: now.max(begun.at), active: false, value: f64::NAN, ..begun.clone() }
}

/// Writes outputs and how far they stand for; answers the findings that are open afterwards, by group.
pub async fn write(
    store: &Store,
    plugin: &str,
    outputs: Outputs,
    open: BTreeMap<String, u64>,
    cursor: (String, u64),
) -> Result<BTreeMap<String, u64>, WriteError> {
    let plugin = plugin.to_owned();
    store
        .write(move |tx| {
            let mut open = open;
            for moved in outputs.findings {
                write_finding(tx, &plugin, moved, &mut open)?;
            }
            for change in outputs.faults {
                let active = ActiveFault { change };
                if active.change.active {
                    tx.put(&active)?;
                } else {
                    tx.remove::<ActiveFault>(&(plugin.clone(), active.change.source_key()))?;
                }
                tx.append(&active.change)?;
            }
            tx.set_cursor(&cursor.0, cursor.1)?;
            Ok(open)
        })
        .await
}

fn write_finding(
    tx: &mut WriteTx<'_>,
    plugin: &str,
    moved: FindingMove,
    open: &mut BTreeMap<String, u64>,
) -> Result<(), WriteError> {
    let key = (plugin.to_owned(), moved.group.clone());
    let id = match open.get(&moved.group) {
        Some(id) => *id,
        None => {
            let id = tx.next_id("findings")?;
            open.insert(moved.group.clone(), id);
            tx.put(&OpenFinding { plugin: plugin.to_owned(), group: moved.group.clone(), finding: id })?;
            id
        }
    };
    if moved.motion == Motion::Closed {
        open.remove(&moved.group);
        tx.remove::<OpenFinding>(&key)?;
    }
    let finding = Finding { id, ..moved.finding };
    tx.put(&finding)?;
    if moved.motion != Motion::Continued {
        tx.append(&FindingChange { finding })?;
    }
    Ok(())
}
