//! Functions, by name.

use super::{
    Evaluator, changed, elementwise, histogram, relabel,
    select::{Window, Windows},
    windows,
};
use crate::{
    Grid, QueryError,
    engine::unwrapped,
    labels::{METRIC_NAME, nameless},
    value::{StepSeries, Value, merged},
};
use promql_parser::parser::{Call, Expr};
use std::cmp::Ordering;
use tandem_domain::series::Labels;

/// Suffixes by which counters are known.
const COUNTER_SUFFIXES: [&str; 4] = ["_total", "_sum", "_count", "_bucket"];

fn argument(call: &Call, place: usize) -> Result<&Expr, QueryError> {
    let missing = || QueryError::bad(format!("expected more arguments in call to {:?}", call.func.name));
    call.args.args.get(place).map(AsRef::as_ref).ok_or_else(missing)
}

impl Evaluator<'_> {
    pub(super) fn call(&mut self, call: &Call, grid: Grid) -> Result<Value, QueryError> {
        let name = call.func.name;
        match name {
            "time" => return Ok(Value::Scalar(grid.moments().map(|at| at as f64 / 1000.0).collect())),
            "pi" => return Ok(Value::Scalar(vec![std::f64::consts::PI; grid.len()])),
            "scalar" => return self.as_scalar(argument(call, 0)?, grid),
            _ => {}
        }
        let series = match name {
            "vector" => {
                let values = self.scalar(argument(call, 0)?, grid)?;
                vec![StepSeries { labels: Labels::default(), values: values.into_iter().map(Some).collect() }]
            }
            "timestamp" => self.timestamp(argument(call, 0)?, grid)?,
            "absent" => {
                let inner = argument(call, 0)?;
                let found = self.vector(inner, grid)?;
                absent(inner, grid.len(), |step| found.iter().any(|one| one.values[step].is_some()))
            }
            "absent_over_time" => {
                let inner = argument(call, 0)?;
                let windows = self.windows(inner, grid)?;
                absent(inner, grid.len(), |step| {
                    windows.series.iter().any(|one| !windows.window(one, step).at.is_empty())
                })
            }
            "sort" | "sort_desc" if grid.len() > 1 => {
                self.annotations.warn(format!(
                    "{name} is ineffective for range queries since results always have a fixed output ordering"
                ));
                self.vector(argument(call, 0)?, grid)?
            }
            "sort" | "sort_desc" => sorted(self.vector(argument(call, 0)?, grid)?, name == "sort_desc"),
            "histogram_quantile" => {
                let quantile = self.scalar(argument(call, 0)?, grid)?;
                let buckets = self.vector(argument(call, 1)?, grid)?;
                histogram::quantiles(&quantile, buckets, grid.len(), &mut self.annotations)?
            }
            "histogram_fraction" => {
                let lower = self.scalar(argument(call, 0)?, grid)?;
                let upper = self.scalar(argument(call, 1)?, grid)?;
                let buckets = self.vector(argument(call, 2)?, grid)?;
                histogram::fractions(&lower, &upper, buckets, &mut self.annotations)?
            }
            "label_replace" => {
                let series = self.vector(argument(call, 0)?, grid)?;
                let texts = self.texts(call, grid, 1)?;
                relabel::replace(series, &texts)?
            }
            "label_join" => {
                let series = self.vector(argument(call, 0)?, grid)?;
                let texts = self.texts(call, grid, 1)?;
                relabel::join(series, &texts)?
            }
            _ if elementwise::is_known(name) => self.elementwise(call, grid)?,
            _ => self.over_range(call, grid)?,
        };
        Ok(Value::Vector(series))
    }

    fn texts(&mut self, call: &Call, grid: Grid, from: usize) -> Result<Vec<String>, QueryError> {
        call.args.args.iter().skip(from).map(|argument| self.text(argument, grid)).collect()
    }

    fn as_scalar(&mut self, inner: &Expr, grid: Grid) -> Result<Value, QueryError> {
        let series = self.vector(inner, grid)?;
        let value = |step: usize| {
            let mut present = series.iter().filter_map(|one| one.values[step]);
            match (present.next(), present.next()) {
                (Some(value), None) => value,
                _ => f64::NAN,
            }
        };
        Ok(Value::Scalar((0..grid.len()).map(value).collect()))
    }

    /// Of a selector, the moments of its samples; of anything else, the step's own.
    fn timestamp(&mut self, inner: &Expr, grid: Grid) -> Result<Vec<StepSeries>, QueryError> {
        if let Expr::VectorSelector(selector) = unwrapped(inner) {
            let found = self.latest(selector, grid)?;
            let told = found.into_iter().map(|(labels, samples)| StepSeries {
                labels: nameless(&labels),
                values: samples.into_iter().map(|sample| Some(sample?.at as f64 / 1000.0)).collect(),
            });
            return merged(told.collect());
        }
        let moments: Vec<i64> = grid.moments().collect();
        changed(self.vector(inner, grid)?, |step, _| Some(moments[step] as f64 / 1000.0))
    }

    fn elementwise(&mut self, call: &Call, grid: Grid) -> Result<Vec<StepSeries>, QueryError> {
        let name = call.func.name;
        let series = match call.args.args.first() {
            Some(first) => self.vector(first, grid)?,
            // Functions of time alone take the step's own.
            None => {
                let values = grid.moments().map(|at| Some(at as f64 / 1000.0)).collect();
                vec![StepSeries { labels: Labels::default(), values }]
            }
        };
        let mut more = Vec::new();
        for argument in call.args.args.iter().skip(1) {
            more.push(self.scalar(argument, grid)?);
        }
        changed(series, |step, value| {
            let more: Vec<f64> = more.iter().map(|values| values[step]).collect();
            elementwise::of(name, value, &more)
        })
    }

    fn over_range(&mut self, call: &Call, grid: Grid) -> Result<Vec<StepSeries>, QueryError> {
        let name = call.func.name;
        let mut parameters = Vec::new();
        let mut ranged = None;
        for argument in &call.args.args {
            if matches!(unwrapped(argument), Expr::MatrixSelector(_) | Expr::Subquery(_)) {
                ranged = Some(self.windows(argument, grid)?);
            } else {
                parameters.push(self.scalar(argument, grid)?);
            }
        }
        let unknown = || QueryError::bad(format!("function {name:?} is not served"));
        let windows: Windows = ranged.ok_or_else(unknown)?;
        if !is_over_range(name) {
            return Err(unknown());
        }
        let moments: Vec<i64> = grid.moments().collect();
        let mut series = Vec::with_capacity(windows.series.len());
        for one in &windows.series {
            self.hold(grid.len())?;
            let mut values = Vec::with_capacity(grid.len());
            for (step, moment) in moments.iter().enumerate() {
                let window = windows.window(one, step);
                let parameters: Vec<f64> = parameters.iter().map(|values| values[step]).collect();
                let value = if window.at.is_empty() { None } else { of_window(name, &window, &parameters, *moment) };
                values.push(value);
            }
            self.notice(name, &one.labels, values.iter().any(Option::is_some), &parameters);
            let keeps = ["last_over_time", "first_over_time"].contains(&name);
            series.push(StepSeries { labels: if keeps { one.labels.clone() } else { nameless(&one.labels) }, values });
        }
        merged(series)
    }

    /// What Prometheus tells of functions that were given what they are not for.
    fn notice(&mut self, function: &str, labels: &Labels, has_value: bool, parameters: &[Vec<f64>]) {
        let metric = labels.get(METRIC_NAME).unwrap_or_default();
        let is_counter = COUNTER_SUFFIXES.iter().any(|suffix| metric.ends_with(suffix));
        if ["rate", "increase", "irate"].contains(&function) && has_value && !metric.is_empty() && !is_counter {
            self.annotations.info(format!(
                "metric might not be a counter, name does not end in _total/_sum/_count/_bucket: {metric:?}"
            ));
        }
        if function == "quantile_over_time" {
            for q in parameters.iter().flatten().filter(|q| !(0.0..=1.0).contains(*q)) {
                self.annotations.warn(format!("quantile value should be between 0 and 1, got {q}"));
            }
        }
    }
}

fn is_over_range(name: &str) -> bool {
    name.ends_with("_over_time")
        || ["rate", "increase", "delta", "irate", "idelta", "deriv", "predict_linear", "changes", "resets"]
            .contains(&name)
        || ["holt_winters", "double_exponential_smoothing"].contains(&name)
}

/// A function of one range.
fn of_window(name: &str, window: &Window<'_>, parameters: &[f64], moment: i64) -> Option<f64> {
    let values = window.value;
    let first_parameter = parameters.first().copied().unwrap_or(f64::NAN);
    Some(match name {
        "rate" => return windows::extrapolated(window, true, true),
        "increase" => return windows::extrapolated(window, true, false),
        "delta" => return windows::extrapolated(window, false, false),
        "irate" => return windows::instantaneous(window, true),
        "idelta" => return windows::instantaneous(window, false),
        "deriv" => return windows::line(window, window.at[0]).map(|(slope, _)| slope),
        "predict_linear" => {
            return windows::line(window, moment).map(|(slope, now)| slope * first_parameter + now);
        }
        "holt_winters" | "double_exponential_smoothing" => {
            return windows::smoothed(window, first_parameter, parameters.get(1).copied().unwrap_or(f64::NAN));
        }
        "changes" => windows::changes(window),
        "resets" => windows::resets(window),
        "sum_over_time" => windows::sum(values.iter().copied()),
        "avg_over_time" => windows::mean(values),
        "count_over_time" => values.len() as f64,
        "min_over_time" => windows::extreme(values, |a, b| a < b),
        "max_over_time" => windows::extreme(values, |a, b| a > b),
        "last_over_time" => *values.last()?,
        "first_over_time" => *values.first()?,
        "present_over_time" => 1.0,
        "stdvar_over_time" => windows::variance(values),
        "stddev_over_time" => windows::variance(values).sqrt(),
        "quantile_over_time" => windows::quantile(first_parameter, &mut values.to_vec()),
        "mad_over_time" => {
            let median = windows::quantile(0.5, &mut values.to_vec());
            windows::quantile(0.5, &mut values.iter().map(|value| (value - median).abs()).collect::<Vec<_>>())
        }
        _ => return None,
    })
}

/// 1 where nothing is there, with the labels that the selector fixes by `=`, each once.
fn absent(inner: &Expr, steps: usize, is_there: impl Fn(usize) -> bool) -> Vec<StepSeries> {
    let values: Vec<Option<f64>> = (0..steps).map(|step| (!is_there(step)).then_some(1.0)).collect();
    if values.iter().all(Option::is_none) {
        return Vec::new();
    }
    let selector = match unwrapped(inner) {
        Expr::VectorSelector(selector) => Some(selector),
        Expr::MatrixSelector(matrix) => Some(&matrix.vs),
        _ => None,
    };
    let matchers = selector.map(|selector| selector.matchers.matchers.as_slice()).unwrap_or_default();
    let fixed = matchers.iter().filter(|matcher| {
        matcher.name != METRIC_NAME
            && matches!(matcher.op, promql_parser::label::MatchOp::Equal)
            && matchers.iter().filter(|other| other.name == matcher.name).count() == 1
    });
    let labels = fixed.map(|matcher| (matcher.name.clone(), matcher.value.clone())).collect();
    vec![StepSeries { labels, values }]
}

/// By value at the first step, NaN last.
fn sorted(mut series: Vec<StepSeries>, descending: bool) -> Vec<StepSeries> {
    let first = |one: &StepSeries| one.values.first().copied().flatten().unwrap_or(f64::NAN);
    series.sort_by(|a, b| {
        let (a, b) = (first(a), first(b));
        let order = a.partial_cmp(&b).unwrap_or(Ordering::Equal);
        a.is_nan().cmp(&b.is_nan()).then(if descending { order.reverse() } else { order })
    });
    series
}
