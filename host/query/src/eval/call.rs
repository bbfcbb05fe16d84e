//! Functions, by name.

use super::{Evaluator, changed, distribution, elementwise, order, relabel, window::Cursor};
use crate::{
    Grid, QueryError,
    labels::METRIC_NAME,
    language::tree::{Kind, Node},
    value::{Datum, StepSeries, Value},
};
use promql_parser::label::MatchOp;

fn seconds(millis: i64) -> f64 {
    millis as f64 / 1000.0
}

fn argument<'n>(name: &str, arguments: &'n [Node], place: usize) -> Result<&'n Node, QueryError> {
    let missing = || QueryError::bad(format!("expected more arguments in call to {name:?}"));
    arguments.get(place).ok_or_else(missing)
}

impl Evaluator<'_> {
    pub(super) fn call(&mut self, name: &str, arguments: &[Node], grid: Grid) -> Result<Value, QueryError> {
        let first = || argument(name, arguments, 0);
        match name {
            "time" => return Ok(Value::Scalar(grid.moments().map(|at| at as f64 / 1000.0).collect())),
            "pi" => return Ok(Value::Scalar(vec![std::f64::consts::PI; grid.len()])),
            "start" => return Ok(Value::Scalar(vec![seconds(self.whole.start); grid.len()])),
            "end" => return Ok(Value::Scalar(vec![seconds(self.whole.end); grid.len()])),
            "range" => return Ok(Value::Scalar(vec![seconds(self.whole.end - self.whole.start); grid.len()])),
            "step" => {
                let is_instant = self.whole.start == self.whole.end;
                let step = if is_instant { 0.0 } else { seconds(self.whole.step) };
                return Ok(Value::Scalar(vec![step; grid.len()]));
            }
            "min_of" | "max_of" => {
                let (one, two) = (self.scalar(first()?, grid)?, self.scalar(argument(name, arguments, 1)?, grid)?);
                let chosen = if name == "min_of" { elementwise::at_most } else { elementwise::at_least };
                return Ok(Value::Scalar(one.into_iter().zip(two).map(|(one, two)| chosen(one, two)).collect()));
            }
            "scalar" => return self.as_scalar(first()?, grid),
            _ => {}
        }
        let series = match name {
            "vector" => vec![StepSeries::bare(self.scalar(first()?, grid)?)],
            "timestamp" => self.timestamp(first()?, grid)?,
            "absent" => {
                let inner = first()?;
                let found = self.vector(inner, grid)?;
                absent(inner, grid.len(), |step| found.iter().any(|one| one.values[step].is_some()))
            }
            "absent_over_time" => self.absent_over_time(first()?, grid)?,
            "sort" | "sort_desc" => {
                if grid.len() > 1 {
                    self.warn_of_order(name, arguments);
                }
                let series = self.vector(first()?, grid)?;
                if grid.len() > 1 { series } else { order::by_value(series, name == "sort_desc") }
            }
            "sort_by_label" | "sort_by_label_desc" => {
                if grid.len() > 1 {
                    self.warn_of_order(name, arguments);
                }
                let series = self.vector(first()?, grid)?;
                let names = self.texts(arguments, grid, 1)?;
                order::by_label(series, &names, name == "sort_by_label_desc")
            }
            "histogram_quantile" => self.quantile_of_histograms(arguments, grid)?,
            "histogram_quantiles" => self.quantiles_of_histograms(arguments, grid)?,
            "histogram_fraction" => self.fraction_of_histograms(arguments, grid)?,
            "info" => self.info(arguments, grid)?,
            "label_replace" => {
                let series = self.vector(first()?, grid)?;
                let texts = self.texts(arguments, grid, 1)?;
                relabel::replace(series, &texts)?
            }
            "label_join" => {
                let series = self.vector(first()?, grid)?;
                let texts = self.texts(arguments, grid, 1)?;
                relabel::join(series, &texts)?
            }
            _ => match (elementwise::resolved(name), distribution::of_histogram(name)) {
                (Some(function), _) => self.elementwise(function, arguments, grid)?,
                (_, Some(function)) => self.of_histograms(function, first()?, grid)?,
                _ => self.over_range(name, arguments, grid)?,
            },
        };
        Ok(Value::Vector(series))
    }

    fn warn_of_order(&mut self, name: &str, arguments: &[Node]) {
        let text = "is ineffective for range queries since results are always ordered by labels";
        // The place is that of the call, which is where its name stands before the parenthesis.
        let before = arguments.first().map_or(0, |argument| argument.at);
        let at = self.query[..before].rfind(name).unwrap_or(0);
        self.warn(at, &format!("sort {text}"));
    }

    fn texts(&mut self, arguments: &[Node], grid: Grid, from: usize) -> Result<Vec<String>, QueryError> {
        arguments.iter().skip(from).map(|argument| self.text(argument, grid)).collect()
    }

    fn as_scalar(&mut self, inner: &Node, grid: Grid) -> Result<Value, QueryError> {
        let series = self.vector(inner, grid)?;
        let value = |step: usize| {
            let mut present = series.iter().filter_map(|one| one.values[step].as_ref()?.float());
            match (present.next(), present.next()) {
                (Some(value), None) => value,
                _ => f64::NAN,
            }
        };
        Ok(Value::Scalar((0..grid.len()).map(value).collect()))
    }

    /// Of a selector, the moments of its samples; of anything else, the step's own.
    fn timestamp(&mut self, inner: &Node, grid: Grid) -> Result<Vec<StepSeries>, QueryError> {
        let seconds = |at: i64| Datum::Float(at as f64 / 1000.0);
        if let Kind::Vector(selector) = &inner.kind {
            let found = self.latest(selector, inner.at, grid)?;
            let told = found.into_iter().map(|(labels, samples)| StepSeries {
                labels,
                drops_name: true,
                values: samples.into_iter().map(|sample| Some(seconds(sample?.at))).collect(),
            });
            return Ok(told.collect());
        }
        let moments: Vec<i64> = grid.moments().collect();
        let series = self.vector(inner, grid)?;
        let told = series.into_iter().map(|one| {
            let values = one.values.iter().zip(&moments).map(|(value, at)| value.as_ref().map(|_| seconds(*at)));
            let values = values.collect();
            one.renamed(values)
        });
        Ok(told.collect())
    }

    fn absent_over_time(&mut self, inner: &Node, grid: Grid) -> Result<Vec<StepSeries>, QueryError> {
        let windows = self.windows(inner, grid)?;
        let mut is_there = vec![false; grid.len()];
        for one in &windows.series {
            let mut cursor = Cursor::default();
            for (step, there) in is_there.iter_mut().enumerate() {
                *there |= !windows.window(one, step, &mut cursor).is_empty();
            }
        }
        Ok(absent(inner, grid.len(), |step| is_there[step]))
    }

    fn elementwise(
        &mut self,
        function: elementwise::Function,
        arguments: &[Node],
        grid: Grid,
    ) -> Result<Vec<StepSeries>, QueryError> {
        let series = match arguments.first() {
            Some(first) => self.vector(first, grid)?,
            // Functions of time alone take the step's own.
            None => vec![StepSeries::bare(grid.moments().map(|at| at as f64 / 1000.0))],
        };
        let mut more = Vec::new();
        for argument in arguments.iter().skip(1) {
            more.push(self.scalar(argument, grid)?);
        }
        if more.is_empty() {
            return Ok(changed(series, |_, value| function(value, &[])));
        }
        Ok(changed(series, |step, value| {
            let more: Vec<f64> = more.iter().map(|values| values[step]).collect();
            function(value, &more)
        }))
    }

    /// A function of each native histogram; floats are left out.
    fn of_histograms(
        &mut self,
        function: fn(&tandem_domain::histogram::NativeHistogram) -> f64,
        inner: &Node,
        grid: Grid,
    ) -> Result<Vec<StepSeries>, QueryError> {
        let told = self.vector(inner, grid)?.into_iter().map(|one| {
            let value = |value: &Option<Datum>| Some(Datum::Float(function(value.as_ref()?.histogram()?)));
            let values = one.values.iter().map(value).collect();
            one.renamed(values)
        });
        Ok(told.filter(|one| one.values.iter().any(Option::is_some)).collect())
    }
}

/// 1 where nothing is there, with the labels that the selector fixes by `=`, each once.
fn absent(inner: &Node, steps: usize, is_there: impl Fn(usize) -> bool) -> Vec<StepSeries> {
    let values: Vec<Option<Datum>> = (0..steps).map(|step| (!is_there(step)).then_some(Datum::Float(1.0))).collect();
    if values.iter().all(Option::is_none) {
        return Vec::new();
    }
    let matchers = match &inner.kind {
        Kind::Vector(selector) | Kind::Matrix(selector, _) => selector.sets.first(),
        _ => None,
    };
    let matchers = matchers.map(Vec::as_slice).unwrap_or_default();
    let fixed = matchers.iter().filter(|matcher| {
        matcher.name != METRIC_NAME
            && matches!(matcher.op, MatchOp::Equal)
            && matchers.iter().filter(|other| other.name == matcher.name).count() == 1
    });
    let labels = fixed.map(|matcher| (matcher.name.clone(), matcher.value.clone())).collect();
    vec![StepSeries { labels, drops_name: false, values }]
}
