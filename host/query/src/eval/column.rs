//! The values of a group, folded for all steps together.

use super::{
    notes::Notes,
    numbers::{Mean, Variance},
    over_range::folded_histograms,
};
use crate::{language::tree::AggregateOp, value::Datum};
use std::sync::Arc;
use tandem_domain::histogram::{Compensated, NativeHistogram};

/// The fold so far at one step.
#[derive(Clone, Default)]
struct Fold {
    count: f64,
    floats: usize,
    sum: Compensated,
    mean: Mean,
    variance: Variance,
    best: f64,
    histograms: Vec<Arc<NativeHistogram>>,
}

/// The folds of one group.
pub(super) struct Column {
    op: AggregateOp,
    folds: Vec<Fold>,
    /// Whether histograms were left out.
    pub ignored_histograms: bool,
}

impl Column {
    pub(super) fn new(op: AggregateOp, steps: usize) -> Self {
        Self { op, folds: vec![Fold { best: f64::NAN, ..Fold::default() }; steps], ignored_histograms: false }
    }

    /// Folds a series in.
    pub(super) fn add(&mut self, values: &[Option<Datum>]) {
        use AggregateOp as A;
        for (fold, value) in self.folds.iter_mut().zip(values) {
            match value {
                None => continue,
                Some(Datum::Float(value)) => {
                    fold.floats += 1;
                    match self.op {
                        A::Sum => fold.sum.add(*value),
                        A::Avg => fold.mean.add(*value),
                        A::Min if fold.best.is_nan() || *value < fold.best => fold.best = *value,
                        A::Max if fold.best.is_nan() || *value > fold.best => fold.best = *value,
                        A::Stddev | A::Stdvar => fold.variance.add(*value),
                        _ => {}
                    }
                }
                Some(Datum::Histogram(histogram)) => match self.op {
                    A::Sum | A::Avg => fold.histograms.push(histogram.clone()),
                    A::Count | A::Group => {}
                    _ => {
                        self.ignored_histograms = true;
                        continue;
                    }
                },
            }
            fold.count += 1.0;
        }
    }

    /// The values, and what is to be noted of them.
    pub(super) fn finish(self) -> (Vec<Option<Datum>>, Notes, bool) {
        use AggregateOp as A;
        let (mut notes, mut is_mixed) = (Notes::default(), false);
        let op = self.op;
        let value = |fold: Fold| -> Option<Datum> {
            if fold.count == 0.0 {
                return None;
            }
            if !fold.histograms.is_empty() {
                if fold.floats > 0 {
                    is_mixed = true;
                    return None;
                }
                let histograms: Vec<&NativeHistogram> = fold.histograms.iter().map(AsRef::as_ref).collect();
                return folded_histograms(&histograms, op == A::Avg, &mut notes).map(Datum::from);
            }
            Some(Datum::Float(match op {
                A::Sum => fold.sum.total(),
                A::Avg => fold.mean.total(),
                A::Count => fold.count,
                A::Group => 1.0,
                A::Stdvar => fold.variance.total(),
                A::Stddev => fold.variance.total().sqrt(),
                _ => fold.best,
            }))
        };
        let values = self.folds.into_iter().map(value).collect();
        (values, notes, is_mixed)
    }
}
