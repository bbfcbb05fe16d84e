//! When a target is shown, to whom, and whose word counts. Pure.

use super::{
    config::MapConfig,
    tables::{MappedTarget, PendingTarget},
};
use crate::select::fits_sent;
use std::collections::BTreeMap;
use tandem_domain::{
    Timestamp,
    meaning::{Mapping, Meaning, MeaningBody},
    ports::LivePlugin,
    series::{Series, SeriesId},
};

/// Longest canonical name of a series, in bytes.
const MAX_NAME_BYTES: usize = 200;

/// When a target with news is shown.
pub fn due_at(pending: &PendingTarget, config: &MapConfig) -> Timestamp {
    let quiet = pending.last.plus_millis(config.debounce_millis as i64);
    quiet.min(pending.since.plus_millis(config.longest_wait_millis as i64))
}

/// The series of a target that a mapper wishes to see.
pub fn shown_to<'s>(mapper: &LivePlugin, series: &'s [Series]) -> Vec<&'s Series> {
    let fits = |series: &&Series| {
        let sent = &series.description;
        mapper.interests.iter().any(|interest| fits_sent(&interest.selector, &sent.metric, &sent.labels))
    };
    series.iter().filter(fits).collect()
}

/// Whether a mapper must be asked again.
pub fn is_stale(mapper: &LivePlugin, shown: &[&Series], mapped: Option<&MappedTarget>, again: bool) -> bool {
    match mapped {
        None => !shown.is_empty(),
        Some(mapped) if mapped.digest != mapper.digest || again => !shown.is_empty() || mapped.meanings > 0,
        Some(mapped) => shown.iter().any(|series| series.id > mapped.through),
    }
}

/// Whether a meaning can be used: what comes out of a sandbox is checked before it decides how values are read.
pub fn is_usable(body: &MeaningBody) -> bool {
    let name = &body.name;
    !name.is_empty()
        && name.len() <= MAX_NAME_BYTES
        && body.scale.is_finite()
        && body.scale != 0.0
        && body.offset.is_finite()
        && body.missing.iter().all(|range| !range.low.is_nan() && !range.high.is_nan())
}

/// A meaning that a mapper gives: of which series, and which entity of its answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Claim {
    /// Of which series.
    pub series: SeriesId,
    /// Index of the entity in the mapper's answer.
    pub entity: usize,
    /// What it says.
    pub body: MeaningBody,
}

/// What of a mapper's answer can be used, the first meaning of each series, and how much cannot.
pub fn claims(mapping: Mapping, shown: &[&Series]) -> (Vec<Claim>, u64) {
    let entities = mapping.topology.entities.len();
    let mut by_series: BTreeMap<SeriesId, Claim> = BTreeMap::new();
    let mut unusable = 0;
    for draft in mapping.meanings {
        let series = shown.get(draft.series as usize);
        match series {
            Some(series) if (draft.entity as usize) < entities && is_usable(&draft.body) => {
                let claim = Claim { series: series.id, entity: draft.entity as usize, body: draft.body };
                by_series.entry(series.id).or_insert(claim);
            }
            _ => unusable += 1,
        }
    }
    (by_series.into_values().collect(), unusable)
}

/// Who speaks for each series: the mapper with most meanings in the target, ties by name. `asked` are the mappers that
/// answered just now; of others the earlier meanings count.
pub fn speakers(answers: &BTreeMap<String, Vec<SeriesId>>, earlier: &[Meaning]) -> BTreeMap<SeriesId, String> {
    let mut weight: BTreeMap<&str, usize> =
        answers.iter().map(|(name, claims)| (name.as_str(), claims.len())).collect();
    let kept: Vec<&Meaning> = earlier.iter().filter(|meaning| !answers.contains_key(&meaning.mapper)).collect();
    for meaning in &kept {
        *weight.entry(&meaning.mapper).or_default() += 1;
    }
    let mut speakers: BTreeMap<SeriesId, &str> = BTreeMap::new();
    let claimed = answers.iter().flat_map(|(name, claims)| claims.iter().map(move |series| (*series, name.as_str())));
    for (series, name) in claimed.chain(kept.iter().map(|meaning| (meaning.series, meaning.mapper.as_str()))) {
        let speaker = speakers.entry(series).or_insert(name);
        if (weight[name], std::cmp::Reverse(name)) > (weight[*speaker], std::cmp::Reverse(*speaker)) {
            *speaker = name;
        }
    }
    speakers.into_iter().map(|(series, name)| (series, name.to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tandem_domain::{
        entity::{EntityDraft, EntityId},
        meaning::MeaningDraft,
        plugin::{Interest, Scope, Selector},
        series::{Labels, MetricType, SeriesDescription},
        target::TargetKey,
        topology::TopologyDraft,
    };

    fn target() -> TargetKey {
        TargetKey { job: "j".into(), instance: "i".into() }
    }

    fn series(id: u64, metric: &str) -> Series {
        let description = SeriesDescription {
            metric: metric.into(),
            metric_type: MetricType::Gauge,
            unit: String::new(),
            labels: Labels::default(),
        };
        Series { id: SeriesId(id), target: target(), description }
    }

    fn mapper(pattern: &str) -> LivePlugin {
        let selector = Selector { metrics: vec![pattern.into()], ..Selector::default() };
        let interest = Interest { selector, scope: Scope::Target, history_seconds: 0 };
        LivePlugin { name: "m".into(), digest: "1".into(), version: "1.0.0".into(), interests: vec![interest] }
    }

    fn body(scale: f64) -> MeaningBody {
        MeaningBody {
            name: "host.load.1m".into(),
            unit: "1".into(),
            scale,
            offset: 0.0,
            missing: vec![],
            dimensions: Labels::default(),
            fault_rules: vec![],
        }
    }

    fn meaning(series: u64, mapper: &str) -> Meaning {
        let entity = EntityId("host:a".into());
        Meaning { series: SeriesId(series), entity, body: body(1.0), mapper: mapper.into(), mapper_digest: "1".into() }
    }

    #[test]
    fn a_target_is_shown_when_quiet_or_after_the_longest_wait() {
        let config = MapConfig::default();
        let mut pending =
            PendingTarget { target: target(), since: Timestamp(0), last: Timestamp(100), news: 1, again: false };
        assert_eq!(due_at(&pending, &config), Timestamp(600));
        pending.last = Timestamp(4_900);
        assert_eq!(due_at(&pending, &config), Timestamp(5_000));
    }

    #[test]
    fn a_mapper_is_asked_for_new_series_a_new_digest_or_new_labels() {
        let all = [series(1, "node_load1"), series(2, "other"), series(3, "node_load5")];
        let mapper = mapper("node_*");
        let shown = shown_to(&mapper, &all);
        assert_eq!(shown.iter().map(|s| s.id.0).collect::<Vec<_>>(), [1, 3]);
        let mut mapped = MappedTarget {
            target: target(),
            plugin: "m".into(),
            digest: "1".into(),
            through: SeriesId(3),
            meanings: 2,
            relations: vec![],
            alive_at: Timestamp(0),
        };
        assert!(is_stale(&mapper, &shown, None, false));
        assert!(!is_stale(&mapper, &[], None, true));
        assert!(!is_stale(&mapper, &shown, Some(&mapped), false));
        assert!(is_stale(&mapper, &shown, Some(&mapped), true));
        mapped.through = SeriesId(2);
        assert!(is_stale(&mapper, &shown, Some(&mapped), false));
        mapped = MappedTarget { through: SeriesId(3), digest: "0".into(), ..mapped };
        assert!(is_stale(&mapper, &[], Some(&mapped), false), "it may have to take its meanings back");
    }

    #[test]
    fn of_an_answer_only_what_can_be_used_counts() {
        let entity =
            EntityDraft { kind: "host".into(), keys: vec![], name: String::new(), attributes: Labels::default() };
        let draft = |series, entity, scale| MeaningDraft { series, entity, body: body(scale) };
        let meanings = vec![
            draft(0, 0, 1.0),
            draft(0, 0, 2.0),
            draft(9, 0, 1.0),
            draft(1, 7, 1.0),
            draft(1, 0, 0.0),
            draft(1, 0, f64::NAN),
        ];
        let mapping = Mapping { topology: TopologyDraft { entities: vec![entity], relations: vec![] }, meanings };
        let all = [series(5, "a"), series(6, "b")];
        let (claims, unusable) = claims(mapping, &all.iter().collect::<Vec<_>>());
        assert_eq!(claims.iter().map(|claim| (claim.series.0, claim.body.scale)).collect::<Vec<_>>(), [(5, 1.0)]);
        assert_eq!(unusable, 4);
    }

    #[test]
    fn a_contested_series_goes_to_the_mapper_that_knows_the_target_best() {
        let ids = |numbers: &[u64]| numbers.iter().map(|n| SeriesId(*n)).collect::<Vec<_>>();
        let answers = BTreeMap::from([("a".to_owned(), ids(&[1])), ("b".to_owned(), ids(&[1, 2, 3]))]);
        assert_eq!(speakers(&answers, &[])[&SeriesId(1)], "b");
        let answers = BTreeMap::from([("a".to_owned(), ids(&[1, 2])), ("b".to_owned(), ids(&[1, 3]))]);
        assert_eq!(speakers(&answers, &[])[&SeriesId(1)], "a");
        let earlier = [meaning(1, "c"), meaning(4, "c"), meaning(5, "c"), meaning(9, "a")];
        let speakers = speakers(&answers, &earlier);
        assert_eq!(speakers[&SeriesId(1)], "c", "a mapper that was not asked keeps its word");
        assert_eq!(speakers.get(&SeriesId(9)), None, "a mapper that was asked and no longer says so does not");
    }
}
