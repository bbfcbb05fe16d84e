//! `info`: labels of info series (such as `target_info`) added to the series of their target.

use super::{Evaluator, select::LatestSamples};
use crate::{
    Grid, QueryError,
    labels::{METRIC_NAME, label_text, metric_name},
    language::{
        INFO_MARK,
        tree::{Extent, Kind, Node, Pinned, Selector},
    },
    value::{Datum, StepSeries, merged},
};
use promql_parser::label::{MatchOp, Matcher};
use regex::Regex;
use std::collections::{BTreeSet, HashMap};
use tandem_domain::series::Labels;

/// The info series that are meant when none are named.
const TARGET_INFO: &str = "target_info";
/// How info series are named by custom.
const INFO_NAMES: &str = "^.+_info$";
/// The labels by which info series belong to others.
const IDENTIFYING: [&str; 2] = ["instance", "job"];

/// Which info series are asked for, and which of their labels.
struct Wanted {
    names: Vec<Matcher>,
    data: Vec<Matcher>,
    /// Whether which series are meant was said at all, or only the labels.
    is_bare: bool,
}

/// Name and target of info series.
type Key = (String, Vec<String>);

fn identity(labels: &Labels) -> Vec<String> {
    IDENTIFYING.iter().map(|name| labels.get(name).unwrap_or_default().to_owned()).collect()
}

fn wanted(selector: Option<&Node>) -> Wanted {
    let given: Vec<Matcher> = match selector.map(|node| &node.kind) {
        Some(Kind::Vector(selector)) => selector.sets.first().cloned().unwrap_or_default(),
        _ => Vec::new(),
    };
    let (names, data): (Vec<Matcher>, Vec<Matcher>) =
        given.into_iter().filter(|matcher| matcher.name != INFO_MARK).partition(|matcher| matcher.name == METRIC_NAME);
    Wanted { names, data, is_bare: selector.is_none() }
}

/// The moments to which the first selector of an expression refers.
fn reference(node: &Node) -> Option<(Option<Pinned>, i64)> {
    match &node.kind {
        Kind::Vector(selector) | Kind::Matrix(selector, _) => Some((selector.pinned, selector.offset)),
        Kind::Subquery(subquery) => match reference(&subquery.inner)? {
            (Some(pinned), offset) => Some((Some(pinned), offset)),
            (None, offset) => Some((subquery.pinned, subquery.offset + offset)),
        },
        Kind::Negated(inner) => reference(inner),
        Kind::Binary(binary) => reference(&binary.left).or_else(|| reference(&binary.right)),
        Kind::Aggregate(aggregate) => reference(&aggregate.inner),
        Kind::Call(_, arguments) => arguments.iter().find_map(reference),
        Kind::Number(_) | Kind::Text(_) => None,
    }
}

impl Evaluator<'_> {
    pub(super) fn info(&mut self, arguments: &[Node], grid: Grid) -> Result<Vec<StepSeries>, QueryError> {
        let Some(inner) = arguments.first() else { return Err(QueryError::bad("info takes a vector")) };
        let base = self.vector(inner, grid)?;
        let mut wanted = wanted(arguments.get(1));
        let default_name = Matcher::new(MatchOp::Equal, METRIC_NAME, TARGET_INFO);
        let is_named = |matcher: &Matcher| matches!(matcher.op, MatchOp::Equal | MatchOp::Re(_));
        if wanted.is_bare {
            wanted.names.push(default_name.clone());
        } else if !wanted.names.is_empty() && !wanted.names.iter().any(is_named) {
            // Of names that are only excluded, nothing says that what is left are info series.
            let named = Regex::new(INFO_NAMES).map_err(|error| QueryError::bad(error.to_string()))?;
            wanted.names.push(Matcher::new(MatchOp::Re(named), METRIC_NAME, INFO_NAMES));
        }
        // Info series are not told of themselves.
        let is_info = |labels: &Labels| {
            !wanted.names.is_empty() && wanted.names.iter().all(|matcher| matcher.is_match(metric_name(labels)))
        };
        let enriched: Vec<&StepSeries> = base.iter().filter(|one| !is_info(&one.labels)).collect();
        let mut names = wanted.names.clone();
        if names.is_empty() {
            names.push(default_name);
        }
        let (pinned, offset) = reference(inner).unwrap_or((None, 0));
        let references = self.references(grid, pinned, offset);
        let infos = self.info_series(&enriched, names, &wanted.data, (inner.at, &references))?;
        let keys: Vec<Key> =
            infos.iter().map(|(labels, _)| (metric_name(labels).to_owned(), identity(labels))).collect();
        let metrics: BTreeSet<&str> = keys.iter().map(|(name, _)| name.as_str()).collect();
        let latest = latest_infos(&infos, &keys, grid.len())?;
        let mut found: Vec<StepSeries> = Vec::new();
        for one in base.iter() {
            if is_info(&one.labels) {
                found.push(one.clone());
                continue;
            }
            let target = identity(&one.labels);
            let of_metrics: Vec<Option<&Vec<Option<usize>>>> =
                metrics.iter().map(|name| latest.get(&((*name).to_owned(), target.clone()))).collect();
            found.extend(joined(one, &of_metrics, &infos, &wanted.data)?);
        }
        merged(found)
    }

    /// The info series of the targets of some series, with their samples.
    fn info_series(
        &mut self,
        base: &[&StepSeries],
        names: Vec<Matcher>,
        data: &[Matcher],
        (at, references): (usize, &[i64]),
    ) -> Result<Vec<LatestSamples>, QueryError> {
        let values = |name: &str| -> BTreeSet<String> {
            base.iter().filter_map(|one| one.labels.get(name)).map(str::to_owned).collect()
        };
        let known: Vec<(&str, BTreeSet<String>)> = IDENTIFYING.iter().map(|name| (*name, values(name))).collect();
        if known.iter().all(|(_, values)| values.is_empty()) {
            return Ok(Vec::new());
        }
        let set = names.into_iter().chain(data.iter().cloned()).collect();
        let selector = Selector { sets: vec![set], offset: 0, pinned: None, extent: Extent::Plain };
        let mut infos = self.latest_at(&selector, at, references)?;
        infos.retain(|(labels, _)| {
            known
                .iter()
                .all(|(name, values)| values.is_empty() || values.contains(labels.get(name).unwrap_or_default()))
        });
        Ok(infos)
    }
}

/// Which info series is the latest at each step, by name and target.
fn latest_infos(
    infos: &[LatestSamples],
    keys: &[Key],
    steps: usize,
) -> Result<HashMap<Key, Vec<Option<usize>>>, QueryError> {
    let mut latest: HashMap<Key, Vec<Option<usize>>> = HashMap::new();
    for (place, (labels, samples)) in infos.iter().enumerate() {
        let known = latest.entry(keys[place].clone()).or_insert_with(|| vec![None; steps]);
        for (step, sample) in samples.iter().enumerate() {
            let Some(sample) = sample else { continue };
            if !matches!(sample.value, Datum::Float(_)) {
                return Err(QueryError::execution("info sample should be float"));
            }
            let other = known[step].and_then(|other| infos[other].1[step].as_ref().map(|sample| (other, sample.at)));
            match other {
                Some((_, at)) if at > sample.at => {}
                Some((other, at)) if at == sample.at => {
                    return Err(QueryError::execution(format!(
                        "found duplicate series for info metric: existing {} @ {at}, new {} @ {at}",
                        label_text(&infos[other].0),
                        label_text(labels)
                    )));
                }
                _ => known[step] = Some(place),
            }
        }
    }
    Ok(latest)
}

/// A series with the labels of its info series at each step: as many series as there are sets of labels.
fn joined(
    one: &StepSeries,
    of_metrics: &[Option<&Vec<Option<usize>>>],
    infos: &[LatestSamples],
    data: &[Matcher],
) -> Result<Vec<StepSeries>, QueryError> {
    let needs_match = data.iter().any(|matcher| !matcher.is_match(""));
    let mut by_chosen: HashMap<Vec<usize>, usize> = HashMap::new();
    let mut found: Vec<StepSeries> = Vec::new();
    for (step, value) in one.values.iter().enumerate() {
        if value.is_none() {
            continue;
        }
        let chosen: Vec<usize> = of_metrics.iter().filter_map(|steps| steps.and_then(|steps| steps[step])).collect();
        if chosen.is_empty() && needs_match {
            continue;
        }
        let place = match by_chosen.get(&chosen) {
            Some(place) => *place,
            None => {
                let labels = with_infos(&one.labels, chosen.iter().map(|place| &infos[*place].0), data)?;
                let values = vec![None; one.values.len()];
                found.push(StepSeries { labels, drops_name: one.drops_name, values });
                by_chosen.insert(chosen, found.len() - 1);
                found.len() - 1
            }
        };
        found[place].values[step] = value.clone();
    }
    Ok(found)
}

fn with_infos<'l>(
    base: &Labels,
    infos: impl Iterator<Item = &'l Labels>,
    data: &[Matcher],
) -> Result<Labels, QueryError> {
    let mut added: Vec<(String, String)> = Vec::new();
    for labels in infos {
        for (name, value) in labels.iter() {
            let is_asked = data.is_empty() || data.iter().any(|matcher| matcher.name == name);
            if name == METRIC_NAME || !is_asked {
                continue;
            }
            match added.iter().find(|(known, _)| known == name) {
                Some((_, known)) if known != value => {
                    return Err(QueryError::execution(format!("conflicting label: {name}")));
                }
                Some(_) => {}
                None if base.get(name).is_some() => {}
                None => added.push((name.to_owned(), value.to_owned())),
            }
        }
    }
    let own = base.iter().map(|(name, value)| (name.to_owned(), value.to_owned()));
    Ok(own.chain(added).collect())
}
