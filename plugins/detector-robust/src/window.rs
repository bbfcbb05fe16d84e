//! A bounded sliding window whose median, MAD and ranks are exact at every moment.
//!
//! The values lie in a ring in the order they came; beside it lies the order of the slots by value. A new value moves a
//! few of these one-byte entries and nothing is ever sorted again. Slots that hold equal values are ordered by slot, so
//! that every slot has one place and is found by a binary search. The values are kept as whole numbers of the same order,
//! which any processor and sandbox compares in one step.

use crate::baseline::{larger, smaller};

/// The largest window. A power of two, so that a slot number cut to its range needs no check of bounds, which a sandbox
/// would pay for at each access; values and order take 1,152 bytes.
pub const MAX_WINDOW_POINTS: usize = 128;
/// Cuts a number to the slots there are.
const SLOT_MASK: usize = MAX_WINDOW_POINTS - 1;

/// The parts by which the binary search narrows `MAX_WINDOW_POINTS` down to one.
const SEARCH_PARTS: [usize; 7] = [64, 32, 16, 8, 4, 2, 1];

/// A finite value as a whole number, ordered as the values are; both zeros are one.
#[inline(always)]
fn key_of(value: f64) -> i64 {
    turn((value + 0.0).to_bits() as i64)
}

/// The value of a key.
#[inline(always)]
fn value_of(key: i64) -> f64 {
    f64::from_bits(turn(key) as u64)
}

/// Turns the magnitude of negative numbers round, since their bits grow with it; done twice it changes nothing.
#[inline(always)]
fn turn(bits: i64) -> i64 {
    bits ^ ((bits >> 63) as u64 >> 1) as i64
}

/// The key of a slot that holds no value: behind all others, so that a search need not know how many there are.
const FREE: i64 = i64::MAX;

/// Room for the values and their order. Free slots come last in the order, each in its own place. The order lies at the
/// beginning, so that an entry's address is one addition away: each step of a search waits for it.
#[derive(Debug, Clone, PartialEq)]
#[repr(C)]
struct Slots {
    order: [u8; MAX_WINDOW_POINTS],
    keys: [i64; MAX_WINDOW_POINTS],
}

/// What an empty window reads; it has no room of its own.
static NO_SLOTS: Slots = Slots { keys: [FREE; MAX_WINDOW_POINTS], order: slots_in_order() };

const fn slots_in_order() -> [u8; MAX_WINDOW_POINTS] {
    let mut order = [0; MAX_WINDOW_POINTS];
    let mut slot = 0;
    while slot < MAX_WINDOW_POINTS {
        order[slot] = slot as u8;
        slot += 1;
    }
    order
}

impl Slots {
    #[inline(always)]
    fn ranked(&self, rank: usize) -> f64 {
        value_of(self.key(rank))
    }

    #[inline(always)]
    fn key(&self, rank: usize) -> i64 {
        self.keys[usize::from(self.order[rank & SLOT_MASK]) & SLOT_MASK]
    }

    /// Whether the entry of a rank comes before a key in a slot. Keys of finite values leave room for one more.
    #[inline(always)]
    fn before(&self, rank: usize, key: i64, slot: usize) -> bool {
        let other_slot = usize::from(self.order[rank & SLOT_MASK]);
        self.keys[other_slot & SLOT_MASK] < key + i64::from(other_slot < slot)
    }

    /// How many entries come before either of two keys in a slot: two binary searches side by side, since neither waits for
    /// the other, and without branches that depend on the data.
    #[inline(always)]
    fn ranks_of(&self, one: i64, other: i64, slot: usize) -> (usize, usize) {
        let (mut first, mut second) = (0, 0);
        for part in SEARCH_PARTS {
            first += if self.before(first + part - 1, one, slot) { part } else { 0 };
            second += if self.before(second + part - 1, other, slot) { part } else { 0 };
        }
        // The parts sum to one less than there are entries.
        (first + usize::from(self.before(first, one, slot)), second + usize::from(self.before(second, other, slot)))
    }

    /// A value takes the place of the oldest one, which lies in its slot; gives its rank. A function of its own, so that all
    /// it works with stays in registers.
    #[inline(never)]
    fn replace(&mut self, slot: usize, value: f64) -> usize {
        let key = key_of(value);
        let (old, new) = self.ranks_of(self.keys[slot & SLOT_MASK], key, slot);
        // `new` counted the old entry when that lies below it.
        let rank = if new > old {
            self.order.copy_within(old + 1..new, old);
            new - 1
        } else {
            self.order.copy_within(new..old, new + 1);
            new
        };
        self.put(rank, slot, key)
    }

    /// A value takes a slot that was free, which is the one after the `length` taken ones; gives its rank.
    fn insert(&mut self, length: usize, slot: usize, value: f64) -> usize {
        let key = key_of(value);
        let (_, rank) = self.ranks_of(key, key, slot);
        self.order.copy_within(rank..length, rank + 1);
        self.put(rank, slot, key)
    }

    #[inline(always)]
    fn put(&mut self, rank: usize, slot: usize, key: i64) -> usize {
        self.keys[slot & SLOT_MASK] = key;
        self.order[rank & SLOT_MASK] = slot as u8;
        rank
    }
}

/// Median and scale of a window.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Centre {
    /// The median.
    pub median: f64,
    /// The median of the absolute deviations from the median.
    pub mad: f64,
}

/// The last values, oldest replaced first.
#[derive(Debug, Clone, PartialEq)]
pub struct Window {
    capacity: usize,
    /// The slot that the next value takes.
    head: usize,
    length: usize,
    slots: Option<Box<Slots>>,
    /// How many of the lower half are among the nearest half: where the last search for the MAD ended, and the next begins.
    lower_share: usize,
}

impl Window {
    /// An empty window of `capacity` values, which is held to 1 ..= [`MAX_WINDOW_POINTS`].
    pub fn new(capacity: usize) -> Self {
        let capacity = capacity.clamp(1, MAX_WINDOW_POINTS);
        Self { capacity, head: 0, length: 0, slots: None, lower_share: 0 }
    }

    /// How many values it holds.
    pub fn len(&self) -> usize {
        self.length
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Whether the next value replaces the oldest.
    pub fn is_full(&self) -> bool {
        self.length == self.capacity
    }

    /// The values in the order they came.
    pub fn chronological(&self) -> impl Iterator<Item = f64> + '_ {
        let keys = &self.slots().keys[..self.length];
        let (newer, older) = if self.is_full() { keys.split_at(self.head) } else { (&[][..], keys) };
        older.iter().chain(newer).map(|key| value_of(*key))
    }

    /// The value of a rank, 0 being the smallest. The rank must be below `len`.
    #[inline]
    pub fn ranked(&self, rank: usize) -> f64 {
        self.slots().ranked(rank)
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        *self = Self::new(self.capacity);
    }

    /// Takes a finite value; gives its rank.
    #[inline(always)]
    pub fn push(&mut self, value: f64) -> usize {
        debug_assert!(value.is_finite());
        let (slot, length) = (self.head, self.length);
        self.head = if slot + 1 == self.capacity { 0 } else { slot + 1 };
        match &mut self.slots {
            Some(slots) if length == self.capacity => slots.replace(slot, value),
            _ => self.grow(slot, value),
        }
    }

    #[cold]
    fn grow(&mut self, slot: usize, value: f64) -> usize {
        let slots = self.slots.get_or_insert_with(|| Box::new(NO_SLOTS.clone()));
        self.length += 1;
        slots.insert(self.length - 1, slot, value)
    }

    #[inline]
    fn slots(&self) -> &Slots {
        self.slots.as_deref().unwrap_or(&NO_SLOTS)
    }

    /// Median and MAD, exact: for an even number of values both are the mean of the two middle ones. None when empty.
    #[inline(never)]
    pub fn centre(&mut self) -> Option<Centre> {
        let count = self.length;
        if count == 0 {
            return None;
        }
        let slots = self.slots();
        let half = count / 2;
        let odd = count % 2 == 1;
        let median = if odd { slots.ranked(half) } else { middle(slots.ranked(half - 1), slots.ranked(half)) };
        if slots.key(0) == slots.key(count - 1) {
            return Some(Centre { median, mad: 0.0 });
        }
        // The deviations below the median (nearest first: ranks half-1, half-2 …) and above it (half, half+1 …) are two
        // sorted lists. Of the `half` smallest deviations, `share` lie below and `half - share` above.
        let (lower, upper) = (half, count - half);
        let mut share = self.lower_share.clamp(half.saturating_sub(upper), lower.min(half));
        let below = |i: usize| median - slots.ranked(half - 1 - i);
        let above = |j: usize| slots.ranked(half + j) - median;
        while share > half.saturating_sub(upper) && half - share < upper && below(share - 1) > above(half - share) {
            share -= 1;
        }
        while share < lower && share < half && above(half - share - 1) > below(share) {
            share += 1;
        }
        let taken_above = half - share;
        let next = match (share < lower, taken_above < upper) {
            (true, true) => smaller(below(share), above(taken_above)),
            (true, false) => below(share),
            (false, true) => above(taken_above),
            (false, false) => 0.0,
        };
        let mad = if odd {
            next
        } else {
            let last_below = if share > 0 { below(share - 1) } else { 0.0 };
            let last_above = if taken_above > 0 { above(taken_above - 1) } else { 0.0 };
            middle(larger(last_below, last_above), next)
        };
        self.lower_share = share;
        Some(Centre { median, mad })
    }

    /// Whether all values are the same one. The window must not be empty.
    #[inline(always)]
    pub fn is_flat(&self) -> bool {
        self.slots().key(0) == self.slots().key(self.length - 1)
    }

    /// The smallest distance from the value of a rank to a different neighbour in rank; infinite when there is none.
    #[inline(always)]
    pub fn neighbour_gap(&self, rank: usize, value: f64) -> f64 {
        let (slots, key) = (self.slots(), key_of(value));
        let mut gap = f64::INFINITY;
        if rank > 0 && slots.key(rank - 1) < key {
            gap = value - slots.ranked(rank - 1);
        }
        if rank + 1 < self.length && slots.key(rank + 1) > key {
            gap = smaller(gap, slots.ranked(rank + 1) - value);
        }
        gap
    }
}

/// The mean of two numbers, without overflow.
fn middle(a: f64, b: f64) -> f64 {
    a + (b - a) / 2.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn median_of(mut values: Vec<f64>) -> f64 {
        values.sort_by(f64::total_cmp);
        let half = values.len() / 2;
        if values.len() % 2 == 1 { values[half] } else { middle(values[half - 1], values[half]) }
    }

    #[test]
    fn the_median_of_known_values() {
        let mut window = Window::new(5);
        assert_eq!(window.centre(), None);
        for value in [1.0, 9.0, 2.0, 8.0] {
            window.push(value);
        }
        // Deviations from 5: 4, 4, 3, 3.
        assert_eq!(window.centre(), Some(Centre { median: 5.0, mad: 3.5 }));
        window.push(100.0);
        // 1 2 8 9 100, deviations from 8: 7 6 0 1 92.
        assert_eq!(window.centre(), Some(Centre { median: 8.0, mad: 6.0 }));
    }

    #[test]
    fn the_gap_to_the_neighbours_skips_equal_values() {
        let mut window = Window::new(8);
        for value in [3.0, 3.0, 5.0] {
            window.push(value);
        }
        assert_eq!(window.neighbour_gap(2, 5.0), 2.0);
        let rank = window.push(4.5);
        assert_eq!(window.neighbour_gap(rank, 4.5), 0.5);
    }

    proptest! {
        #[test]
        fn median_mad_and_order_equal_those_of_sorting(
            capacity in 1usize..40,
            values in prop::collection::vec(prop_oneof![(-4i32..4).prop_map(f64::from), -1e3..1e3f64], 1..160),
        ) {
            let mut window = Window::new(capacity);
            for (count, value) in values.iter().enumerate() {
                let rank = window.push(*value);
                prop_assert_eq!(window.ranked(rank), *value);
                let kept = &values[(count + 1).saturating_sub(capacity)..=count];
                prop_assert_eq!(window.chronological().collect::<Vec<_>>(), kept.to_vec());
                let median = median_of(kept.to_vec());
                let mad = median_of(kept.iter().map(|v| (v - median).abs()).collect());
                prop_assert_eq!(window.centre(), Some(Centre { median, mad }));
                let mut sorted = kept.to_vec();
                sorted.sort_by(f64::total_cmp);
                prop_assert_eq!((0..window.len()).map(|r| window.ranked(r)).collect::<Vec<_>>(), sorted);
            }
        }
    }
}
