//! Exporters' pages: targets, their series, and the values of each step.

use crate::{
    draw::Draws,
    error::{At, Problem, StoryError},
    expression::Node,
    limits::MAX_SERIES,
    parts::Parts,
    shape::{PageShape, RowsShape},
    table::{Form, SeriesLine, series_lines},
    template::Template,
    world::{Moment, World},
};
use std::collections::{BTreeMap, BTreeSet};
use tandem_domain::series::{Labels, MetricType};

/// How steep a histogram's distribution is: of a log-logistic with this exponent a tenth lies above 1.9 times the median.
const HISTOGRAM_STEEPNESS: f64 = 3.5;
/// Buckets of a histogram; beyond it pages are full of them.
const MAX_BUCKETS: usize = 40;

/// A target that a story shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoryTarget {
    /// Its job.
    pub job: String,
    /// Its instance.
    pub instance: String,
    /// Its other labels, the mark of the demonstration among them.
    pub labels: Labels,
}

/// A series that a story shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StorySeries {
    /// Number of its target.
    pub target: usize,
    /// The metric's name.
    pub metric: String,
    /// Its own labels, without those of the target.
    pub labels: Labels,
    /// What the exporter declares it to be.
    pub metric_type: MetricType,
}

/// Series that come from one line, for all parts of a kind.
#[derive(Debug, Clone)]
struct Row {
    kind: usize,
    node: Node,
    /// The rate of a histogram's observations.
    rate: Option<Node>,
    when: Option<Node>,
    form: Form,
    buckets: Vec<f64>,
    draws: Draws,
    /// Part, target, first series.
    places: Vec<(u32, usize, u32)>,
    /// Sums of counters, one for each series of the row.
    sums: Vec<f64>,
}

/// Whether targets answer.
#[derive(Debug, Clone)]
struct Answering {
    kind: usize,
    node: Option<Node>,
    draws: Draws,
    /// Part, target, its series `up`.
    places: Vec<(u32, usize, u32)>,
}

/// All pages.
#[derive(Debug, Clone, Default)]
pub(crate) struct Pages {
    pub targets: Vec<StoryTarget>,
    pub series: Vec<StorySeries>,
    rows: Vec<Row>,
    answering: Vec<Answering>,
}

impl Pages {
    pub(crate) fn build(
        file: &str,
        world: &World,
        shapes: &[PageShape],
        demo: &str,
        draws: Draws,
    ) -> Result<Self, StoryError> {
        let mut pages = Self::default();
        for (number, shape) in shapes.iter().enumerate() {
            let place = || format!("page.{number} (job {})", shape.job);
            pages.add(world, shape, demo, draws.of(&shape.job)).at(file, place)?;
        }
        let known: BTreeSet<_> = pages.targets.iter().map(|target| (&target.job, &target.instance)).collect();
        if known.len() < pages.targets.len() {
            let told = "two targets have the same job and instance; put a part's name or address into instance";
            return Err(told.to_owned()).at(file, || "page".into());
        }
        Ok(pages)
    }

    fn add(&mut self, world: &World, shape: &PageShape, demo: &str, draws: Draws) -> Result<(), Problem> {
        let parts = &world.parts;
        let per = parts.kind(&shape.per).map_err(|told| told.replace(" before this", ""))?;
        let instance = Template::read(&shape.instance)?;
        let labels = templates(&shape.labels)?;
        let up = shape.up.as_deref().map(|text| page_node(world, per, text).map_err(|told| format!("up: {told}")));
        let mut answering = Answering { kind: per, node: up.transpose()?, draws: draws.of("up"), places: Vec::new() };
        for number in holders(parts, per, &shape.among)? {
            let filled = filled(parts, &labels, per, number, draws)?;
            let labels = filled.into_iter().chain([("demo".to_owned(), demo.to_owned())]).collect();
            let instance = parts.fill(&instance, per, number, draws)?;
            let target = self.targets.len();
            self.targets.push(StoryTarget { job: shape.job.clone(), instance, labels });
            let up =
                StorySeries { target, metric: "up".into(), labels: Labels::default(), metric_type: MetricType::Gauge };
            answering.places.push((number as u32, target, self.push(up)?));
        }
        let targets: Vec<(usize, usize)> =
            answering.places.iter().map(|(number, target, _)| (*number as usize, *target)).collect();
        self.answering.push(answering);
        shape.of.iter().try_for_each(|rows| self.rows(world, per, &targets, rows, draws))
    }

    fn push(&mut self, series: StorySeries) -> Result<u32, Problem> {
        if self.series.len() >= MAX_SERIES {
            return Err(format!("more than {MAX_SERIES} series; use fewer parts or lines"));
        }
        self.series.push(series);
        Ok(self.series.len() as u32 - 1)
    }

    fn rows(
        &mut self,
        world: &World,
        per: usize,
        targets: &[(usize, usize)],
        shape: &RowsShape,
        draws: Draws,
    ) -> Result<(), Problem> {
        let parts = &world.parts;
        let kind = shape.kind.as_deref().map_or(Ok(per), |name| parts.kind(name))?;
        let named = |told: String| format!("of {}: {told}", parts.kinds[kind].name);
        let common = templates(&shape.labels).map_err(named)?;
        let when = shape.when.as_deref().map(|text| page_node(world, kind, text)).transpose().map_err(named)?;
        if shape.buckets.len() > MAX_BUCKETS || !shape.buckets.is_sorted() {
            return Err(named(format!("buckets must rise, and be at most {MAX_BUCKETS}")));
        }
        for line in series_lines(&shape.series).map_err(named)? {
            let told = |told: String| named(format!("{}: {told}", line.metric));
            self.line(world, (per, kind), targets, &line, shape, &common, when.clone(), draws).map_err(told)?;
        }
        Ok(())
    }

    #[expect(clippy::too_many_arguments, reason = "one line of one page, with all that the page says of it")]
    fn line(
        &mut self,
        world: &World,
        (per, kind): (usize, usize),
        targets: &[(usize, usize)],
        line: &SeriesLine,
        shape: &RowsShape,
        common: &[(String, Template)],
        when: Option<Node>,
        draws: Draws,
    ) -> Result<(), Problem> {
        let parts = &world.parts;
        let (first, rate) = match (line.form, line.expression.split_once(';')) {
            (Form::Histogram, Some((median, rate))) => (median, Some(page_node(world, kind, rate)?)),
            (Form::Histogram, None) => return Err("a histogram is written ~ median; observations per second".into()),
            (_, Some(_)) => return Err("only a histogram (~) has two expressions".into()),
            (_, None) => (line.expression.as_str(), None),
        };
        let own: Vec<(String, Template)> = line
            .labels
            .iter()
            .map(|(name, text)| Ok((name.clone(), Template::read(text)?)))
            .collect::<Result<_, Problem>>()?;
        let mut row = Row {
            kind,
            node: page_node(world, kind, first)?,
            rate,
            when,
            form: line.form,
            buckets: shape.buckets.clone(),
            draws: draws.of(&line.metric).of(&line.expression),
            places: Vec::new(),
            sums: Vec::new(),
        };
        if line.form == Form::Histogram && row.buckets.is_empty() {
            return Err("a histogram needs buckets = [0.1, 0.5, …] beside series".into());
        }
        for &(holder, target) in targets {
            let own_lane = [holder as u32];
            let lanes = if kind == per { &own_lane[..] } else { parts.kinds[per].links[kind].of(holder) };
            for &lane in lanes {
                let number = lane as usize;
                let mut labels = filled(parts, &own, kind, number, draws)?;
                labels.extend(filled(parts, common, kind, number, draws)?);
                let first = self.series_of(target, line, &row.buckets, labels)?;
                row.places.push((lane, target, first));
                row.sums.resize(row.places.len() * width(&row), 0.0);
            }
        }
        self.rows.push(row);
        Ok(())
    }

    /// Writes down the series of one line for one part: one, or those of a histogram.
    fn series_of(
        &mut self,
        target: usize,
        line: &SeriesLine,
        buckets: &[f64],
        labels: Vec<(String, String)>,
    ) -> Result<u32, Problem> {
        let of = |metric: String, metric_type, more: Option<(String, String)>| StorySeries {
            target,
            metric,
            labels: labels.iter().cloned().chain(more).collect(),
            metric_type,
        };
        let metric = &line.metric;
        match line.form {
            Form::Value => self.push(of(metric.clone(), MetricType::Gauge, None)),
            Form::Rate => self.push(of(metric.clone(), MetricType::Counter, None)),
            Form::Histogram => {
                let bounds = buckets.iter().map(ToString::to_string).chain(["+Inf".to_owned()]);
                let mut all: Vec<StorySeries> = bounds
                    .map(|bound| of(format!("{metric}_bucket"), MetricType::Histogram, Some(("le".into(), bound))))
                    .collect();
                all.push(of(format!("{metric}_sum"), MetricType::Histogram, None));
                all.push(of(format!("{metric}_count"), MetricType::Histogram, None));
                let first = self.series.len() as u32;
                all.into_iter().try_for_each(|series| self.push(series).map(drop))?;
                Ok(first)
            }
        }
    }

    /// The samples of a moment: number of the series, value. Counters go on while nobody looks.
    pub(crate) fn show(&mut self, world: &World, moment: Moment, shown: &mut Vec<(u32, f64)>) {
        let mut down = vec![false; self.targets.len()];
        for answering in &self.answering {
            let Some(node) = &answering.node else {
                shown.extend(answering.places.iter().map(|(_, _, up)| (*up, 1.0)));
                continue;
            };
            let column = world.evaluate(answering.kind, node, moment, answering.draws);
            for &(lane, target, up) in &answering.places {
                down[target] = column.at(lane as usize) < 0.5;
                shown.push((up, if down[target] { 0.0 } else { 1.0 }));
            }
        }
        for row in &mut self.rows {
            row.show(world, moment, &down, shown);
        }
    }
}

impl Row {
    fn show(&mut self, world: &World, moment: Moment, down: &[bool], shown: &mut Vec<(u32, f64)>) {
        let evaluate = |node: &Node| world.evaluate(self.kind, node, moment, self.draws);
        let (column, rate) = (evaluate(&self.node), self.rate.as_ref().map(evaluate));
        let when = self.when.as_ref().map(evaluate);
        let (width, dt) = (width(self), moment.step_seconds);
        for (place, &(lane, target, series)) in self.places.iter().enumerate() {
            let lane = lane as usize;
            let value = column.at(lane);
            let hidden = down[target] || when.as_ref().is_some_and(|when| when.at(lane) == 0.0);
            let sums = &mut self.sums[place * width..(place + 1) * width];
            match self.form {
                Form::Value if !hidden && !value.is_nan() => shown.push((series, value)),
                Form::Value => {}
                Form::Rate => {
                    sums[0] += (value * dt).max(0.0);
                    if !hidden && !value.is_nan() {
                        shown.push((series, sums[0]));
                    }
                }
                Form::Histogram => {
                    let rate = rate.as_ref().map_or(0.0, |rate| rate.at(lane)).max(0.0);
                    observe(sums, &self.buckets, value, (rate * dt).round());
                    if !hidden {
                        shown.extend(sums.iter().enumerate().map(|(nth, sum)| (series + nth as u32, *sum)));
                    }
                }
            }
        }
    }
}

/// Series of a row for each part.
fn width(row: &Row) -> usize {
    if row.form == Form::Histogram { row.buckets.len() + 3 } else { 1 }
}

/// Counts observations of a log-logistic distribution around a median into cumulative buckets, sum and count.
fn observe(sums: &mut [f64], bounds: &[f64], median: f64, count: f64) {
    if count.is_nan() || count <= 0.0 || median.is_nan() || median <= 0.0 {
        return;
    }
    for (sum, bound) in sums.iter_mut().zip(bounds) {
        *sum += (count / (1.0 + (bound / median).powf(-HISTOGRAM_STEEPNESS))).round();
    }
    let angle = std::f64::consts::PI / HISTOGRAM_STEEPNESS;
    let mean = median * angle / angle.sin();
    if let [.., infinite, sum, total] = sums {
        *infinite += count;
        *sum += mean * count;
        *total += count;
    }
}

/// The parts that a page is for.
fn holders(parts: &Parts, per: usize, among: &[String]) -> Result<Vec<usize>, Problem> {
    let all = &parts.kinds[per];
    let is_among = |number: usize| {
        let linked =
            all.links.iter().zip(&parts.kinds).any(|(links, kind)| {
                links.of(number).iter().any(|part| among.contains(&kind.parts[*part as usize].name))
            });
        among.is_empty() || linked || among.contains(&all.parts[number].name)
    };
    let found: Vec<usize> = (0..all.parts.len()).filter(|number| is_among(*number)).collect();
    match found.is_empty() {
        true => Err(format!("among {among:?} there is no {}", all.name)),
        false => Ok(found),
    }
}

fn page_node(world: &World, kind: usize, text: &str) -> Result<Node, Problem> {
    Node::read(text, &world.names(kind, false))?.without_memory()
}

fn templates(labels: &BTreeMap<String, String>) -> Result<Vec<(String, Template)>, Problem> {
    let read = |(name, text): (&String, &String)| {
        Ok((name.clone(), Template::read(text).map_err(|told| format!("labels.{name}: {told}"))?))
    };
    labels.iter().map(read).collect()
}

fn filled(
    parts: &Parts,
    templates: &[(String, Template)],
    kind: usize,
    number: usize,
    draws: Draws,
) -> Result<Vec<(String, String)>, Problem> {
    let fill = |(name, template): &(String, Template)| {
        let text = parts.fill(template, kind, number, draws.of(name));
        Ok((name.clone(), text.map_err(|told| format!("label {name}: {told}"))?))
    };
    templates.iter().map(fill).collect()
}
