//! One column: gathered, fitted, compared.

use crate::{
    bins::{self, EVIDENTLY_MAX_VALUES},
    index::{self, Filling},
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use tandem_sdk::sampling::Reservoir;

/// Categories of one column: beyond it the column holds identifiers and not categories.
pub const MAX_CATEGORIES: usize = 10_000;
/// The code of a missing category.
const MISSING: u32 = u32::MAX;

/// Which implementation's numbers are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Profile {
    /// Ten quantile bins of the reference.
    #[default]
    #[serde(rename = "decile")]
    Decile,
    /// As Evidently 0.7.
    #[serde(rename = "evidently@0.7")]
    Evidently,
}

/// A sample of one column while it is being fed.
#[derive(Debug, Clone)]
pub enum Gathering {
    /// All numbers, or a uniform sample of them.
    Numbers(Reservoir),
    /// Counts by code.
    Categories(BTreeMap<u32, u64>),
    /// Counts by the bins of a reference that keeps no more than those.
    Binned(Vec<f64>, Vec<u64>),
    /// Of a type that the index is not defined for.
    Ignored,
}

/// The reference of one column, as it is kept. Floating-point numbers are kept as bits, so that nothing is lost in text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Fitted {
    /// Quantile edges, counts between them.
    Binned { edges: Vec<u64>, counts: Vec<u64> },
    /// The numbers in order, and how many they stand for.
    Numbers { values: Vec<u64>, seen: u64 },
    /// Counts by category.
    Categories(BTreeMap<String, u64>),
    /// No values, or a type that the index is not defined for.
    Nothing,
}

/// Two samples of one column, bin by bin.
#[derive(Debug, Clone, PartialEq)]
pub struct Compared {
    /// What each bin holds.
    pub labels: Vec<String>,
    /// Counts of the reference.
    pub before: Vec<u64>,
    /// Counts of the current sample.
    pub now: Vec<u64>,
    /// Rows of the reference.
    pub reference_count: u64,
    /// Rows of the current sample.
    pub current_count: u64,
    /// How the bins were cut.
    pub binning: String,
}

impl Gathering {
    /// Takes numbers; those that are not finite do not count.
    pub fn numbers(&mut self, numbers: &[f64]) {
        let finite = numbers.iter().copied().filter(|number| number.is_finite());
        match self {
            Gathering::Numbers(sample) => finite.for_each(|number| sample.put(number)),
            Gathering::Binned(edges, counts) => finite.for_each(|number| counts[bins::bin_of(edges, number)] += 1),
            Gathering::Categories(_) | Gathering::Ignored => {}
        }
    }

    /// Takes codes of categories.
    ///
    /// # Errors
    /// When there are too many different ones.
    pub fn codes(&mut self, codes: &[u32]) -> Result<(), String> {
        let Gathering::Categories(counts) = self else { return Ok(()) };
        for code in codes.iter().filter(|code| **code != MISSING) {
            *counts.entry(*code).or_default() += 1;
        }
        if counts.len() > MAX_CATEGORIES {
            return Err(format!("has more than {MAX_CATEGORIES} different values, so it holds no categories"));
        }
        Ok(())
    }

    /// Fits the reference.
    pub fn fit(self, profile: Profile, categories: &[String]) -> Fitted {
        match self {
            Gathering::Numbers(sample) if sample.seen() > 0 => {
                let seen = sample.seen();
                let sorted = sample.into_sorted();
                let bits = |numbers: &[f64]| numbers.iter().map(|number| number.to_bits()).collect();
                if profile == Profile::Evidently {
                    return Fitted::Numbers { values: bits(&sorted), seen };
                }
                let edges = bins::decile_edges(&sorted);
                let mut counts = vec![0; bins::DECILES];
                sorted.iter().for_each(|value| counts[bins::bin_of(&edges, *value)] += 1);
                Fitted::Binned { edges: bits(&edges), counts }
            }
            Gathering::Categories(counts) if !counts.is_empty() => Fitted::Categories(by_name(counts, categories)),
            _ => Fitted::Nothing,
        }
    }
}

/// Counts by the names of the categories, which hold where codes are given out anew; a code without a name by its number.
fn by_name(counts: BTreeMap<u32, u64>, categories: &[String]) -> BTreeMap<String, u64> {
    let name = |code: u32| categories.get(code as usize).cloned().unwrap_or_else(|| format!("code {code}"));
    let mut named = BTreeMap::new();
    for (code, count) in counts {
        *named.entry(name(code)).or_default() += count;
    }
    named
}

fn floats(bits: &[u64]) -> Vec<f64> {
    bits.iter().map(|bits| f64::from_bits(*bits)).collect()
}

impl Fitted {
    /// Begins a current sample for it.
    pub fn gather(&self, capacity: usize, seed: u64) -> Gathering {
        match self {
            Fitted::Binned { edges, counts } => Gathering::Binned(floats(edges), vec![0; counts.len()]),
            Fitted::Numbers { .. } => Gathering::Numbers(Reservoir::new(capacity, seed)),
            Fitted::Categories(_) => Gathering::Categories(BTreeMap::new()),
            Fitted::Nothing => Gathering::Ignored,
        }
    }

    /// Puts a current sample beside it; none when either has no values.
    pub fn compare(&self, current: Gathering, categories: &[String]) -> Option<Compared> {
        let compared = match (self, current) {
            (Fitted::Binned { edges, counts }, Gathering::Binned(_, now)) => {
                compare_deciles(&floats(edges), counts, now)
            }
            (Fitted::Numbers { values, seen }, Gathering::Numbers(sample)) => {
                compare_numbers(&floats(values), *seen, sample)?
            }
            (Fitted::Categories(before), Gathering::Categories(now)) => {
                compare_categories(before, &by_name(now, categories))
            }
            _ => return None,
        };
        (compared.current_count > 0).then_some(compared)
    }

    /// Whether its parts fit together, after reading.
    pub fn is_sound(&self) -> bool {
        match self {
            Fitted::Binned { edges, counts } => {
                let edges = floats(edges);
                counts.len() == edges.len() + 1 && edges.is_sorted() && counts.iter().any(|count| *count > 0)
            }
            Fitted::Numbers { values, seen } => {
                let values = floats(values);
                values.is_sorted() && !values.is_empty() && values.len() as u64 <= *seen
            }
            Fitted::Categories(counts) => counts.values().any(|count| *count > 0),
            Fitted::Nothing => true,
        }
    }
}

fn compare_deciles(edges: &[f64], counts: &[u64], now: Vec<u64>) -> Compared {
    let label = |bin: usize| match (bin.checked_sub(1).map(|below| edges[below]), edges.get(bin)) {
        (None, Some(high)) => format!("up to {high}"),
        (Some(low), Some(high)) => format!("above {low} up to {high}"),
        (Some(low), None) => format!("above {low}"),
        (None, None) => "all".into(),
    };
    Compared {
        labels: (0..counts.len()).map(label).collect(),
        before: counts.to_vec(),
        reference_count: counts.iter().sum(),
        current_count: now.iter().sum(),
        now,
        binning: "10 quantiles of the reference, open at both ends".into(),
    }
}

fn compare_numbers(before: &[f64], seen: u64, sample: Reservoir) -> Option<Compared> {
    let current_count = sample.seen();
    let now = sample.into_sorted();
    if now.is_empty() {
        return None;
    }
    let values = bins::by_value(before);
    if values.len() > EVIDENTLY_MAX_VALUES {
        let edges = bins::sturges_edges(before, &now);
        return Some(Compared {
            labels: edges.windows(2).map(|edge| format!("{} to {}", edge[0], edge[1])).collect(),
            before: bins::histogram(&edges, before),
            now: bins::histogram(&edges, &now),
            reference_count: seen,
            current_count,
            binning: format!("{} equally wide bins over both samples, their number by Sturges", edges.len() - 1),
        });
    }
    let name = |values: Vec<(f64, u64)>| values.into_iter().map(|(value, count)| (value.to_string(), count)).collect();
    let compared = compare_categories(&name(values), &name(bins::by_value(&now)));
    Some(Compared { reference_count: seen, current_count, binning: "one bin per value".into(), ..compared })
}

fn compare_categories(before: &BTreeMap<String, u64>, now: &BTreeMap<String, u64>) -> Compared {
    let mut labels: Vec<String> = before.keys().chain(now.keys()).cloned().collect();
    labels.sort();
    labels.dedup();
    let count = |counts: &BTreeMap<String, u64>| -> Vec<u64> {
        labels.iter().map(|label| counts.get(label).copied().unwrap_or_default()).collect()
    };
    Compared {
        before: count(before),
        now: count(now),
        reference_count: before.values().sum(),
        current_count: now.values().sum(),
        binning: "one bin per category".into(),
        labels,
    }
}

impl Compared {
    /// The index, and the shares it was made of.
    pub fn index(&self, filling: Filling) -> (f64, Vec<f64>, Vec<f64>) {
        let (before, now) = (index::shares(&self.before, filling), index::shares(&self.now, filling));
        (index::psi(&before, &now), before, now)
    }

    /// Bins that hold anything.
    pub fn used_bins(&self) -> usize {
        self.before.iter().zip(&self.now).filter(|(before, now)| **before + **now > 0).count()
    }
}
