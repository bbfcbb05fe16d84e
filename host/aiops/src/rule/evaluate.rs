//! One evaluation of a group: its rules one after another over one snapshot, and what came of it in one commit.

use super::{
    check::{CheckedGroup, CheckedRule},
    rules::{self, Change, Found, Moment},
    source::{GroupSource, WrittenSample},
    tables::{GroupState, Health, RuleRun, RuleState},
    template::{Expander, QueryFn, Shown, Surroundings},
};
use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Instant,
};
use tandem_domain::{
    Timestamp,
    alert::{AlertState, Fingerprint, ToldAlert},
    rule::RuleKind,
    series::{HistogramBatch, Labels, MetricType, SampleBatch, SeriesDescription, split_target},
};
use tandem_query::{Datum, Engine, Outcome, QueryLimits, STALE_NAN, StoreSource};
use tandem_store::{ReadTx, Store, WriteError, WriteTx};

/// Who tells the alerts of rules.
pub(crate) const TELLER: &str = "rules";

/// What an evaluation is told.
#[derive(Clone)]
pub(super) struct Asked {
    pub group: Arc<CheckedGroup>,
    /// Where the group stands among all.
    pub place: u64,
    pub interval_millis: i64,
    pub offset_millis: i64,
    pub moment: Moment,
    /// Whether it is the first evaluation since the server started.
    pub is_first: bool,
    pub external_labels: Labels,
    pub external_url: String,
    pub limits: QueryLimits,
}

/// What came of an evaluation, to be committed.
#[derive(Default)]
pub(super) struct Came {
    samples: Vec<WrittenSample>,
    states: Vec<RuleState>,
    told: Vec<ToldAlert>,
    group: Option<GroupState>,
    pub evaluations: u64,
    pub failures: u64,
}

/// What one rule came to.
struct Evaluated {
    /// Series by their labels, with their values.
    series: Vec<(Labels, Datum)>,
    state: RuleState,
    told: Vec<ToldAlert>,
}

/// Evaluates a group. Takes a thread for as long as it takes.
///
/// # Errors
/// When the store cannot be read; a rule that fails is told in the group's state.
pub(super) fn evaluate(store: &Store, asked: &Asked) -> Result<Came, tandem_store::ReadError> {
    let began = Instant::now();
    let read = store.read()?;
    let (file, name) = (asked.group.file.clone(), asked.group.group.name.clone());
    let earlier = read.get::<GroupState>(&(file.clone(), name.clone()))?;
    let mut states = Vec::with_capacity(asked.group.rules.len());
    for rule in &asked.group.rules {
        states.push(state_of(&read, rule, asked, earlier.as_ref().and_then(|group| group.evaluated_at))?);
    }
    let source = Arc::new(GroupSource::new(StoreSource::new(read)));
    let mut came = Came::default();
    let mut runs = Vec::with_capacity(states.len());
    for (rule, state) in asked.group.rules.iter().zip(states) {
        let rule_began = Instant::now();
        let evaluated = one(rule, &state, asked, &source);
        came.evaluations += 1;
        let (health, last_error) = match evaluated {
            Ok(evaluated) => {
                take(&mut came, &state, evaluated, asked, &source);
                (Health::Ok, None)
            }
            Err(Failed { error, cleared }) => {
                came.failures += 1;
                if let Some(evaluated) = cleared {
                    take(&mut came, &state, *evaluated, asked, &source);
                }
                (Health::Err, Some(error))
            }
        };
        runs.push(RuleRun {
            id: rule.id.clone(),
            rule: rule.rule.clone(),
            health,
            last_error,
            evaluated_at: Some(asked.moment.at),
            seconds: rule_began.elapsed().as_secs_f64(),
        });
    }
    came.group = Some(GroupState {
        file,
        name,
        place: asked.place,
        interval_millis: asked.interval_millis,
        limit: asked.group.group.limit,
        evaluated_at: Some(asked.moment.at),
        seconds: began.elapsed().as_secs_f64(),
        rules: runs,
    });
    Ok(came)
}

/// How a rule stands; after an outage, as it stands now.
fn state_of(
    read: &ReadTx,
    rule: &CheckedRule,
    asked: &Asked,
    last: Option<Timestamp>,
) -> Result<RuleState, tandem_store::ReadError> {
    let known = read.get::<RuleState>(&rule.id)?;
    let mut state = known.unwrap_or_else(|| RuleState { id: rule.id.clone(), series: Vec::new(), alerts: Vec::new() });
    if let (true, Some(last)) = (asked.is_first, last) {
        rules::after_outage(&rule.rule, &mut state.alerts, last, asked.moment.at, asked.interval_millis);
    }
    Ok(state)
}

/// Takes what a rule came to: its series, the ends of series that are gone, its state and what is told.
fn take(came: &mut Came, before: &RuleState, evaluated: Evaluated, asked: &Asked, source: &GroupSource) {
    let at = asked.moment.at.0 - asked.offset_millis;
    let now: HashSet<&Labels> = evaluated.series.iter().map(|(labels, _)| labels).collect();
    let gone = before.series.iter().filter(|labels| !now.contains(*labels));
    let ends = gone.map(|labels| (labels.clone(), at, Datum::Float(f64::from_bits(STALE_NAN))));
    let samples: Vec<_> =
        evaluated.series.iter().map(|(labels, value)| (labels.clone(), at, value.clone())).chain(ends).collect();
    source.add(&samples);
    came.samples.extend(samples);
    came.told.extend(evaluated.told);
    if evaluated.state != *before {
        came.states.push(evaluated.state);
    }
}

/// Why a rule failed, and what it comes to all the same: beyond its limit it holds no alerts.
struct Failed {
    error: String,
    cleared: Option<Box<Evaluated>>,
}

impl From<String> for Failed {
    fn from(error: String) -> Self {
        Self { error, cleared: None }
    }
}

/// Series with numbers: an alert and a template show a distribution as zero, as Prometheus does.
fn numbers(series: Vec<(Labels, Datum)>) -> Vec<(Labels, f64)> {
    series.into_iter().map(|(labels, value)| (labels, value.float().unwrap_or(0.0))).collect()
}

/// The series an expression comes to at a moment.
fn vector(source: &GroupSource, limits: &QueryLimits, expr: &str, at: i64) -> Result<Vec<(Labels, Datum)>, String> {
    let answer = Engine::new(source, limits.clone()).instant(expr, at);
    // What it came to is small beside what it was made of, which is freed by now.
    limits.share.shrink_to(0);
    let answer = answer.map_err(|error| error.message)?;
    match answer.outcome {
        Outcome::Vector(series) => Ok(series.into_iter().map(|(labels, sample)| (labels, sample.value)).collect()),
        Outcome::Scalar(_, value) => Ok(vec![(Labels::default(), Datum::Float(value))]),
        Outcome::Text(..) | Outcome::Matrix(_) => Err("rule result is not a vector or scalar".into()),
    }
}

fn one(rule: &CheckedRule, state: &RuleState, asked: &Asked, source: &Arc<GroupSource>) -> Result<Evaluated, Failed> {
    let at = asked.moment.at.0 - asked.offset_millis;
    let found = vector(source, &asked.limits, &rule.rule.expr, at)?;
    match rule.rule.kind {
        RuleKind::Recording => recorded(rule, found, asked),
        RuleKind::Alerting { .. } => alerted(rule, state, found, asked, source),
    }
}

fn recorded(rule: &CheckedRule, found: Vec<(Labels, Datum)>, asked: &Asked) -> Result<Evaluated, Failed> {
    let set = rule.rule.labels.clone();
    let named = |labels: &Labels| {
        let name = [("__name__".to_owned(), rule.rule.name.clone())];
        rules::with_labels(labels, set.clone().into_iter().chain(name))
    };
    let series: Vec<(Labels, Datum)> = found.into_iter().map(|(labels, value)| (named(&labels), value)).collect();
    let mut labels: Vec<Labels> = series.iter().map(|(labels, _)| labels.clone()).collect();
    labels.sort();
    if labels.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err("vector contains metrics with the same labelset after applying rule labels".to_owned().into());
    }
    let limit = asked.group.group.limit;
    if limit > 0 && series.len() > limit {
        return Err(format!("exceeded limit of {limit} with {} series", series.len()).into());
    }
    let state = RuleState { id: rule.id.clone(), series: labels, alerts: Vec::new() };
    Ok(Evaluated { series, state, told: Vec::new() })
}

/// The templates of a rule, with this evaluation's functions.
struct Expanders {
    labels: Vec<(String, Expander)>,
    annotations: Vec<(String, Expander)>,
}

impl Expanders {
    fn new(rule: &CheckedRule, asked: &Asked, source: &Arc<GroupSource>) -> Self {
        let (source, limits) = (source.clone(), asked.limits.clone());
        let at = asked.moment.at.0 - asked.offset_millis;
        let query: QueryFn = Arc::new(move |expr: &str| Ok(numbers(vector(&source, &limits, expr, at)?)));
        let around = Surroundings {
            external_labels: asked.external_labels.clone(),
            external_url: asked.external_url.clone(),
            query,
        };
        let ready = |templates: &[(String, super::template::Template)]| {
            templates.iter().map(|(name, template)| (name.clone(), Expander::new(template, &around))).collect()
        };
        Self { labels: ready(&rule.labels), annotations: ready(&rule.annotations) }
    }

    /// An alert of a sample. A template that cannot be expanded says so in its place, as Prometheus does.
    fn found(&self, rule: &CheckedRule, labels: &Labels, value: f64) -> Found {
        let shown = Shown { labels, value };
        let expanded = |(name, expander): &(String, Expander)| {
            let text = expander.expand(&shown).unwrap_or_else(|error| {
                tracing::warn!(alert = rule.rule.name, "a template could not be expanded: {error}");
                format!("<error expanding template: {error}>")
            });
            (name.clone(), text)
        };
        let name = [("alertname".to_owned(), rule.rule.name.clone())];
        Found {
            labels: rules::with_labels(labels, self.labels.iter().map(expanded).chain(name)),
            annotations: self.annotations.iter().map(expanded).collect(),
            value,
        }
    }
}

fn alerted(
    rule: &CheckedRule,
    state: &RuleState,
    found: Vec<(Labels, Datum)>,
    asked: &Asked,
    source: &Arc<GroupSource>,
) -> Result<Evaluated, Failed> {
    let expanders = Expanders::new(rule, asked, source);
    let found = numbers(found).into_iter().map(|(labels, value)| expanders.found(rule, &labels, value));
    let found: Vec<Found> = found.collect();
    let mut met = HashSet::with_capacity(found.len());
    if found.iter().any(|one| !met.insert(&one.labels)) {
        return Err("vector contains metrics with the same labelset after applying alert labels".to_owned().into());
    }
    let (mut alerts, mut changes) = rules::advance(&rule.rule, state.alerts.clone(), found, asked.moment);
    let (limit, count) = (asked.group.group.limit, alerts.len());
    let is_over = limit > 0 && count > limit;
    if is_over {
        // As Prometheus: a rule beyond its limit holds no alerts at all, and what fired is over.
        changes.retain(|change| matches!(change, Change::Resolved(_)));
        changes.extend(state.alerts.iter().filter(|alert| alert.told_at.is_some()).cloned().map(Change::Resolved));
        alerts.clear();
    }
    let series = rules::series(&alerts).into_iter().map(|(labels, value)| (labels, Datum::Float(value)));
    let series: Vec<(Labels, Datum)> = series.collect();
    let mut labels: Vec<Labels> = series.iter().map(|(labels, _)| labels.clone()).collect();
    labels.sort();
    labels.dedup();
    let told = changes.iter().map(|change| told(change, asked.moment.at, &asked.external_labels)).collect();
    let state = RuleState { id: rule.id.clone(), series: labels, alerts };
    let evaluated = Evaluated { series, state, told };
    if is_over {
        let error = format!("exceeded limit of {limit} with {count} alerts");
        return Err(Failed { error, cleared: Some(Box::new(evaluated)) });
    }
    Ok(evaluated)
}

/// What the alert room is told. The labels of the server are put on, so that the alert is the one that a Prometheus with the
/// same rule and the same labels tells.
pub(super) fn told(change: &Change, at: Timestamp, external: &Labels) -> ToldAlert {
    let (alert, state) = match change {
        Change::Firing(alert) => (alert, AlertState::Firing),
        Change::Resolved(alert) => (alert, AlertState::Resolved),
    };
    let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
    // Of a name given twice the first value stays: the alert's own.
    let labels: Labels = alert.labels.iter().map(owned).chain(external.iter().map(owned)).collect();
    ToldAlert {
        source: TELLER.into(),
        fingerprint: Fingerprint::of_labels(&labels),
        state,
        labels,
        annotations: alert.annotations.clone(),
        started_at: alert.fired_at.unwrap_or(alert.active_at),
        ends_at: (state == AlertState::Resolved).then_some(at),
    }
}

/// Writes samples of series by their labels, registering those that are new. What is refused beyond the limits of series is
/// left out, as it is at the doors.
pub(super) fn write_samples(tx: &mut WriteTx<'_>, samples: Vec<WrittenSample>) -> Result<(), WriteError> {
    let (mut floats, mut histograms) = (SampleBatch::default(), HistogramBatch::default());
    let mut known = HashMap::with_capacity(samples.len());
    let mut refused: Option<(String, u64)> = None;
    for (labels, at, value) in samples {
        let id = match known.get(&labels) {
            Some(id) => *id,
            None => {
                let (target, series) = split_target(described(&labels));
                match tx.admit_series(&target, &series)? {
                    Ok(id) => {
                        known.insert(labels, id);
                        id
                    }
                    Err(refusal) => {
                        refused.get_or_insert((refusal.to_string(), 0)).1 += 1;
                        continue;
                    }
                }
            }
        };
        match value {
            Datum::Float(value) => floats.push(id, Timestamp(at), value),
            Datum::Histogram(histogram) => histograms.push(id, Timestamp(at), (*histogram).clone()),
        }
    }
    if let Some((why, count)) = refused {
        tracing::warn!(count, "series of rules were not taken: {why}");
    }
    tx.append_histograms(&histograms)?;
    tx.append_samples(&floats).map(drop)
}

fn described(labels: &Labels) -> SeriesDescription {
    let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
    SeriesDescription {
        metric: labels.get("__name__").unwrap_or_default().to_owned(),
        metric_type: MetricType::Unknown,
        unit: String::new(),
        labels: labels.iter().filter(|(name, _)| *name != "__name__").map(owned).collect(),
    }
}

impl Came {
    /// How many samples are to be written.
    pub(super) fn samples(&self) -> u64 {
        self.samples.len() as u64
    }

    /// Writes everything in the transaction: series, states, and what the alert room is told.
    pub(super) fn write(self, tx: &mut WriteTx<'_>) -> Result<(), WriteError> {
        write_samples(tx, self.samples)?;
        self.states.iter().try_for_each(|state| tx.put(state))?;
        self.told.iter().try_for_each(|alert| tx.append(alert).map(drop))?;
        self.group.iter().try_for_each(|group| tx.put(group))
    }
}
