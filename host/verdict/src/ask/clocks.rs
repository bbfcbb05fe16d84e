//! Whose clock is off, and who has fallen silent. Senders date their samples themselves: one whose clock is minutes ahead shows
//! what broke minutes after its users felt it, and would be taken for a consequence. What it shows is moved back to when it came.
//! A clock that is behind cannot be told from silence, so it is said that nothing newer is there, measured by the sender in the
//! middle: where most are late by as much, nobody's clock is off.

use std::collections::BTreeMap;
use tandem_domain::{Timestamp, target::TargetKey};

/// A sample from so far in the future was dated by a clock that is off, in milliseconds: less is what machines that set their clocks
/// differ by, and less than it takes to find trouble.
const AHEAD_MILLIS: i64 = 60_000;
/// Who has shown nothing for so long is silent, in milliseconds: three visits at the slowest of usual intervals.
const SILENT_MILLIS: i64 = 180_000;
/// Senders named in a sentence.
const MAX_NAMED: usize = 3;
const MINUTE_MILLIS: f64 = 60_000.0;

/// The newest sample of each sender.
#[derive(Debug, Default)]
pub(super) struct Clocks(BTreeMap<TargetKey, Timestamp>);

impl Clocks {
    /// Takes in the newest sample of one of a sender's series.
    pub(super) fn saw(&mut self, sender: &TargetKey, newest: Timestamp) {
        match self.0.get_mut(sender) {
            Some(known) => *known = newest.max(*known),
            None => drop(self.0.insert(sender.clone(), newest)),
        }
    }

    /// How far a sender's clock is ahead, in milliseconds; 0 where it is not.
    pub(super) fn ahead_millis(&self, sender: &TargetKey, now: Timestamp) -> i64 {
        let ahead = self.0.get(sender).map_or(0, |newest| newest.millis_since(now));
        if ahead >= AHEAD_MILLIS { ahead } else { 0 }
    }

    /// What is to be known of the clocks, in sentences.
    pub(super) fn caveats(&self, now: Timestamp) -> Vec<String> {
        let minutes = |millis: i64| format!("{:.0} minutes", (millis as f64 / MINUTE_MILLIS).max(1.0));
        let tell = |of: Vec<(&TargetKey, i64)>, said: &dyn Fn(String, String, bool) -> String| {
            let most = of.iter().map(|(_, millis)| *millis).max()?;
            let mut named: Vec<String> = of.iter().take(MAX_NAMED).map(|(sender, _)| named(sender)).collect();
            if of.len() > MAX_NAMED {
                named.push(format!("{} others", of.len() - MAX_NAMED));
            }
            Some(said(named.join(", "), minutes(most), of.len() > 1))
        };
        let mut newest: Vec<Timestamp> = self.0.values().copied().collect();
        newest.sort_unstable();
        let middle = newest.get(newest.len() / 2).copied().unwrap_or(now).min(now);
        let off = |is: &dyn Fn(i64) -> bool| {
            let aside = |at: Timestamp| if at > now { at.millis_since(now) } else { at.millis_since(middle) };
            let aside = self.0.iter().map(|(sender, at)| (sender, aside(*at)));
            aside.filter(|(_, millis)| is(*millis)).map(|(sender, millis)| (sender, millis.abs())).collect()
        };
        let ahead = tell(off(&|millis| millis >= AHEAD_MILLIS), &|who, how, many| match many {
            false => format!("the clock of {who} is up to {how} ahead; what it shows was moved back by as much"),
            true => format!("the clocks of {who} are up to {how} ahead; what they show was moved back by as much"),
        });
        let silent = tell(off(&|millis| millis <= -SILENT_MILLIS), &|who, how, many| match many {
            false => format!("{who} showed nothing for up to {how}: it is silent, or its clock is behind"),
            true => format!("{who} showed nothing for up to {how}: they are silent, or their clocks are behind"),
        });
        ahead.into_iter().chain(silent).collect()
    }
}

/// A sender as people know it.
fn named(sender: &TargetKey) -> String {
    match (sender.job.as_str(), sender.instance.as_str()) {
        (job, "") => job.to_owned(),
        ("", instance) => instance.to_owned(),
        (job, instance) => format!("{job} at {instance}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(6_000_000);

    #[test]
    fn a_clock_ahead_is_told_by_how_much_and_small_differences_are_not() {
        let sender = |instance: &str| TargetKey { job: "gpu".into(), instance: instance.into() };
        let mut clocks = Clocks::default();
        clocks.saw(&sender("a"), NOW.plus_millis(299_000));
        clocks.saw(&sender("a"), NOW.plus_millis(-60_000));
        clocks.saw(&sender("b"), NOW.plus_millis(20_000));
        assert_eq!(clocks.ahead_millis(&sender("a"), NOW), 299_000);
        assert_eq!((clocks.ahead_millis(&sender("b"), NOW), clocks.ahead_millis(&sender("c"), NOW)), (0, 0));
        assert_eq!(
            clocks.caveats(NOW),
            ["the clock of gpu at a is up to 5 minutes ahead; what it shows was moved back by as much"]
        );
    }

    #[test]
    fn who_shows_nothing_is_named_and_of_many_a_few() {
        let mut clocks = Clocks::default();
        for instance in ["a", "b", "c", "d", "e"] {
            let sender = TargetKey { job: String::new(), instance: instance.into() };
            clocks.saw(&sender, NOW.plus_millis(-400_000));
        }
        assert!(clocks.caveats(NOW).is_empty(), "all are late by as much: {:?}", clocks.caveats(NOW));
        for instance in ["f", "g", "h", "i", "j"] {
            clocks.saw(&TargetKey { job: "node".into(), instance: instance.into() }, NOW);
        }
        assert_eq!(
            clocks.caveats(NOW),
            ["a, b, c, 2 others showed nothing for up to 7 minutes: they are silent, or their clocks are behind"]
        );
    }
}
