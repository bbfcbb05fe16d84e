//! New rules in place of old ones: what is still there keeps its state, what is gone ends its series and resolves its alerts.

use super::{
    check::CheckedGroup,
    config::RulesConfig,
    evaluate::{told, write_samples},
    rules::Change,
    source::WrittenSample,
    tables::{GroupState, Health, RuleRun, RuleState},
};
use crate::room::{RoomError, reading};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};
use tandem_domain::{Timestamp, alert::ToldAlert};
use tandem_query::{Datum, STALE_NAN};
use tandem_store::Store;

/// What taking over comes to.
struct Adoption {
    groups: Vec<GroupState>,
    gone_groups: Vec<(String, String)>,
    gone_rules: Vec<String>,
    ends: Vec<WrittenSample>,
    told: Vec<ToldAlert>,
}

impl Adoption {
    /// Whether everything is as it was.
    fn is_empty(&self) -> bool {
        self.groups.is_empty() && self.gone_groups.is_empty() && self.gone_rules.is_empty()
    }
}

/// Takes rules over, in one transaction.
///
/// # Errors
/// When the store fails; the old state is still there then.
pub(super) async fn adopt(
    store: &Store,
    config: &RulesConfig,
    groups: Arc<Vec<CheckedGroup>>,
    now: Timestamp,
) -> Result<(), RoomError> {
    let config = config.clone();
    let adoption = reading(store, move |read| {
        let known_groups = read.scan::<GroupState>(.., usize::MAX)?;
        let known_rules = read.scan::<RuleState>(.., usize::MAX)?;
        Ok(compare(&config, &groups, known_groups, known_rules, now))
    })
    .await?;
    if adoption.is_empty() {
        return Ok(());
    }
    let written = store.write(move |tx| {
        write_samples(tx, adoption.ends)?;
        adoption.told.iter().try_for_each(|alert| tx.append(alert).map(drop))?;
        adoption.gone_rules.iter().try_for_each(|id| tx.remove::<RuleState>(id))?;
        adoption.gone_groups.iter().try_for_each(|key| tx.remove::<GroupState>(key))?;
        adoption.groups.iter().try_for_each(|group| tx.put(group))
    });
    Ok(written.await?)
}

fn compare(
    config: &RulesConfig,
    groups: &[CheckedGroup],
    known_groups: Vec<GroupState>,
    known_rules: Vec<RuleState>,
    now: Timestamp,
) -> Adoption {
    let ids: BTreeSet<&str> = groups.iter().flat_map(|group| &group.rules).map(|rule| rule.id.as_str()).collect();
    let gone: Vec<RuleState> = known_rules.into_iter().filter(|state| !ids.contains(state.id.as_str())).collect();
    let external = config.labels();
    let fired = gone.iter().flat_map(|state| &state.alerts).filter(|alert| alert.told_at.is_some());
    let told = fired.map(|alert| told(&Change::Resolved(alert.clone()), now, &external)).collect();
    let ends = gone.iter().flat_map(|state| &state.series);
    let ends = ends.map(|labels| (labels.clone(), now.0, Datum::Float(f64::from_bits(STALE_NAN)))).collect();
    let mut earlier: BTreeMap<(String, String), GroupState> =
        known_groups.into_iter().map(|group| ((group.file.clone(), group.name.clone()), group)).collect();
    let described = |(place, group): (usize, &CheckedGroup)| {
        let before = earlier.remove(&(group.file.clone(), group.group.name.clone()));
        let runs: BTreeMap<&str, &RuleRun> =
            before.iter().flat_map(|group| &group.rules).map(|run| (run.id.as_str(), run)).collect();
        let rules = group.rules.iter().map(|rule| match runs.get(rule.id.as_str()) {
            Some(run) => RuleRun { rule: rule.rule.clone(), ..(*run).clone() },
            None => RuleRun {
                id: rule.id.clone(),
                rule: rule.rule.clone(),
                health: Health::Unknown,
                last_error: None,
                evaluated_at: None,
                seconds: 0.0,
            },
        });
        GroupState {
            file: group.file.clone(),
            name: group.group.name.clone(),
            place: place as u64,
            interval_millis: config.interval_of(group.group.interval_millis),
            limit: group.group.limit,
            rules: rules.collect(),
            evaluated_at: before.as_ref().and_then(|group| group.evaluated_at),
            seconds: before.as_ref().map_or(0.0, |group| group.seconds),
        }
    };
    let groups = groups.iter().enumerate().map(described).collect();
    Adoption {
        groups,
        gone_groups: earlier.into_keys().collect(),
        gone_rules: gone.iter().map(|state| state.id.clone()).collect(),
        ends,
        told,
    }
}
