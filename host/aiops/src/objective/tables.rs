//! What the objective room keeps for itself: what was counted, by the hour, so that three days survive a restart.

use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use tandem_domain::{Record, Timestamp, objective::Counted};

/// Length of a slot, in milliseconds: as often as most things are scraped.
pub const SLOT_MILLIS: i64 = 15_000;
/// Slots of an hour.
pub const SLOTS_PER_HOUR: i64 = 3_600_000 / SLOT_MILLIS;
/// Slots of a minute.
const SLOTS_PER_MINUTE: i64 = 60_000 / SLOT_MILLIS;

/// What was counted for one objective in the slots of an hour.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CountedHour {
    /// The service.
    pub service: String,
    /// The indicator's name.
    pub indicator: String,
    /// Which hour since the Unix epoch.
    pub hour: i64,
    /// Good ones of each slot.
    pub good: Vec<f64>,
    /// All of each slot.
    pub total: Vec<f64>,
}

impl CountedHour {
    /// An hour in which nothing was counted.
    pub fn empty(service: &str, indicator: &str, hour: i64) -> Self {
        let none = vec![0.0; SLOTS_PER_HOUR as usize];
        Self { service: service.into(), indicator: indicator.into(), hour, good: none.clone(), total: none }
    }
}

impl Record for CountedHour {
    const TABLE: &'static str = "objective_hours";
    const VERSION: u16 = 1;
    type Key = (String, (String, u64));
    fn key(&self) -> (String, (String, u64)) {
        // Hours before 1970 come from no clock that is right, and are one.
        (self.service.clone(), (self.indicator.clone(), self.hour.max(0) as u64))
    }
}

/// How many labels of a service were counted already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Labelled {
    /// Labels.
    pub labels: u64,
    /// Those that agreed.
    pub agreed: u64,
}

/// See [`Labelled`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeenLabels {
    /// The service.
    pub service: String,
    /// What was counted of it.
    pub seen: Labelled,
}

impl Record for SeenLabels {
    const TABLE: &'static str = "objective_labels";
    const VERSION: u16 = 1;
    type Key = String;
    fn key(&self) -> String {
        self.service.clone()
    }
}

/// What was counted for one objective in the latest hours, oldest first, in memory.
#[derive(Debug, Clone, Default)]
pub struct Ledger {
    hours: VecDeque<CountedHour>,
}

impl Ledger {
    /// From what was kept, in the order of hours.
    pub fn of(hours: Vec<CountedHour>) -> Self {
        Self { hours: hours.into() }
    }

    /// Adds to a slot, and drops hours that no window reaches; answers the hour as it is now, and the hours dropped.
    pub fn add(
        &mut self,
        (service, indicator): (&str, &str),
        slot: i64,
        (good, total): (f64, f64),
        kept_hours: i64,
    ) -> (CountedHour, Vec<CountedHour>) {
        let hour = slot.div_euclid(SLOTS_PER_HOUR);
        if self.hours.back().is_none_or(|last| last.hour < hour) {
            self.hours.push_back(CountedHour::empty(service, indicator, hour));
        }
        let place = slot.rem_euclid(SLOTS_PER_HOUR) as usize;
        let mut now = CountedHour::empty(service, indicator, hour);
        if let Some(current) = self.hours.iter_mut().rev().find(|one| one.hour == hour) {
            if let (Some(of_good), Some(of_total)) = (current.good.get_mut(place), current.total.get_mut(place)) {
                (*of_good, *of_total) = (*of_good + good, *of_total + total);
            }
            now = current.clone();
        }
        let mut dropped = Vec::new();
        while self.hours.front().is_some_and(|first| first.hour < hour - kept_hours) {
            dropped.extend(self.hours.pop_front());
        }
        (now, dropped)
    }

    /// The first slot in which anything was counted.
    fn first(&self) -> Option<i64> {
        let first = self.hours.front()?;
        let place = first.total.iter().position(|total| *total > 0.0)?;
        Some(first.hour * SLOTS_PER_HOUR + place as i64)
    }

    /// What was counted in the minutes until the end of a slot.
    pub fn counted(&self, through_slot: i64, minutes: i64) -> Counted {
        let first_slot = through_slot - minutes * SLOTS_PER_MINUTE + 1;
        let wanted = minutes * SLOTS_PER_MINUTE;
        let since_first = self.first().map_or(0, |first| (through_slot + 1 - first).clamp(0, wanted));
        let mut counted = Counted { minutes, covered: since_first as f64 / wanted as f64, ..Counted::default() };
        for hour in &self.hours {
            let begin = hour.hour * SLOTS_PER_HOUR;
            let from = (first_slot - begin).clamp(0, SLOTS_PER_HOUR) as usize;
            let to = (through_slot + 1 - begin).clamp(0, SLOTS_PER_HOUR) as usize;
            if from < to && to <= hour.good.len().min(hour.total.len()) {
                counted.good += hour.good[from..to].iter().sum::<f64>();
                counted.total += hour.total[from..to].iter().sum::<f64>();
            }
        }
        counted
    }
}

/// The slot a moment lies in.
pub fn slot_of(at: Timestamp) -> i64 {
    at.0.div_euclid(SLOT_MILLIS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_count_back_from_a_slot_and_hours_that_none_reaches_are_dropped() {
        let mut ledger = Ledger::default();
        let first = 100 * SLOTS_PER_HOUR;
        for slot in first..first + 3 * SLOTS_PER_HOUR {
            ledger.add(("chat", "availability"), slot, (9.0, 10.0), 1);
        }
        let last = first + 3 * SLOTS_PER_HOUR - 1;
        let five = ledger.counted(last, 5);
        assert_eq!((five.good, five.total), (9.0 * 20.0, 10.0 * 20.0));
        assert_eq!(ledger.counted(last, 60).total, 10.0 * SLOTS_PER_HOUR as f64);
        assert_eq!(ledger.counted(last, 4_320).total, 2.0 * 10.0 * SLOTS_PER_HOUR as f64, "one hour was dropped");
        assert_eq!(ledger.counted(last + 40, 5).total, 0.0, "nothing was counted since");
        assert_eq!(ledger.counted(last, 60).covered, 1.0);
        assert_eq!(ledger.counted(last, 240).covered, 0.5, "two hours are known of four");
    }

    #[test]
    fn a_slot_is_counted_once_however_often_it_is_added_to() {
        let mut ledger = Ledger::default();
        ledger.add(("chat", "quality"), 7, (1.0, 2.0), 72);
        let (hour, dropped) = ledger.add(("chat", "quality"), 7, (1.0, 1.0), 72);
        assert_eq!((hour.good[7], hour.total[7], dropped.len()), (2.0, 3.0, 0));
    }
}
