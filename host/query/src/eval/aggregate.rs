//! Aggregations: series grouped by labels once, then folded.

use super::{Evaluator, column::Column, numbers};
use crate::{
    Grid, QueryError,
    labels::{grouped, metric_name, with},
    language::tree::{Aggregate, AggregateOp, Node},
    number_text,
    value::{Datum, Places, StepSeries},
};
use std::collections::BTreeMap;
use tandem_domain::series::Labels;

/// A group of series by their places.
pub(super) struct Group {
    pub labels: Labels,
    pub drops_name: bool,
    pub members: Vec<usize>,
}

/// Groups in the order of their first members.
fn groups(series: &[StepSeries], aggregate: &Aggregate) -> Vec<Group> {
    let mut places = Places::with_capacity(0);
    let mut groups: Vec<Group> = Vec::new();
    for (member, one) in series.iter().enumerate() {
        let labels = grouped(&one.labels, &aggregate.grouping);
        let place = places.of(&labels, groups.len(), |place| &groups[place].labels);
        if place == groups.len() {
            groups.push(Group { labels, drops_name: false, members: Vec::new() });
        }
        groups[place].drops_name |= one.drops_name;
        groups[place].members.push(member);
    }
    groups
}

impl Evaluator<'_> {
    pub(super) fn aggregate(&mut self, aggregate: &Aggregate, grid: Grid) -> Result<Vec<StepSeries>, QueryError> {
        let op = aggregate.op;
        let parameter = |name: &str| {
            let missing = || QueryError::bad(format!("{name} takes a parameter"));
            aggregate.parameter.as_ref().ok_or_else(missing)
        };
        match op {
            AggregateOp::TopK | AggregateOp::BottomK | AggregateOp::LimitK => {
                let count = self.scalar(parameter(op.name())?, grid)?;
                let series = self.vector(&aggregate.inner, grid)?;
                let groups = groups(&series, aggregate);
                self.ranked(op, series, &groups, &count, aggregate.inner.at)
            }
            AggregateOp::LimitRatio => {
                let node = parameter(op.name())?;
                let ratios = self.scalar(node, grid)?;
                let series = self.vector(&aggregate.inner, grid)?;
                self.limited_by_ratio(series, &ratios, node.at)
            }
            AggregateOp::CountValues => {
                let label = self.text(parameter(op.name())?, grid)?;
                let series = self.vector(&aggregate.inner, grid)?;
                counted_values(&series, &groups(&series, aggregate), &label, grid.len())
            }
            AggregateOp::Quantile => {
                let node = parameter(op.name())?;
                let quantiles = self.scalar(node, grid)?;
                let series = self.vector(&aggregate.inner, grid)?;
                self.warn_of_quantiles(node.at, &quantiles);
                self.quantiles(&series, groups(&series, aggregate), &quantiles, &aggregate.inner)
            }
            _ => {
                let series = self.vector(&aggregate.inner, grid)?;
                self.folded(&series, aggregate, grid)
            }
        }
    }

    fn folded(
        &mut self,
        series: &[StepSeries],
        aggregate: &Aggregate,
        grid: Grid,
    ) -> Result<Vec<StepSeries>, QueryError> {
        let at = aggregate.inner.at;
        let mut folded = Vec::new();
        for group in groups(series, aggregate) {
            self.hold(grid.len())?;
            let mut column = Column::new(aggregate.op, grid.len());
            group.members.iter().for_each(|member| column.add(&series[*member].values));
            if column.ignored_histograms {
                self.inform(at, &format!("ignored histogram in {} aggregation", aggregate.op.name()));
            }
            let (values, notes, is_mixed) = column.finish();
            let metric = group.members.first().map(|member| metric_name(&series[*member].labels));
            self.tell(notes, metric.unwrap_or_default(), at);
            if is_mixed {
                self.warn(at, "encountered a mix of histograms and floats for aggregation");
            }
            if values.iter().any(Option::is_some) {
                folded.push(StepSeries { labels: group.labels, drops_name: group.drops_name, values });
            }
        }
        Ok(folded)
    }

    fn quantiles(
        &mut self,
        series: &[StepSeries],
        groups: Vec<Group>,
        quantiles: &[f64],
        inner: &Node,
    ) -> Result<Vec<StepSeries>, QueryError> {
        let mut found = Vec::with_capacity(groups.len());
        let mut floats: Vec<f64> = Vec::new();
        let mut is_ignored = false;
        for group in groups {
            self.hold(quantiles.len())?;
            let mut values = Vec::with_capacity(quantiles.len());
            for (step, q) in quantiles.iter().enumerate() {
                floats.clear();
                let present = group.members.iter().filter_map(|member| series[*member].values[step].as_ref());
                for value in present {
                    match value {
                        Datum::Float(value) => floats.push(*value),
                        Datum::Histogram(_) => is_ignored = true,
                    }
                }
                let value = (!floats.is_empty()).then(|| numbers::quantile(*q, &mut floats));
                values.push(value.map(Datum::Float));
            }
            found.push(StepSeries { labels: group.labels, drops_name: group.drops_name, values });
        }
        if is_ignored {
            self.inform(inner.at, "ignored histogram in quantile aggregation");
        }
        found.retain(|one| one.values.iter().any(Option::is_some));
        Ok(found)
    }
}

fn counted_values(
    series: &[StepSeries],
    groups: &[Group],
    label: &str,
    steps: usize,
) -> Result<Vec<StepSeries>, QueryError> {
    if label.is_empty() {
        return Err(QueryError::execution(format!("invalid label name {label:?}")));
    }
    let mut counts: BTreeMap<Labels, (bool, Vec<f64>)> = BTreeMap::new();
    for group in groups {
        for member in &group.members {
            for (step, value) in series[*member].values.iter().enumerate() {
                let text = match value {
                    None => continue,
                    Some(Datum::Float(value)) => number_text(*value),
                    Some(Datum::Histogram(histogram)) => histogram.to_string(),
                };
                let labels = with(&group.labels, label, &text);
                let (_, counts) = counts.entry(labels).or_insert_with(|| (group.drops_name, vec![0.0; steps]));
                counts[step] += 1.0;
            }
        }
    }
    let told = |count: f64| (count > 0.0).then_some(Datum::Float(count));
    let series = counts.into_iter().map(|(labels, (drops_name, counts))| StepSeries {
        labels,
        drops_name,
        values: counts.into_iter().map(told).collect(),
    });
    Ok(series.collect())
}
