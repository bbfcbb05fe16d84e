//! Whether predictions agree with their labels as often as was usual: of each version of a service's models against its own past,
//! and of one that is new against the version before it.

use std::collections::{BTreeMap, VecDeque};
use tandem_domain::objective::Learned;

/// The newest slots, which are no past yet: ten minutes.
const RECENT_SLOTS: usize = 40;
/// A fall is looked for in the newest five minutes too, so that one that has just begun is not thinned out.
const SHORT_SLOTS: usize = 20;
/// Labels that the newest slots must hold for anything to be said.
const LEAST_LABELS: f64 = 50.0;
/// Labels that a past must hold.
const LEAST_PAST: f64 = 200.0;
/// Of more the older half counts half, so that a past is that of days and not of years.
const MOST_PAST: f64 = 100_000.0;
/// Agreement must have fallen by at least this share …
const LEAST_FALL: f64 = 0.03;
/// … at the lower end of the difference, so many standard errors below it.
const DEVIATIONS: f64 = 3.0;
/// It is over when the difference is not above that share by so many standard errors …
const CALM_DEVIATIONS: f64 = 1.0;
/// … for so many slots: two minutes.
const CALM_SLOTS: u32 = 8;
/// How far agreement varies by itself is seen from so many stretches of [`SHORT_SLOTS`] at the least (twenty minutes) …
const LEAST_STRETCHES: usize = 4;
/// … and the newest so many: six hours.
const MOST_STRETCHES: usize = 72;
/// A stretch with fewer labels says nothing of that.
const LEAST_OF_STRETCH: f64 = 5.0;
/// What stands in for a past that a restart forgot: it weighs as much as so many labels.
const REMEMBERED_LABELS: f64 = 1_000.0;

/// Labels, and those that agreed.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Agreement {
    /// Labels.
    pub labels: f64,
    /// Those that agreed.
    pub agreed: f64,
}

impl Agreement {
    fn and(self, other: Self) -> Self {
        Self { labels: self.labels + other.labels, agreed: self.agreed + other.agreed }
    }

    fn share(self) -> f64 {
        if self.labels > 0.0 { self.agreed / self.labels } else { 0.0 }
    }
}

/// Whether agreement fell from one to the other, certainly and by enough: two proportions.
fn fell(Usual { agreement: usual, spread, .. }: &Usual, now: Agreement, deviations: f64) -> bool {
    let usual = *usual;
    let error = |one: Agreement| {
        // Half a label each way, so that a share of all or nothing is not taken for certain.
        let share = (one.agreed + 0.5) / (one.labels + 1.0);
        share * (1.0 - share) / one.labels.max(1.0)
    };
    let fall = usual.share() - now.share();
    fall - deviations * (spread * (error(usual) + error(now))).sqrt() >= LEAST_FALL
}

/// What a version is held against.
#[derive(Debug, Clone, PartialEq)]
struct Usual {
    agreement: Agreement,
    /// How many times as much it varies by itself as labels that know nothing of each other would.
    spread: f64,
    /// The version whose past it is, where that is another.
    against: Option<String>,
}

/// One version.
#[derive(Debug, Clone, Default)]
struct Version {
    /// All that were ever counted, when they were last looked at.
    seen: Agreement,
    recent: VecDeque<Agreement>,
    past: Agreement,
    /// The past by stretches, and the one that is being filled.
    stretches: VecDeque<Agreement>,
    filling: (usize, Agreement),
    /// The slot in which it last had a label.
    heard: i64,
    /// Since which slot it is worse, what with, and for how many slots that is over.
    since: Option<i64>,
    learned: Learned,
    calm: u32,
}

/// The versions of one service's models.
#[derive(Debug, Clone, Default)]
pub struct Labels {
    versions: BTreeMap<String, Version>,
}

/// How a service's answers stand beside what was usual.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Answers {
    /// Since which slot a version is worse than usual; none while none is.
    pub since: Option<i64>,
    /// Of the version that is worse.
    pub learned: Learned,
    /// Labels of the newest slots.
    pub lately: Agreement,
    /// Whether there is a past to hold anything against.
    pub knows: bool,
}

impl Version {
    /// As it is first seen: what was counted before is its past, unless it was known to be worse.
    fn begun(seen: Agreement, burning: Option<(i64, &Learned)>) -> Self {
        let Some((since, learned)) = burning else { return Self { seen, past: seen, ..Self::default() } };
        let past = match learned.against {
            Some(_) => Agreement::default(),
            None => Agreement { labels: REMEMBERED_LABELS, agreed: learned.usual * REMEMBERED_LABELS },
        };
        Self { seen, past, since: Some(since), learned: learned.clone(), ..Self::default() }
    }

    fn take(&mut self, slot: i64, seen: Agreement) {
        let new = Agreement {
            labels: (seen.labels - self.seen.labels).max(0.0),
            agreed: (seen.agreed - self.seen.agreed).max(0.0),
        };
        self.seen = seen;
        if new.labels > 0.0 {
            self.heard = slot;
        }
        self.recent.push_back(new);
        if self.recent.len() > RECENT_SLOTS
            && let Some(old) = self.recent.pop_front()
            && self.since.is_none()
        {
            self.past = self.past.and(old);
            self.filling = (self.filling.0 + 1, self.filling.1.and(old));
            if self.filling.0 == SHORT_SLOTS {
                self.stretches.push_back(std::mem::take(&mut self.filling).1);
                if self.stretches.len() > MOST_STRETCHES {
                    self.stretches.pop_front();
                }
            }
            if self.past.labels > MOST_PAST {
                self.past = Agreement { labels: self.past.labels / 2.0, agreed: self.past.agreed / 2.0 };
            }
        }
    }

    fn lately(&self, slots: usize) -> Agreement {
        self.recent.iter().rev().take(slots).fold(Agreement::default(), |sum, one| sum.and(*one))
    }

    /// How many times as much agreement varies from stretch to stretch as chance alone explains (Pearson's statistic over its
    /// degrees of freedom); none where too few stretches are known.
    fn spread(&self) -> Option<f64> {
        let share = (self.past.agreed + 0.5) / (self.past.labels + 1.0);
        let of = |one: &Agreement| (one.agreed - one.labels * share).powi(2) / (one.labels * share * (1.0 - share));
        let told: Vec<f64> = self.stretches.iter().filter(|one| one.labels >= LEAST_OF_STRETCH).map(of).collect();
        (told.len() >= LEAST_STRETCHES).then(|| (told.iter().sum::<f64>() / (told.len() - 1) as f64).max(1.0))
    }

    fn judge(&mut self, slot: i64, name: &str, usual: Option<Usual>) {
        let Some(usual) = usual else { return };
        let (short, long) = (self.lately(SHORT_SLOTS), self.lately(RECENT_SLOTS));
        let begins = |window: &Agreement| window.labels >= LEAST_LABELS && fell(&usual, *window, DEVIATIONS);
        if let Some(window) = [short, long].into_iter().find(begins) {
            let since = slot - self.recent.len().min(SHORT_SLOTS) as i64 / 2;
            self.since.get_or_insert(since);
            let version = Some(name.to_owned());
            let (was, against) = (usual.agreement.share(), usual.against.clone());
            self.learned = Learned { usual: was, now: window.share(), share: 1.0, version, against };
        }
        let enough = short.labels >= LEAST_LABELS;
        let is_calm = if enough { !fell(&usual, short, CALM_DEVIATIONS) } else { long.labels == 0.0 };
        self.calm = if is_calm { self.calm + 1 } else { 0 };
        if self.calm >= CALM_SLOTS {
            (self.since, self.learned) = (None, Learned::default());
        }
    }
}

impl Labels {
    /// Takes in what was counted of each version by a slot, and says how the service's answers stand. `burning` is what was
    /// said before a restart.
    pub fn take(&mut self, slot: i64, seen: &[(String, Agreement)], burning: Option<(i64, &Learned)>) -> Answers {
        for (name, counted) in seen {
            let of_it = burning.filter(|(_, learned)| learned.version.as_ref() == Some(name));
            let known = self.versions.entry(name.clone()).or_insert_with(|| Version::begun(*counted, of_it));
            known.take(slot, *counted);
        }
        self.versions.retain(|name, _| seen.iter().any(|(known, _)| known == name));
        let usual: BTreeMap<String, Option<Usual>> =
            self.versions.keys().map(|name| (name.clone(), self.usual_of(name))).collect();
        let mut answers = Answers { knows: usual.values().any(Option::is_some), ..Answers::default() };
        for (name, usual) in usual {
            let Some(version) = self.versions.get_mut(&name) else { continue };
            version.judge(slot, &name, usual);
            answers.lately = answers.lately.and(version.lately(RECENT_SLOTS));
            if let Some(since) = version.since.filter(|since| answers.since.is_none_or(|first| *since < first)) {
                (answers.since, answers.learned) = (Some(since), version.learned.clone());
            }
        }
        answers
    }

    /// What a version is held against: its own past, or where that is short that of the version of the same model that had the
    /// latest labels.
    fn usual_of(&self, name: &str) -> Option<Usual> {
        let own = self.versions.get(name)?;
        if own.past.labels >= LEAST_PAST {
            return Some(Usual { agreement: own.past, spread: own.spread()?, against: None });
        }
        let model = |name: &str| name.rsplit_once('@').map(|(model, _)| model.to_owned());
        let others = self.versions.iter().filter(|(other, version)| {
            *other != name && model(other) == model(name) && version.past.labels >= LEAST_PAST
        });
        let (other, before) = others.max_by_key(|(_, version)| version.heard)?;
        Some(Usual { agreement: before.past, spread: before.spread()?, against: Some(other.clone()) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A service whose versions get labels, a share of which agrees.
    #[derive(Default)]
    struct Fleet {
        labels: Labels,
        counted: BTreeMap<String, Agreement>,
        slot: i64,
    }

    impl Fleet {
        fn step(&mut self, coming: &[(&str, f64, f64)]) -> Answers {
            self.slot += 1;
            for (version, labels, share) in coming {
                let known = self.counted.entry(format!("m@{version}")).or_default();
                // Whole labels, with a little up and down.
                let agreed = (labels * share + ((self.slot * 7 % 5) as f64 - 2.0) * 0.4).round().clamp(0.0, *labels);
                *known = known.and(Agreement { labels: *labels, agreed });
            }
            let seen: Vec<(String, Agreement)> = self.counted.clone().into_iter().collect();
            self.labels.take(self.slot, &seen, None)
        }

        fn run(&mut self, slots: usize, coming: &[(&str, f64, f64)]) -> Answers {
            (0..slots).map(|_| self.step(coming)).last().expect("at least one")
        }
    }

    #[test]
    fn a_new_version_that_is_wrong_more_often_is_seen_beside_the_last() {
        let mut fleet = Fleet::default();
        assert_eq!(fleet.run(200, &[("7", 20.0, 0.85)]).since, None);
        // Labels of the old version come for minutes on.
        let found = (1..40).find(|_| fleet.step(&[("7", 8.0, 0.85), ("8", 12.0, 0.5)]).since.is_some());
        assert!(found.is_some_and(|slots| slots <= 8), "{found:?}");
        let learned = fleet.step(&[("8", 20.0, 0.5)]).learned;
        assert_eq!((learned.version.as_deref(), learned.against.as_deref()), (Some("m@8"), Some("m@7")));
        assert!((learned.usual - 0.85).abs() < 0.02 && (learned.now - 0.5).abs() < 0.1, "{learned:?}");
        assert!(fleet.run(400, &[("8", 20.0, 0.5)]).since.is_some(), "it is not taken for usual");
        // Rolled back: nothing is heard of it any more.
        assert_eq!(fleet.run(RECENT_SLOTS + 10, &[("7", 20.0, 0.85)]).since, None);
    }

    #[test]
    fn a_version_as_good_as_the_last_is_quiet_and_so_is_a_handful_of_labels() {
        let mut fleet = Fleet::default();
        fleet.run(200, &[("7", 20.0, 0.85)]);
        for _ in 0..400 {
            assert_eq!(fleet.step(&[("8", 20.0, 0.85)]).since, None);
        }
        let mut rare = Fleet::default();
        rare.run(300, &[("1", 1.0, 1.0)]);
        assert_eq!(rare.run(8, &[("1", 1.0, 0.0)]).since, None);
    }

    #[test]
    fn what_falls_within_a_version_is_seen_and_over_when_it_is_over() {
        let mut fleet = Fleet::default();
        fleet.run(200, &[("7", 20.0, 0.9)]);
        let answers = fleet.run(20, &[("7", 20.0, 0.7)]);
        assert_eq!((answers.since.is_some(), answers.learned.against), (true, None));
        assert_eq!(fleet.run(60, &[("7", 20.0, 0.9)]).since, None);
    }

    #[test]
    fn a_fall_within_what_comes_and_goes_by_itself_is_none() {
        let mut fleet = Fleet::default();
        for hour in 0..6 {
            fleet.run(SHORT_SLOTS * 2, &[("1", 12.0, 0.95)]);
            let answers = fleet.run(SHORT_SLOTS, &[("1", 12.0, 0.7)]);
            assert!(hour < 2 || answers.since.is_none(), "{hour}: {answers:?}");
            fleet.run(SHORT_SLOTS * 2, &[("1", 12.0, 0.95)]);
        }
    }

    #[test]
    fn what_was_worse_before_a_restart_is_worse_after_it() {
        let mut labels = Labels::default();
        let learned = Learned { usual: 0.9, now: 0.6, share: 1.0, version: Some("m@7".into()), against: None };
        let mut seen = Agreement { labels: 9_000.0, agreed: 7_000.0 };
        for slot in 0..20 {
            seen = seen.and(Agreement { labels: 20.0, agreed: 12.0 });
            let answers = labels.take(slot, &[("m@7".to_owned(), seen)], Some((-9, &learned)));
            assert_eq!(answers.since, Some(-9));
        }
    }
}
