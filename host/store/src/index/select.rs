//! From matchers to series.

use super::{
    LabelIndex, LabelMatcher, LabelTest, Presence,
    matcher::Shape,
    postings::{LabelValues, Union},
    symbols::Symbol,
};
use roaring::RoaringBitmap;
use tandem_domain::{Timestamp, series::SeriesId};

/// From when to when, both included.
pub type TimeRange = (Timestamp, Timestamp);

/// Which series: those that fit one of the sets of matchers (all, where there is no set), and may have samples in the range.
#[derive(Debug, Clone, Default)]
pub struct LabelFilter {
    /// A series fits a set when it fits all of it.
    pub sets: Vec<Vec<LabelMatcher>>,
    /// Windows that do not meet it do not count. A window is two hours long.
    pub range: Option<TimeRange>,
}

/// How a matcher is worked out: what is looked up comes before what is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Cost {
    Lookup,
    Trial,
}

fn cost(test: &LabelTest) -> Cost {
    match test {
        LabelTest::Equal(_) | LabelTest::NotEqual(_) => Cost::Lookup,
        LabelTest::Fits(pattern) | LabelTest::Misses(pattern) => match pattern.shape() {
            Shape::Anything | Shape::Something | Shape::Literals(_) => Cost::Lookup,
            Shape::Prefix(_) | Shape::Unknown => Cost::Trial,
        },
    }
}

impl LabelIndex {
    /// The places of the series that fit all matchers.
    pub(super) fn fitting(&self, matchers: &[LabelMatcher]) -> RoaringBitmap {
        let mut ordered: Vec<&LabelMatcher> = matchers.iter().collect();
        // Lookups of what a series must have come first: they leave the least for all others.
        ordered.sort_by_key(|matcher| (cost(&matcher.test), matcher.test.passes("")));
        let mut found: Option<RoaringBitmap> = None;
        for matcher in ordered {
            let so_far = found.as_ref();
            if so_far.is_some_and(RoaringBitmap::is_empty) {
                break;
            }
            let values = self.symbols.find(&matcher.name).and_then(|name| Some((name, self.names.get(&name)?)));
            let lacking_passes = matcher.test.passes("");
            let Some((name, values)) = values else {
                if !lacking_passes {
                    return RoaringBitmap::new();
                }
                continue;
            };
            // Of a test that a missing label passes, the series that fail it are sought, which have the label.
            let sought = self.having(name, values, &matcher.test, !lacking_passes, so_far.unwrap_or(&self.all));
            found = Some(match (found, lacking_passes) {
                (None, true) => &self.all - sought,
                (None, false) => sought,
                (Some(all), true) => all - sought,
                (Some(all), false) => all & sought,
            });
        }
        found.unwrap_or_else(|| self.all.clone())
    }

    /// The series that have a value which passes a test (or fails it, where `passing` is false). Only those among `within`
    /// matter to the caller.
    fn having(
        &self,
        name: Symbol,
        values: &LabelValues,
        test: &LabelTest,
        passing: bool,
        within: &RoaringBitmap,
    ) -> RoaringBitmap {
        let of = |texts: &mut dyn Iterator<Item = &str>| {
            let mut union = Union::default();
            let postings = texts.filter_map(|text| values.posting(self.symbols.find(text)?));
            postings.for_each(|posting| union.add(posting));
            union.whole()
        };
        // A present label has a text, so that what passes nothing at all is nothing here.
        match (test, passing) {
            (LabelTest::Equal(text), true) | (LabelTest::NotEqual(text), false) => of(&mut [text.as_str()].into_iter()),
            (LabelTest::Equal(_), false) | (LabelTest::NotEqual(_), true) => values.present().clone(),
            (LabelTest::Fits(pattern), true) | (LabelTest::Misses(pattern), false) => match pattern.shape() {
                Shape::Anything | Shape::Something => values.present().clone(),
                Shape::Literals(texts) => of(&mut texts.iter().map(String::as_str)),
                Shape::Prefix(prefix) => self.tried(name, values, |text| pattern.fits(text), within, Some(prefix)),
                Shape::Unknown => self.tried(name, values, |text| pattern.fits(text), within, None),
            },
            (LabelTest::Fits(pattern), false) | (LabelTest::Misses(pattern), true) => match pattern.shape() {
                Shape::Anything | Shape::Something => RoaringBitmap::new(),
                Shape::Literals(texts) => values.present() - of(&mut texts.iter().map(String::as_str)),
                _ => self.tried(name, values, |text| !pattern.fits(text), within, None),
            },
        }
    }

    /// The series whose value passes: by value, or by series where those are fewer.
    fn tried(
        &self,
        name: Symbol,
        values: &LabelValues,
        passes: impl Fn(&str) -> bool,
        within: &RoaringBitmap,
        prefix: Option<&str>,
    ) -> RoaringBitmap {
        let text = |value: Symbol| self.symbols.text(value);
        let sorted = prefix.map(|prefix| {
            let sorted = values.sorted(&self.symbols);
            let from = sorted.partition_point(|value| text(*value) < prefix);
            let count = sorted[from..].partition_point(|value| text(*value).starts_with(prefix));
            sorted[from..from + count].to_vec()
        });
        let to_try = sorted.as_ref().map_or(values.len(), Vec::len);
        if within.len() < to_try as u64 {
            let fits = |place: &u32| self.value_at(*place, name).is_some_and(|value| passes(text(value)));
            return within.iter().filter(fits).collect();
        }
        let mut union = Union::default();
        match sorted {
            Some(sorted) => {
                let fitting = sorted.into_iter().filter(|value| passes(text(*value)));
                fitting.filter_map(|value| values.posting(value)).for_each(|posting| union.add(posting));
            }
            None => {
                let fitting = values.iter().filter(|(value, _)| passes(text(*value)));
                fitting.for_each(|(_, posting)| union.add(posting));
            }
        }
        union.whole()
    }

    fn value_at(&self, place: u32, name: Symbol) -> Option<Symbol> {
        let entry = self.entry(place)?;
        self.visible(entry).find(|(known, _)| *known == name).map(|(_, value)| value)
    }

    /// The places of the series that a filter finds; `recent` tells of a series that has samples which are in no block yet.
    pub(super) fn filtered(&self, filter: &LabelFilter, recent: &dyn Fn(SeriesId, TimeRange) -> bool) -> RoaringBitmap {
        let fitting = if filter.sets.is_empty() {
            self.all.clone()
        } else {
            filter.sets.iter().map(|set| self.fitting(set)).fold(RoaringBitmap::new(), |all, set| all | set)
        };
        let Some((start, end)) = filter.range else { return fitting };
        let present = |presence: &Presence| presence.between(start, end, crate::series::WINDOW_MILLIS);
        let present = present(&self.floats) | present(&self.histograms);
        let alive = |place: &u32| {
            let id = self.entry(*place).map(|entry| entry.id);
            id.is_some_and(|id| present.contains(id.0) || recent(id, (start, end)))
        };
        fitting.into_iter().filter(alive).collect()
    }

    /// The numbers of the series that a filter finds, rising.
    pub(crate) fn select(&self, filter: &LabelFilter, recent: &dyn Fn(SeriesId, TimeRange) -> bool) -> Vec<SeriesId> {
        let places = self.filtered(filter, recent);
        let mut found: Vec<SeriesId> =
            places.into_iter().filter_map(|place| self.entry(place)).map(|entry| entry.id).collect();
        found.sort_unstable();
        found
    }

    /// The names of the labels of the series that a filter finds, sorted.
    pub(crate) fn label_names(
        &self,
        filter: &LabelFilter,
        recent: &dyn Fn(SeriesId, TimeRange) -> bool,
    ) -> Vec<String> {
        let within = self.filtered(filter, recent);
        let met = self.names.iter().filter(|(_, values)| !values.present().is_disjoint(&within));
        let mut names: Vec<String> = met.map(|(name, _)| self.symbols.text(*name).to_owned()).collect();
        names.sort_unstable();
        names
    }

    /// The values that a label has in the series that a filter finds, sorted.
    pub(crate) fn label_values(
        &self,
        name: &str,
        filter: &LabelFilter,
        recent: &dyn Fn(SeriesId, TimeRange) -> bool,
    ) -> Vec<String> {
        let Some(values) = self.symbols.find(name).and_then(|name| self.names.get(&name)) else { return Vec::new() };
        let sorted = values.sorted(&self.symbols);
        let within = (!filter.sets.is_empty() || filter.range.is_some()).then(|| self.filtered(filter, recent));
        let met = sorted.iter().filter(|value| {
            let posting = values.posting(**value);
            posting.is_some_and(|posting| within.as_ref().is_none_or(|within| posting.meets(within)))
        });
        met.map(|value| self.symbols.text(*value).to_owned()).collect()
    }
}
