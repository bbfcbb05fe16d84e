//! What a series looks like on its way out: whether it is sent at all, its labels, and what is declared of it.

use std::collections::{BTreeMap, HashMap, HashSet};
use tandem_domain::{
    series::{Labels, MetricType, Series, SeriesId},
    target::TargetKey,
};
use tandem_query::{METRIC_NAME, Matcher, matches};
use tandem_store::{NewSeries, ReadError, ReadTx};
use tandem_wire::relabel::{LabelMap, Relabeling};

/// Series remembered at the most: some 500 bytes each. Beyond, all are forgotten and read anew as they come.
const MAX_REMEMBERED_SERIES: usize = 1_000_000;
/// Entries of the log of new series read at once.
const NEW_SERIES_PER_READ: usize = 10_000;

/// A series that is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Outgoing {
    /// Whose it is.
    pub target: TargetKey,
    /// `__name__` among them, sorted by name.
    pub labels: Vec<(String, String)>,
    /// The declared type.
    pub metric_type: MetricType,
    /// The declared unit, or empty.
    pub unit: String,
}

impl Outgoing {
    /// The metric's name.
    pub(crate) fn metric(&self) -> &str {
        self.labels.iter().find(|(name, _)| name == METRIC_NAME).map_or("", |(_, value)| value)
    }
}

/// Which series are sent, and as what.
pub(crate) struct Choice {
    selectors: Vec<Vec<Matcher>>,
    external: BTreeMap<String, String>,
    relabeling: Relabeling,
}

impl Choice {
    pub(crate) fn new(
        selectors: Vec<Vec<Matcher>>,
        external: BTreeMap<String, String>,
        relabeling: Relabeling,
    ) -> Self {
        Self { selectors, external, relabeling }
    }

    /// The series as it is sent; none when no selector fits, or the rules let it go or leave it no name.
    pub(crate) fn outgoing(&self, series: &Series, labels: &Labels) -> Option<Outgoing> {
        if !self.selectors.is_empty() && !self.selectors.iter().any(|selector| matches(labels, selector)) {
            return None;
        }
        let own = labels.iter().map(|(name, value)| (name.to_owned(), value.to_owned()));
        let given = self.external.iter().filter(|(name, _)| labels.get(name).is_none());
        let mut labels: LabelMap = own.chain(given.map(|(name, value)| (name.clone(), value.clone()))).collect();
        if !self.relabeling.apply(&mut labels) || labels.get(METRIC_NAME).is_empty() {
            return None;
        }
        let description = &series.description;
        Some(Outgoing {
            target: series.target.clone(),
            labels: labels.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
            metric_type: description.metric_type,
            unit: description.unit.clone(),
        })
    }
}

/// A series that was met.
#[derive(Debug)]
pub(crate) enum Met {
    /// It is sent.
    Sent(Outgoing),
    /// No selector fits it.
    NotChosen,
    /// The store does not know it any more.
    Gone,
}

/// The series that were met.
pub(crate) struct Remembered {
    choice: Choice,
    met: HashMap<SeriesId, Met>,
    /// Up to where the log of new series was followed: a series that is told again is described anew.
    described_through: u64,
}

impl Remembered {
    pub(crate) fn new(choice: Choice, described_through: u64) -> Self {
        Self { choice, met: HashMap::new(), described_through }
    }

    /// Forgets what is too much, and series that were described anew.
    pub(crate) fn refresh(&mut self, read: &ReadTx) -> Result<(), ReadError> {
        if self.met.len() > MAX_REMEMBERED_SERIES {
            self.met = HashMap::new();
        }
        while read.log_end::<NewSeries>()? > self.described_through {
            let told = read.log_after::<NewSeries>(self.described_through, NEW_SERIES_PER_READ)?;
            let Some((last, _)) = told.last() else { return Ok(()) };
            self.described_through = *last;
            let targets: HashSet<TargetKey> = told.into_iter().map(|(_, new)| new.target).collect();
            self.met.retain(|_, met| !matches!(met, Met::Sent(outgoing) if targets.contains(&outgoing.target)));
        }
        Ok(())
    }

    /// What becomes of a series.
    pub(crate) fn meet(&mut self, read: &ReadTx, id: SeriesId) -> Result<&Met, ReadError> {
        use std::collections::hash_map::Entry;
        Ok(match self.met.entry(id) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(place) => {
                let met = match (read.get::<Series>(&id.0)?, read.series_labels(id)) {
                    (Some(series), Some(labels)) => {
                        self.choice.outgoing(&series, &labels).map_or(Met::NotChosen, Met::Sent)
                    }
                    _ => Met::Gone,
                };
                place.insert(met)
            }
        })
    }

    /// A series that is sent.
    pub(crate) fn sent(&self, id: SeriesId) -> Option<&Outgoing> {
        match self.met.get(&id) {
            Some(Met::Sent(outgoing)) => Some(outgoing),
            _ => None,
        }
    }

    /// All that are sent.
    pub(crate) fn all_sent(&self) -> impl Iterator<Item = &Outgoing> {
        self.met.values().filter_map(|met| match met {
            Met::Sent(outgoing) => Some(outgoing),
            _ => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tandem_domain::series::SeriesDescription;

    fn series() -> Series {
        Series {
            id: SeriesId(1),
            target: TargetKey { job: "node".into(), instance: "h:1".into() },
            description: SeriesDescription {
                metric: "temp".into(),
                metric_type: MetricType::Gauge,
                unit: "celsius".into(),
                labels: Labels::default(),
            },
        }
    }

    #[test]
    fn chosen_series_go_out_with_all_their_labels_sorted_and_external_ones_where_they_have_none() {
        let owned = |pairs: &[(&str, &str)]| -> Labels {
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
        };
        let selectors = vec![tandem_query::selector(r#"{job="node",zone!="b"}"#).expect("a selector")];
        let external = [("cluster", "c1"), ("zone", "z0"), ("Area", "north")];
        let external = external.map(|(name, value)| (name.to_owned(), value.to_owned())).into_iter().collect();
        let choice = Choice::new(selectors, external, Relabeling::default());
        let labels = |zone| owned(&[("__name__", "temp"), ("instance", "h:1"), ("job", "node"), ("zone", zone)]);
        let sent = choice.outgoing(&series(), &labels("a")).expect("chosen");
        let shown: Vec<_> = sent.labels.iter().map(|(n, v)| format!("{n}={v}")).collect();
        assert_eq!(shown, ["Area=north", "__name__=temp", "cluster=c1", "instance=h:1", "job=node", "zone=a"]);
        assert_eq!((sent.metric(), sent.metric_type, sent.unit.as_str()), ("temp", MetricType::Gauge, "celsius"));
        assert_eq!(choice.outgoing(&series(), &labels("b")), None);
    }

    #[test]
    fn rules_rewrite_what_goes_out_after_external_labels_and_let_series_go() {
        let rules = serde_json::json!([
            { "source_labels": ["cluster", "instance"], "separator": "/", "target_label": "instance" },
            { "regex": "zone", "action": "labeldrop" },
            { "source_labels": ["job"], "regex": "test", "action": "drop" },
            { "source_labels": ["job"], "regex": "nameless", "target_label": "__name__", "replacement": "" },
        ]);
        let rules: Vec<_> = serde_json::from_value(rules).expect("rules");
        let rules = Relabeling::compile("write_relabel", &rules).expect("rules");
        let choice = Choice::new(Vec::new(), [("cluster".to_owned(), "c1".to_owned())].into(), rules);
        let labels = |job: &str| -> Labels {
            let pairs = [("__name__", "temp"), ("instance", "h:1"), ("job", job), ("zone", "a")];
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
        };
        let sent = choice.outgoing(&series(), &labels("node")).expect("kept");
        let shown: Vec<_> = sent.labels.iter().map(|(n, v)| format!("{n}={v}")).collect();
        assert_eq!(shown, ["__name__=temp", "cluster=c1", "instance=c1/h:1", "job=node"]);
        assert_eq!(choice.outgoing(&series(), &labels("test")), None, "it is let go");
        assert_eq!(choice.outgoing(&series(), &labels("nameless")), None, "no receiver takes a series without a name");
    }
}
