//! Which series have a label, and which of them with which value.

use super::symbols::{Symbol, Symbols};
use hashbrown::HashMap;
use parking_lot::Mutex;
use roaring::RoaringBitmap;
use std::sync::Arc;

/// The places of the series with one value. Most values of a label that has many belong to one series.
#[derive(Debug, Clone)]
pub(crate) enum Posting {
    One(u32),
    Many(RoaringBitmap),
}

impl Posting {
    fn add(&mut self, place: u32) {
        match self {
            Self::One(known) if *known == place => {}
            Self::One(known) => *self = Self::Many([*known, place].into_iter().collect()),
            Self::Many(places) => {
                places.insert(place);
            }
        }
    }

    /// Whether any of `others` is among them.
    pub(crate) fn meets(&self, others: &RoaringBitmap) -> bool {
        match self {
            Self::One(place) => others.contains(*place),
            Self::Many(places) => !places.is_disjoint(others),
        }
    }

    /// The first of them.
    pub(crate) fn first(&self) -> Option<u32> {
        match self {
            Self::One(place) => Some(*place),
            Self::Many(places) => places.min(),
        }
    }

    /// How many series.
    pub(crate) fn len(&self) -> u64 {
        match self {
            Self::One(_) => 1,
            Self::Many(places) => places.len(),
        }
    }
}

/// The values of one label.
#[derive(Debug, Default)]
pub(crate) struct LabelValues {
    postings: HashMap<Symbol, Posting>,
    /// The series that have the label at all.
    present: RoaringBitmap,
    order: Mutex<Order>,
}

/// The values in the order of their texts, made when it is asked for.
#[derive(Debug, Default)]
struct Order {
    sorted: Arc<[Symbol]>,
    fresh: Vec<Symbol>,
}

impl LabelValues {
    pub(crate) fn add(&mut self, value: Symbol, place: u32) {
        self.present.insert(place);
        if let Some(posting) = self.postings.get_mut(&value) {
            posting.add(place);
            return;
        }
        self.postings.insert(value, Posting::One(place));
        self.order.get_mut().fresh.push(value);
    }

    /// Takes a series away. The number of a value that is gone may be given to another text: the order is made anew then.
    pub(crate) fn remove(&mut self, value: Symbol, place: u32) {
        self.present.remove(place);
        let gone = match self.postings.get_mut(&value) {
            None => false,
            Some(Posting::One(known)) => *known == place,
            Some(Posting::Many(places)) => {
                places.remove(place);
                places.is_empty()
            }
        };
        if gone {
            self.postings.remove(&value);
            *self.order.get_mut() = Order { sorted: Arc::default(), fresh: self.postings.keys().copied().collect() };
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.postings.is_empty()
    }

    /// How many values.
    pub(crate) fn len(&self) -> usize {
        self.postings.len()
    }

    pub(crate) fn present(&self) -> &RoaringBitmap {
        &self.present
    }

    pub(crate) fn posting(&self, value: Symbol) -> Option<&Posting> {
        self.postings.get(&value)
    }

    /// Values with their series, in no order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Symbol, &Posting)> {
        self.postings.iter().map(|(value, posting)| (*value, posting))
    }

    /// The values in the order of their texts.
    pub(crate) fn sorted(&self, symbols: &Symbols) -> Arc<[Symbol]> {
        let mut order = self.order.lock();
        if !order.fresh.is_empty() {
            let fresh = std::mem::take(&mut order.fresh);
            let mut all: Vec<Symbol> = order.sorted.iter().copied().chain(fresh).collect();
            // The sort finds the part that is in order already.
            all.sort_by(|a, b| symbols.text(*a).cmp(symbols.text(*b)));
            order.sorted = all.into();
        }
        order.sorted.clone()
    }
}

/// Joins postings: what belongs to one series each is gathered and joined at once.
#[derive(Default)]
pub(crate) struct Union {
    singles: Vec<u32>,
    joined: RoaringBitmap,
}

impl Union {
    pub(crate) fn add(&mut self, posting: &Posting) {
        match posting {
            Posting::One(place) => self.singles.push(*place),
            Posting::Many(places) => self.joined |= places,
        }
    }

    pub(crate) fn whole(mut self) -> RoaringBitmap {
        self.singles.sort_unstable();
        self.joined.extend(self.singles);
        self.joined
    }
}
