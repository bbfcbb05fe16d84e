//! What memory knows of the exemplars that are kept: for each series which there are, and the newest of them, since what comes
//! next is held against it. What a change does to it is gathered beside it until the commit is durable.

use parking_lot::RwLock;
use std::collections::{HashMap, VecDeque, hash_map::Entry};
use tandem_domain::{exemplar::KeptExemplar, series::SeriesId};

/// Exemplars that one series keeps at the most; the oldest go first. More than a page can show of it, and with one at each scrape
/// more than four hours.
pub(super) const MAX_OF_SERIES: usize = 1_000;

/// Moment and number of one exemplar.
pub(super) type Place = (i64, u64);

/// What is kept of one series, oldest first.
#[derive(Debug)]
struct OfSeries {
    places: VecDeque<Place>,
    newest: KeptExemplar,
}

/// All exemplars that are kept, by series.
#[derive(Debug, Default)]
pub(crate) struct Ring {
    of_series: HashMap<SeriesId, OfSeries>,
    /// Whose exemplar arrived when, oldest first; those that left before their turn are still named.
    arrivals: VecDeque<(u64, SeriesId)>,
    held: u64,
}

/// What one change, or all changes of a commit so far, did to one series.
#[derive(Debug, Clone)]
pub(super) struct Changed {
    /// How many of the oldest in the ring are gone.
    pub gone: usize,
    /// What came.
    pub added: VecDeque<Place>,
    /// The newest by now.
    pub newest: Option<KeptExemplar>,
}

/// What one change, or all changes of a commit so far, did.
#[derive(Debug, Default)]
pub(crate) struct ExemplarChanges {
    pub(super) of_series: HashMap<SeriesId, Changed>,
    /// The last number that was evicted because there are too many.
    pub(super) evicted: u64,
}

impl ExemplarChanges {
    /// Whether nothing was done.
    pub(crate) fn is_empty(&self) -> bool {
        self.of_series.is_empty()
    }

    /// Brings what memory knows to what was committed.
    pub(crate) fn reach(self, ring: &RwLock<Ring>) {
        if !self.is_empty() {
            ring.write().reach(self);
        }
    }

    /// Joins what a later change did, which saw what this one did.
    pub(crate) fn extend(&mut self, later: Self) {
        self.of_series.extend(later.of_series);
        self.evicted = self.evicted.max(later.evicted);
    }
}

impl Ring {
    /// Adds one that is kept, in the order of arrival.
    pub(super) fn push(&mut self, kept: KeptExemplar) {
        let place = (kept.exemplar.at.0, kept.arrival);
        self.arrivals.push_back((kept.arrival, kept.series));
        self.held += 1;
        match self.of_series.get_mut(&kept.series) {
            Some(known) => {
                known.places.push_back(place);
                known.newest = kept;
            }
            None => {
                let known = OfSeries { places: VecDeque::from([place]), newest: kept };
                self.of_series.insert(known.newest.series, known);
            }
        }
    }

    /// What a change starts from.
    pub(super) fn unchanged(&self, series: SeriesId) -> Changed {
        let newest = self.of_series.get(&series).map(|known| known.newest.clone());
        Changed { gone: 0, added: VecDeque::new(), newest }
    }

    /// What is kept of a series, oldest first.
    pub(super) fn places(&self, series: SeriesId) -> impl ExactSizeIterator<Item = Place> {
        static NONE: VecDeque<Place> = VecDeque::new();
        self.of_series.get(&series).map_or(&NONE, |known| &known.places).iter().copied()
    }

    /// Whether anything is kept of a series.
    pub(super) fn has(&self, series: SeriesId) -> bool {
        self.of_series.contains_key(&series)
    }

    /// Series of which something is kept from before a moment.
    pub(super) fn older_than(&self, moment: i64) -> Vec<SeriesId> {
        let is_old = |known: &OfSeries| known.places.front().is_some_and(|(at, _)| *at < moment);
        self.of_series.iter().filter(|(_, known)| is_old(known)).map(|(series, _)| *series).collect()
    }

    /// The number of the oldest one that may be there.
    pub(super) fn first(&self) -> Option<u64> {
        self.arrivals.front().map(|(arrival, _)| *arrival)
    }

    /// How many are kept.
    pub(crate) fn len(&self) -> u64 {
        self.held
    }

    /// Brings it to what was committed.
    fn reach(&mut self, changes: ExemplarChanges) {
        let mut arrived = Vec::new();
        for (series, changed) in changes.of_series {
            arrived.extend(changed.added.iter().map(|(_, arrival)| (*arrival, series)));
            let known = self.of_series.entry(series);
            let Some(newest) = changed.newest else {
                if let Entry::Occupied(known) = known {
                    self.held -= known.remove().places.len() as u64;
                }
                continue;
            };
            let known = known.or_insert_with(|| OfSeries { places: VecDeque::new(), newest: newest.clone() });
            let gone = changed.gone.min(known.places.len());
            known.places.drain(..gone);
            self.held = self.held - gone as u64 + changed.added.len() as u64;
            known.places.extend(changed.added);
            known.newest = newest;
        }
        arrived.sort_unstable();
        self.arrivals.extend(arrived);
        while let Some((arrival, series)) =
            self.arrivals.front().copied().filter(|(first, _)| *first <= changes.evicted)
        {
            self.arrivals.pop_front();
            self.forget(arrival, series);
        }
    }

    /// Forgets one that was evicted, if it is still there; it is the oldest of its series then.
    fn forget(&mut self, arrival: u64, series: SeriesId) {
        let Some(known) = self.of_series.get_mut(&series) else { return };
        if known.places.front().is_some_and(|(_, first)| *first == arrival) {
            known.places.pop_front();
            self.held -= 1;
        }
        if known.places.is_empty() {
            self.of_series.remove(&series);
        }
    }
}
