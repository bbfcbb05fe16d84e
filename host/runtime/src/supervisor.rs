//! How a plugin that breaks is held back: backoff after each break, quarantine after too many. A pure state machine; time
//! and chance are passed in.

use std::collections::VecDeque;
use tandem_domain::{Failure, FailureCode, Timestamp, plugin::PluginState};

/// Wait after the first break.
const BACKOFF_BASE_MILLIS: i64 = 1_000;

/// Longest wait: a plugin that heals is back within half a minute (Redpanda's numbers).
const BACKOFF_CAP_MILLIS: i64 = 30_000;

/// Health for this long makes the next wait the shortest again (wasmCloud's number).
const HEALTHY_RESET_MILLIS: i64 = 60_000;

/// So many breaks within the window put a plugin aside until a person or a new file brings it back.
const QUARANTINE_AFTER_BREAKS: usize = 5;

/// The window in which breaks are counted.
const QUARANTINE_WINDOW_MILLIS: i64 = 600_000;

/// Share of the wait by which chance moves it, so that plugins broken by one cause do not come back in step.
const JITTER_SHARE: f64 = 0.2;

/// What a break led to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Consequence {
    /// The plugin goes on.
    GoesOn,
    /// It waits.
    Waits,
    /// It is put aside.
    Quarantined,
}

/// The state of one plugin and how it changes.
#[derive(Debug)]
pub(crate) struct Supervisor {
    state: PluginState,
    breaks: VecDeque<Timestamp>,
    restarts: u32,
    last_break: Option<Timestamp>,
}

impl Supervisor {
    /// A plugin that has just been found.
    pub(crate) fn loading() -> Self {
        Self { state: PluginState::Loading, breaks: VecDeque::new(), restarts: 0, last_break: None }
    }

    /// As shown in the catalogue.
    pub(crate) fn state(&self) -> &PluginState {
        &self.state
    }

    /// Sets a state that loading leads to: loading, canary, disabled, live.
    pub(crate) fn enter(&mut self, state: PluginState) {
        if state == PluginState::Live {
            self.breaks.clear();
            self.restarts = 0;
        }
        self.state = state;
    }

    /// Puts it aside for a reason that loading found.
    pub(crate) fn quarantine(&mut self, reason: String, now: Timestamp) {
        self.state = PluginState::Quarantined { reason, since: now };
    }

    /// Whether a call may be made now. A plugin whose wait is over is live again by this call.
    pub(crate) fn admit(&mut self, plugin: &str, now: Timestamp) -> Result<(), Failure> {
        match &self.state {
            PluginState::Live => Ok(()),
            PluginState::Backoff { until, .. } if now >= *until => {
                self.state = PluginState::Live;
                Ok(())
            }
            PluginState::Backoff { until, restarts } => Err(not_live(
                plugin,
                &format!(
                    "waits another {} ms after break {restarts}; it will be tried again by itself",
                    until.millis_since(now)
                ),
            )),
            PluginState::Loading => Err(not_live(plugin, "is still being compiled")),
            PluginState::Canary => Err(not_live(plugin, "is still being tried out")),
            PluginState::Quarantined { reason, .. } => Err(not_live(
                plugin,
                &format!("is in quarantine: {reason}; replace its file, or mend its configuration and reload"),
            )),
            PluginState::Disabled => {
                Err(not_live(plugin, "is switched off; remove `disabled = true` from its section in tandem.toml"))
            }
        }
    }

    /// A call went well.
    pub(crate) fn went_well(&mut self, now: Timestamp) {
        if self.restarts > 0 && self.last_break.is_none_or(|at| now.millis_since(at) >= HEALTHY_RESET_MILLIS) {
            self.restarts = 0;
        }
    }

    /// A trap or timeout that its kind repaired at once: counted, but nobody has to wait.
    pub(crate) fn broke_and_was_repaired(&mut self, now: Timestamp, reason: &str) -> Consequence {
        self.count_break(now);
        self.quarantine_if_due(now, reason).unwrap_or(Consequence::GoesOn)
    }

    /// A trap or timeout. `chance` lies in 0..1.
    pub(crate) fn broke(&mut self, now: Timestamp, reason: &str, chance: f64) -> Consequence {
        self.count_break(now);
        if let Some(consequence) = self.quarantine_if_due(now, reason) {
            return consequence;
        }
        let doublings = self.restarts.saturating_sub(1).min(16);
        let wait = (BACKOFF_BASE_MILLIS << doublings).min(BACKOFF_CAP_MILLIS);
        let moved = wait as f64 * (1.0 + JITTER_SHARE * (2.0 * chance.clamp(0.0, 1.0) - 1.0));
        self.state = PluginState::Backoff { until: now.plus_millis(moved as i64), restarts: self.restarts };
        Consequence::Waits
    }

    fn count_break(&mut self, now: Timestamp) {
        self.went_well(now);
        self.breaks.push_back(now);
        self.breaks.retain(|at| now.millis_since(*at) < QUARANTINE_WINDOW_MILLIS);
        self.restarts += 1;
        self.last_break = Some(now);
    }

    fn quarantine_if_due(&mut self, now: Timestamp, reason: &str) -> Option<Consequence> {
        if matches!(self.state, PluginState::Quarantined { .. }) {
            return Some(Consequence::GoesOn);
        }
        (self.breaks.len() >= QUARANTINE_AFTER_BREAKS).then(|| {
            let minutes = QUARANTINE_WINDOW_MILLIS / 60_000;
            self.quarantine(format!("broke {} times in {minutes} minutes, last: {reason}", self.breaks.len()), now);
            Consequence::Quarantined
        })
    }
}

fn not_live(plugin: &str, why: &str) -> Failure {
    Failure::passing(FailureCode::Unreachable, format!("plugin {plugin} {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn live() -> Supervisor {
        let mut supervisor = Supervisor::loading();
        supervisor.enter(PluginState::Live);
        supervisor
    }

    #[test]
    fn waits_double_up_to_the_cap_and_the_fifth_break_quarantines() {
        let mut supervisor = live();
        let mut now = Timestamp(0);
        let mut waits = Vec::new();
        for _ in 0..4 {
            assert_eq!(supervisor.broke(now, "trap", 0.5), Consequence::Waits);
            let PluginState::Backoff { until, .. } = *supervisor.state() else { panic!("{:?}", supervisor.state()) };
            waits.push(until.millis_since(now));
            assert!(supervisor.admit("p", until.plus_millis(-1)).is_err());
            assert!(supervisor.admit("p", until).is_ok());
            now = until;
        }
        assert_eq!(waits, [1_000, 2_000, 4_000, 8_000]);
        assert_eq!(supervisor.broke(now, "trap", 0.5), Consequence::Quarantined);
        let refused = supervisor.admit("p", now.plus_millis(3_600_000)).expect_err("quarantine does not end by itself");
        assert!(refused.message.contains("quarantine") && refused.message.contains("trap"), "{refused}");
        assert!(refused.retry);
    }

    #[test]
    fn a_minute_of_health_makes_the_next_wait_short_and_rare_breaks_never_quarantine() {
        let mut supervisor = live();
        for round in 0..20 {
            let now = Timestamp(round * QUARANTINE_WINDOW_MILLIS / 4);
            assert!(supervisor.admit("p", now).is_ok());
            supervisor.went_well(now);
            assert_eq!(supervisor.broke(now, "trap", 0.5), Consequence::Waits, "round {round}");
            assert_eq!(
                *supervisor.state(),
                PluginState::Backoff { until: now.plus_millis(BACKOFF_BASE_MILLIS), restarts: 1 },
                "round {round}"
            );
        }
    }

    #[test]
    fn repaired_breaks_do_not_wait_but_count() {
        let mut supervisor = live();
        for millis in 0..4 {
            assert_eq!(supervisor.broke_and_was_repaired(Timestamp(millis), "trap"), Consequence::GoesOn);
            assert!(supervisor.admit("p", Timestamp(millis)).is_ok());
        }
        assert_eq!(supervisor.broke_and_was_repaired(Timestamp(5), "trap"), Consequence::Quarantined);
    }

    #[test]
    fn chance_moves_the_wait_by_a_fifth_at_most() {
        for (chance, expected) in [(0.0, 800), (0.5, 1_000), (1.0, 1_200)] {
            let mut supervisor = live();
            supervisor.broke(Timestamp(0), "trap", chance);
            assert_eq!(
                *supervisor.state(),
                PluginState::Backoff { until: Timestamp(expected), restarts: 1 },
                "chance {chance}"
            );
        }
    }
}
