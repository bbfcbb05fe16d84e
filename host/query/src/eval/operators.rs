//! Binary operators on two values.

use super::{
    notes::{Note, Notes},
    over_range::is_same,
};
use crate::{language::tree::BinaryOp, value::Datum};
use std::sync::Arc;
use tandem_domain::histogram::{HistogramSum, Kept, NativeHistogram, ResetHint};

/// What two values come to.
pub(super) enum Combined {
    /// A value.
    Kept(Datum),
    /// A comparison that does not hold.
    Dropped,
    /// The operator is none for values of these kinds.
    Unfit(&'static str, &'static str),
    /// The buckets of two histograms do not fit each other.
    Incompatible,
}

/// Arithmetic on numbers; a comparison answers 1 or 0.
pub(super) fn arithmetic(op: BinaryOp, left: f64, right: f64) -> f64 {
    let truth = |holds: bool| f64::from(u8::from(holds));
    match op {
        BinaryOp::Add => left + right,
        BinaryOp::Sub => left - right,
        BinaryOp::Mul => left * right,
        BinaryOp::Div => left / right,
        BinaryOp::Mod => left % right,
        BinaryOp::Pow => left.powf(right),
        BinaryOp::Atan2 => left.atan2(right),
        _ => truth(compares(op, left, right)),
    }
}

fn compares(op: BinaryOp, left: f64, right: f64) -> bool {
    match op {
        BinaryOp::Equal => left == right,
        BinaryOp::NotEqual => left != right,
        BinaryOp::Greater => left > right,
        BinaryOp::Less => left < right,
        BinaryOp::GreaterEqual => left >= right,
        BinaryOp::LessEqual => left <= right,
        _ => false,
    }
}

fn kept(holds: bool, value: &Datum) -> Combined {
    if holds { Combined::Kept(value.clone()) } else { Combined::Dropped }
}

fn scaled(histogram: &NativeHistogram, by: f64, divides: bool) -> Combined {
    let mut sum = HistogramSum::of(histogram);
    if divides {
        sum.divide(by)
    } else {
        sum.scale(by)
    }
    Combined::Kept(sum.finish().into())
}

/// The value of an operator; a comparison keeps the left side where it holds.
pub(super) fn combined(op: BinaryOp, left: &Datum, right: &Datum, notes: &mut Notes) -> Combined {
    match (left, right) {
        (Datum::Float(l), Datum::Float(r)) if op.is_comparison() => kept(compares(op, *l, *r), left),
        (Datum::Float(_), Datum::Float(_)) if op.keeps_name() => Combined::Unfit("float", "float"),
        (Datum::Float(l), Datum::Float(r)) => Combined::Kept(Datum::Float(arithmetic(op, *l, *r))),
        (Datum::Float(l), Datum::Histogram(r)) => match op {
            BinaryOp::Mul => scaled(r, *l, false),
            _ => Combined::Unfit("float", "histogram"),
        },
        (Datum::Histogram(l), Datum::Float(r)) => match op {
            BinaryOp::Mul => scaled(l, *r, false),
            BinaryOp::Div => scaled(l, *r, true),
            BinaryOp::TrimUpper => Combined::Kept(l.trimmed(*r, Kept::Below).into()),
            BinaryOp::TrimLower => Combined::Kept(l.trimmed(*r, Kept::Above).into()),
            _ => Combined::Unfit("histogram", "float"),
        },
        (Datum::Histogram(l), Datum::Histogram(r)) => match op {
            BinaryOp::Equal => kept(is_same(l, r), left),
            BinaryOp::NotEqual => kept(!is_same(l, r), left),
            BinaryOp::Add => added(l, r, 1.0, notes),
            BinaryOp::Sub => added(l, r, -1.0, notes),
            _ => Combined::Unfit("histogram", "histogram"),
        },
    }
}

fn added(left: &Arc<NativeHistogram>, right: &Arc<NativeHistogram>, factor: f64, notes: &mut Notes) -> Combined {
    let mut sum = HistogramSum::of(left);
    if sum.add(right, factor).is_err() {
        return Combined::Incompatible;
    }
    let is_sum = factor > 0.0;
    if sum.is_collided() {
        notes.add(if is_sum { Note::CollidedAddition } else { Note::CollidedSubtraction });
    }
    if sum.is_reconciled() {
        notes.add(if is_sum { Note::ReconciledAddition } else { Note::ReconciledSubtraction });
    }
    if !is_sum {
        sum.set_reset(ResetHint::Gauge);
    }
    Combined::Kept(sum.finish().into())
}
