//! One budget of samples for all queries that are worked on: what they hold together is bounded, however many are asked at once.
//! Each query takes from it as it reads and evaluates, and gives back when its answer is sent. One that finds nothing left waits for
//! others to end; where all wait for each other, or for too long, it is told to come again.

use crate::{ErrorKind, QueryError};
use std::{
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

/// Samples that all queries hold together when nothing is said: at 16 to 32 bytes each some two gigabytes, and one query at its
/// own limit beside a dozen dashboards.
pub const DEFAULT_SHARED_SAMPLES: usize = 64_000_000;
/// Taken at a time, so that queries do not meet at the lock for every series.
const PORTION: usize = 65_536;
/// How long a query waits for others to give back: what a page waits before it tells its reader something.
const WAIT: Duration = Duration::from_secs(10);
/// How often one that waits looks whether it was called off.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// The budget.
#[derive(Debug)]
pub struct SampleBudget {
    total: usize,
    state: Mutex<State>,
    given_back: Condvar,
    waited: AtomicU64,
    refused: AtomicU64,
}

#[derive(Debug, Default)]
struct State {
    held: usize,
    /// Queries that hold something.
    holders: usize,
    /// Of those, queries that wait for more.
    stuck: usize,
}

/// How a budget fares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct BudgetUse {
    /// Samples that there are to hold.
    pub total: u64,
    /// Samples held now.
    pub held: u64,
    /// Times that a query waited.
    pub waited: u64,
    /// Queries that were told to come again.
    pub refused: u64,
}

impl Default for SampleBudget {
    fn default() -> Self {
        Self::new(DEFAULT_SHARED_SAMPLES)
    }
}

impl SampleBudget {
    /// Of so many samples.
    pub fn new(total: usize) -> Self {
        Self {
            total,
            state: Mutex::default(),
            given_back: Condvar::new(),
            waited: AtomicU64::new(0),
            refused: AtomicU64::new(0),
        }
    }

    /// How it fares.
    pub fn usage(&self) -> BudgetUse {
        BudgetUse {
            total: self.total as u64,
            held: self.state().held as u64,
            waited: self.waited.load(Ordering::Relaxed),
            refused: self.refused.load(Ordering::Relaxed),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes some for a query that holds `held` already, a portion where there is one; waits for it as long as `goes_on` lets it.
    /// Answers how many were taken.
    fn take(
        &self,
        samples: usize,
        held: usize,
        goes_on: &dyn Fn() -> Result<(), QueryError>,
    ) -> Result<usize, QueryError> {
        let mut state = self.state();
        if state.held + samples > self.total {
            state = self.wait(state, samples, held, goes_on)?;
        }
        let portion = samples.next_multiple_of(PORTION);
        let taken = if state.held + portion <= self.total { portion } else { samples };
        state.held += taken;
        state.holders += usize::from(held == 0);
        Ok(taken)
    }

    fn wait<'s>(
        &'s self,
        mut state: MutexGuard<'s, State>,
        samples: usize,
        held: usize,
        goes_on: &dyn Fn() -> Result<(), QueryError>,
    ) -> Result<MutexGuard<'s, State>, QueryError> {
        let is_holder = usize::from(held > 0);
        // Where all others that hold something wait too, nothing will be given back.
        if state.stuck + is_holder >= state.holders || held + samples > self.total {
            return Err(self.refuse());
        }
        self.waited.fetch_add(1, Ordering::Relaxed);
        let end = Instant::now() + WAIT;
        state.stuck += is_holder;
        let outcome = loop {
            (state, _) = self.given_back.wait_timeout(state, LOOK_EVERY).unwrap_or_else(PoisonError::into_inner);
            if state.held + samples <= self.total {
                break Ok(());
            }
            if let Err(error) = goes_on() {
                break Err(error);
            }
            if Instant::now() >= end {
                break Err(self.refuse());
            }
        };
        state.stuck -= is_holder;
        outcome.map(|()| state)
    }

    fn refuse(&self) -> QueryError {
        self.refused.fetch_add(1, Ordering::Relaxed);
        let message = format!(
            "the queries that are worked on hold the {} samples that they may together; ask again later, or for less",
            self.total
        );
        QueryError { kind: ErrorKind::Unavailable, message }
    }

    fn give_back(&self, samples: usize, left: usize) {
        let mut state = self.state();
        state.held -= samples;
        state.holders -= usize::from(left == 0 && samples > 0);
        drop(state);
        self.given_back.notify_all();
    }
}

/// What one query holds of a budget; given back when it is dropped.
#[derive(Debug, Default)]
pub struct SampleShare {
    budget: Option<Arc<SampleBudget>>,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    from_budget: usize,
    used: usize,
}

impl SampleShare {
    /// Of a budget, nothing yet.
    pub fn of(budget: &Arc<SampleBudget>) -> Self {
        Self { budget: Some(budget.clone()), taken: Mutex::default() }
    }

    /// Holds more; waits for it as long as `goes_on` lets it.
    pub(crate) fn hold(&self, samples: usize, goes_on: &dyn Fn() -> Result<(), QueryError>) -> Result<(), QueryError> {
        let Some(budget) = &self.budget else { return Ok(()) };
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.used += samples;
        if taken.used > taken.from_budget {
            taken.from_budget += budget.take(taken.used - taken.from_budget, taken.from_budget, goes_on)?;
        }
        Ok(())
    }

    /// Gives back all but so many samples.
    pub fn shrink_to(&self, samples: usize) {
        let Some(budget) = &self.budget else { return };
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = samples.min(taken.from_budget);
        budget.give_back(taken.from_budget - kept, kept);
        (taken.from_budget, taken.used) = (kept, kept);
    }
}

impl Drop for SampleShare {
    fn drop(&mut self) {
        self.shrink_to(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicBool;

    fn on() -> Result<(), QueryError> {
        Ok(())
    }

    fn kind(held: Result<(), QueryError>) -> Option<ErrorKind> {
        held.err().map(|error| error.kind)
    }

    #[test]
    fn what_is_held_is_counted_and_given_back() {
        let budget = Arc::new(SampleBudget::new(200_000));
        let (one, other) = (SampleShare::of(&budget), SampleShare::of(&budget));
        one.hold(1, &on).expect("room");
        assert_eq!(budget.usage().held, PORTION as u64, "a portion at a time");
        one.hold(100_000, &on).expect("room");
        other.hold(10_000, &on).expect("room");
        assert_eq!(budget.usage().held, 3 * PORTION as u64);
        one.shrink_to(1_000);
        assert_eq!(budget.usage().held, PORTION as u64 + 1_000);
        drop((one, other));
        assert_eq!(budget.usage(), BudgetUse { total: 200_000, ..BudgetUse::default() });
        SampleShare::default().hold(usize::MAX / 2, &on).expect("no budget, no bound");
    }

    #[test]
    fn where_nothing_can_come_back_a_query_is_told_at_once() {
        let budget = Arc::new(SampleBudget::new(200_000));
        let alone = SampleShare::of(&budget);
        assert_eq!(kind(alone.hold(300_000, &on)), Some(ErrorKind::Unavailable), "more than there is");
        drop(alone);
        assert_eq!(budget.usage(), BudgetUse { total: 200_000, refused: 1, ..BudgetUse::default() });
    }

    #[test]
    fn who_waits_goes_on_when_another_ends_and_of_two_that_wait_for_each_other_one_is_told() {
        let budget = Arc::new(SampleBudget::new(3 * PORTION));
        let (one, other) = (SampleShare::of(&budget), SampleShare::of(&budget));
        one.hold(PORTION, &on).expect("room");
        other.hold(PORTION, &on).expect("room");
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| one.hold(2 * PORTION, &on));
            while budget.usage().waited == 0 {
                std::thread::yield_now();
            }
            // The first holds a third and waits; the second cannot wait for it.
            assert_eq!(kind(other.hold(2 * PORTION, &on)), Some(ErrorKind::Unavailable));
            other.shrink_to(0);
            waiting.join().expect("no panic").expect("what the other gave back");
        });
        assert_eq!((budget.usage().held, budget.usage().refused), (3 * PORTION as u64, 1));
    }

    #[test]
    fn who_waits_stops_when_it_is_called_off() {
        let budget = Arc::new(SampleBudget::new(PORTION));
        let (holder, waiting) = (SampleShare::of(&budget), SampleShare::of(&budget));
        holder.hold(PORTION, &on).expect("room");
        let called_off = AtomicBool::new(false);
        let goes_on = || {
            let error = QueryError { kind: ErrorKind::Canceled, message: "called off".into() };
            if called_off.load(Ordering::Relaxed) { Err(error) } else { Ok(()) }
        };
        std::thread::scope(|scope| {
            let held = scope.spawn(|| waiting.hold(1, &goes_on));
            while budget.usage().waited == 0 {
                std::thread::yield_now();
            }
            called_off.store(true, Ordering::Relaxed);
            assert_eq!(kind(held.join().expect("no panic")), Some(ErrorKind::Canceled));
        });
        drop(waiting);
        assert_eq!(budget.usage().held, PORTION as u64, "the holder's");
    }
}
