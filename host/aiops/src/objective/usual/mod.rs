//! What is usual of each service, learned from its own past, and what users feel beside it: for services that nobody described.
//! Slot after slot is taken in; what is said of the newest follows from those before, so that a restart that takes the same slots
//! in again comes to the same.

pub mod labels;
pub mod rules;
#[cfg(test)]
mod tests;

use rules::{Expected, Sent};
use std::collections::{BTreeMap, VecDeque};
use tandem_domain::{
    entity::EntityId,
    objective::{Counted, Learned},
};

/// The newest slots are no past yet: six minutes, so that what begins slowly is not taken for usual at once.
const RECENT_SLOTS: usize = 24;
/// Slots of past that are kept: an hour and a half, short enough that the load of the day has moved little.
const PAST_SLOTS: usize = 360;
/// Slots that are taken in again where nothing is in memory.
pub const REPLAYED_SLOTS: i64 = (RECENT_SLOTS + PAST_SLOTS) as i64;
/// What burns so long is what is usual from then on: a day, in slots.
pub const ACCEPTED_SLOTS: i64 = 5_760;
/// Who was late in so many …
const LATE_SLOTS: usize = 6;
/// … of so many slots (two minutes) is later than usual.
const OF_SLOTS: usize = 8;
/// Failures are counted over so many slots (five minutes) …
const FAILING_OVER_SLOTS: usize = 20;
/// … and must be in so many of the last [`OF_SLOTS`].
const FAILING_SLOTS: usize = 4;
/// Where requests come seldom, failures are counted over so many slots (a quarter of an hour) …
const SELDOM_OVER_SLOTS: usize = 60;
/// … and must go on in the last so many (five minutes).
const SELDOM_SLOTS: usize = 20;
/// A shorter time in which so many times as many certainly fail is when it began, though the longer one was looked at.
const SUDDEN: f64 = 3.0;
/// Requests that are later than usual are a symptom from this share on …
const FELT_SHARE: f64 = 0.05;
/// … and from this one on where they take a multiple of what they do: one in a hundred is what most promises allow.
const FEW_SHARE: f64 = 0.01;
/// So many times as long as usual is a multiple.
const MULTIPLE: f64 = 2.0;
/// Fewer failures than this in a minute are calm, however few requests there are.
const CALM_FAILURES: f64 = 2.0;
/// It is over after so many calm slots: four minutes, so that what comes in waves is one symptom.
const CALM_SLOTS: u32 = 16;
/// While a replica is away for less than this (five minutes, in slots) others may be slower: so long does a restart take.
const RESTART_SLOTS: usize = 20;
/// Requests that a sender must have been expected to have before its silence says anything.
const MISSED_REQUESTS: f64 = 8.0;

/// One of the newest slots.
#[derive(Debug, Clone, Copy, Default)]
struct Slot {
    sent: Sent,
    /// Whether it was later than usual.
    late: bool,
    /// Whether that was put down to a restart.
    held: bool,
}

/// One who sends counts: a replica, or all of a service together.
#[derive(Debug, Clone, Default)]
struct Sender {
    /// The newest slots, newest last.
    recent: VecDeque<Slot>,
    /// Those before, as far as they count as usual.
    past: VecDeque<Sent>,
    /// What was asked and what failed in the last quarter of an hour, newest last.
    failures: VecDeque<Sent>,
}

/// What was asked while a symptom burned, and how much of it was bad.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Tally {
    /// Requests.
    pub asked: f64,
    /// Those that were late.
    pub bad: f64,
}

/// What is said of one symptom.
#[derive(Debug, Clone, Default)]
struct Burning {
    /// The slot in which it began, while it burns.
    since: Option<i64>,
    calm: u32,
    /// Who was concerned when it last was so.
    of: Vec<EntityId>,
    learned: Learned,
    /// What it has cost since it began.
    tally: Tally,
}

/// A service.
#[derive(Debug, Clone, Default)]
struct Service {
    senders: BTreeMap<EntityId, Sender>,
    all: Sender,
    late: Burning,
    failing: Burning,
    /// The newest slot that was taken in.
    slot: i64,
}

/// How a service stands beside what was usual.
#[derive(Debug, Clone, PartialEq)]
pub struct Standing {
    /// Since which slot it is so; none while all is as usual.
    pub since: Option<i64>,
    /// Senders that are concerned; empty where it is all of them.
    pub of: Vec<EntityId>,
    /// Usual and now.
    pub learned: Learned,
    /// The time above which a request is late; of latency only.
    pub bound: Option<f64>,
    /// What it has cost since it began; of latency only.
    pub tally: Tally,
    /// Why nothing is told though something is unusual.
    pub held: Option<String>,
    /// Whether enough past is there.
    pub knows: bool,
}

/// Both symptoms of a service.
#[derive(Debug, Clone, PartialEq)]
pub struct Judged {
    /// Requests that are later than usual.
    pub late: Standing,
    /// Requests that fail more than usual.
    pub failing: Standing,
}

/// What is usual of all services.
#[derive(Debug, Default)]
pub struct Usual {
    services: BTreeMap<String, Service>,
}

impl Usual {
    /// Whether anything was taken in of a service.
    pub fn knows(&self, service: &str) -> bool {
        self.services.contains_key(service)
    }

    /// Forgets services that are no longer there.
    pub fn keep_only(&mut self, is_there: impl Fn(&str) -> bool) {
        self.services.retain(|name, _| is_there(name));
    }

    /// Takes a slot in and says how the service stands.
    pub fn take(&mut self, service: &str, slot: i64, sent: &[(EntityId, Sent)], least_bad: f64) -> Judged {
        let known = self.services.entry(service.to_owned()).or_default();
        known.slot = slot;
        known.take(sent);
        known.judge(slot, least_bad)
    }

    /// What was counted of a service in the newest minutes: good is what was not later than usual.
    pub fn counted(&self, service: &str, minutes: i64) -> Counted {
        let slots = (minutes * 4) as usize;
        let mut counted = Counted { minutes, ..Counted::default() };
        let Some(known) = self.services.get(service) else { return counted };
        let reach = slots.min(RECENT_SLOTS);
        counted.covered = known.all.recent.len().min(reach) as f64 / slots as f64;
        for sender in known.senders.values() {
            for slot in sender.recent.iter().rev().take(reach) {
                counted.total += slot.sent.requests;
                counted.good += if slot.late { 0.0 } else { slot.sent.requests };
            }
        }
        counted
    }
}

impl Sender {
    fn take(&mut self, sent: Sent, learns: bool) {
        self.recent.push_back(Slot { sent, ..Slot::default() });
        self.failures.push_back(sent);
        if self.failures.len() > SELDOM_OVER_SLOTS {
            self.failures.pop_front();
        }
        if self.recent.len() > RECENT_SLOTS
            && let Some(old) = self.recent.pop_front()
            && learns
            && !(old.late && old.held)
        {
            self.past.push_back(old.sent);
            if self.past.len() > PAST_SLOTS {
                self.past.pop_front();
            }
        }
    }

    fn newest_first(&self) -> impl Iterator<Item = &Sent> {
        self.recent.iter().rev().map(|slot| &slot.sent)
    }

    fn expected(&self) -> Option<Expected> {
        rules::expected(rules::means(&self.past), self.past.len())
    }

    /// Notes whether the newest slot is late.
    fn note(&mut self, expected: Option<Expected>, held: bool) {
        let mean = rules::mean_now(self.newest_first());
        let late = mean.zip(expected).is_some_and(|(mean, expected)| mean > expected.bound);
        if let Some(slot) = self.recent.back_mut() {
            (slot.late, slot.held) = (late, held);
        }
    }

    /// How many of the newest slots were late.
    fn late_of(&self, slots: usize) -> usize {
        self.recent.iter().rev().take(slots).filter(|slot| slot.late).count()
    }

    /// All of the newest slots together.
    fn lately(&self, slots: usize) -> Sent {
        self.newest_first().take(slots).fold(Sent::default(), |sum, sent| sum.and(*sent))
    }

    fn all_past(&self) -> Sent {
        self.past.iter().fold(Sent::default(), |sum, sent| sum.and(*sent))
    }

    /// How many slots back the run of lateness that goes on began.
    fn late_since(&self) -> usize {
        let mut began = 0;
        for (back, slot) in self.recent.iter().rev().enumerate().take(OF_SLOTS + LATE_SLOTS) {
            if slot.late {
                began = back;
            }
        }
        began
    }

    /// How many slots back it fell silent, where that was not long ago and its requests are missed.
    fn away_since(&self) -> Option<usize> {
        let busy = self.all_past().and(self.lately(RECENT_SLOTS)).requests;
        let rate = busy / (self.past.len() + self.recent.len()).max(1) as f64;
        let wanted = (MISSED_REQUESTS / rate.max(f64::MIN_POSITIVE)).ceil().max(1.0);
        let (mut run, mut found) = (0usize, None);
        for (back, sent) in self.newest_first().enumerate().take(RESTART_SLOTS) {
            run = if sent.requests > 0.0 { 0 } else { run + 1 };
            if run as f64 >= wanted {
                found = Some(back);
            }
        }
        // A run that reaches beyond what is looked at began earlier: it is away for longer than a restart takes.
        found.filter(|back| back + 1 < RESTART_SLOTS)
    }

    /// Whether it fails more than usual, how much, and how many slots back that began.
    fn fails(&self, bound: f64, least_bad: f64) -> Option<(f64, usize)> {
        let over = self.lately(FAILING_OVER_SLOTS);
        let in_slots = self.newest_first().take(OF_SLOTS).filter(|sent| sent.failed_share() >= bound).count();
        let now = self.lately(OF_SLOTS).failed_share();
        let lasts = in_slots >= FAILING_SLOTS && now >= bound;
        (lasts && rules::is_certain(over.failed, over.requests, bound, least_bad))
            .then_some((now, OF_SLOTS - 1))
            .or_else(|| self.fails_seldom(bound, least_bad))
    }

    /// The same where so few requests come that most slots have no failure: the longer time says it, and it goes on.
    fn fails_seldom(&self, bound: f64, least_bad: f64) -> Option<(f64, usize)> {
        if self.counted_back(SELDOM_SLOTS).failed_share() < bound {
            return None;
        }
        // It began with the failure since which it is surest: a stray one long before is none of it.
        let failing = self.failures.iter().rev().enumerate().filter(|(_, sent)| sent.failed > 0.0);
        let spans: Vec<(usize, Sent)> = failing.map(|(back, _)| (back, self.counted_back(back + 1))).collect();
        let surest = |least: usize| {
            let long = spans.iter().filter(|(back, _)| back + 1 >= least);
            long.max_by(|(_, a), (_, b)| a.least_failed_share().total_cmp(&b.least_failed_share()))
        };
        let (back, over) = surest(SELDOM_SLOTS)?;
        let is_seldom = over.failed < (back + 1) as f64;
        let (sudden, since) = surest(1)?;
        let began = if since.least_failed_share() >= SUDDEN * over.least_failed_share() { sudden } else { back };
        (is_seldom && rules::is_certain(over.failed, over.requests, bound, least_bad))
            .then_some((over.failed_share(), *began))
    }

    /// What was asked and what failed in so many of the newest slots, up to a quarter of an hour.
    fn counted_back(&self, slots: usize) -> Sent {
        self.failures.iter().rev().take(slots).fold(Sent::default(), |sum, sent| sum.and(*sent))
    }
}

impl Burning {
    /// Goes on with what is so now; `calm` says that nothing of it is left.
    fn step(&mut self, slot: i64, begins: Option<(i64, Vec<EntityId>, Learned)>, calm: bool) {
        match begins {
            Some((since, of, learned)) => {
                self.since.get_or_insert(since);
                (self.calm, self.of, self.learned) = (0, of, learned);
            }
            None if calm => self.calm += 1,
            None => self.calm = 0,
        }
        if self.calm >= CALM_SLOTS || self.since.is_some_and(|since| slot - since > ACCEPTED_SLOTS) {
            *self = Self::default();
        }
    }

    fn standing(&self, bound: Option<f64>, held: Option<String>, knows: bool) -> Standing {
        let Self { since, of, learned, tally, .. } = self;
        Standing { since: *since, of: of.clone(), learned: learned.clone(), bound, tally: *tally, held, knows }
    }
}

impl Service {
    fn take(&mut self, sent: &[(EntityId, Sent)]) {
        let learns = self.late.since.is_none() && self.failing.since.is_none();
        for (id, _) in sent {
            self.senders.entry(id.clone()).or_default();
        }
        let mut sum = Sent::default();
        for (id, sender) in &mut self.senders {
            let one = sent.iter().find(|(known, _)| known == id).map_or(Sent::default(), |(_, one)| *one);
            sum = sum.and(one);
            sender.take(one, learns);
        }
        self.all.take(sum, learns);
        let is_silent = |sent: &Sent| sent.requests <= 0.0 && sent.timed <= 0.0;
        self.senders.retain(|_, sender| {
            sender.past.len() + sender.recent.len() < RECENT_SLOTS
                || !(sender.past.iter().all(is_silent) && sender.newest_first().all(is_silent))
        });
    }

    /// What is expected of a sender without a past of its own: what the others had.
    fn pooled(&self) -> Option<Expected> {
        let means = self.senders.values().flat_map(|sender| rules::means(&sender.past)).collect();
        rules::expected(means, self.all.past.len())
    }

    fn judge(&mut self, slot: i64, least_bad: f64) -> Judged {
        let held = self.held();
        let (late, bound) = self.judge_late(slot, least_bad, held);
        let failing = self.judge_failing(slot, least_bad);
        Judged { late: Standing { bound, ..late }, failing }
    }

    /// Why slower replicas are not told at present.
    fn held(&self) -> Option<String> {
        let away = self.senders.values().filter_map(Sender::away_since).max()?;
        let minutes = (away + 1) as f64 / 4.0;
        Some(format!(
            "a replica went away {minutes:.1} minutes ago and the others take its requests; it is told when it lasts longer \
             than a restart takes ({} minutes)",
            RESTART_SLOTS / 4
        ))
    }

    fn judge_late(&mut self, slot: i64, least_bad: f64, held: Option<String>) -> (Standing, Option<f64>) {
        let pooled = self.pooled();
        let of_all = self.all.expected();
        self.all.note(of_all, held.is_some());
        let common = self.common_ratio(pooled);
        let (mut bad, mut much, mut total, mut felt) = (0.0, 0.0, 0.0, Vec::new());
        let (mut worst, mut began, mut calm) = (None::<(f64, f64)>, 0, true);
        for (id, sender) in &mut self.senders {
            let expected = sender.expected().or(pooled);
            sender.note(expected, held.is_some());
            let lately = sender.lately(OF_SLOTS).requests;
            total += lately;
            calm &= sender.late_of(3) < 2;
            if sender.late_of(OF_SLOTS) < LATE_SLOTS {
                continue;
            }
            let (Some(expected), Some(now)) = (expected, rules::mean_now(sender.newest_first())) else { continue };
            // What all have in common is the service's, and is late or not by the bound of all.
            if common < rules::LEAST_RATIO && now < rules::LEAST_RATIO * common * expected.usual {
                continue;
            }
            bad += lately;
            if now >= MULTIPLE * expected.usual {
                much += lately;
            }
            felt.push(id.clone());
            began = began.max(sender.late_since());
            if worst.is_none_or(|(usual, mean)| now / expected.usual > mean / usual) {
                worst = Some((expected.usual, now));
            }
        }
        if felt.is_empty() && self.all.late_of(OF_SLOTS) >= LATE_SLOTS {
            // Each for itself varies too much to say, and all together do not. Where it is over for the one that was late, all
            // have been late for a while yet and are no longer.
            (bad, began) = (total, self.all.late_since());
            let now = of_all.map(|expected| expected.usual).zip(rules::mean_now(self.all.newest_first()));
            worst = now.filter(|(usual, now)| *now >= rules::LEAST_RATIO * usual);
        }
        calm &= self.all.late_of(3) < 2;
        let all_of_them = felt.len() == self.senders.len();
        let is_felt = rules::is_certain(bad, total, FELT_SHARE, least_bad)
            || rules::is_certain(much, total, FEW_SHARE, least_bad);
        let begins = worst.filter(|_| is_felt).map(|(usual, now)| {
            let learned = Learned { usual, now, share: bad / total, version: None, against: None };
            (slot - began as i64, if all_of_them { Vec::new() } else { felt }, learned)
        });
        let waits = held.filter(|_| begins.is_some() && self.late.since.is_none());
        if waits.is_none() {
            let before = self.late.since;
            self.late.step(slot, begins, calm);
            self.count_late(slot, before);
        }
        let expected = of_all.or(pooled);
        let bound = expected.map(|expected| expected.bound);
        (self.late.standing(bound, waits, expected.is_some()), bound)
    }

    /// Counts the newest slot to what lateness has cost; where that has just begun, all slots since.
    fn count_late(&mut self, slot: i64, before: Option<i64>) {
        let Some(since) = self.late.since else { return };
        let slots = if before.is_some() { 1 } else { usize::try_from(slot - since + 1).unwrap_or(1) };
        let of = |sender: &Sender| {
            let newest = sender.recent.iter().rev().take(slots);
            newest.fold(Tally::default(), |sum, slot| Tally {
                asked: sum.asked + slot.sent.requests,
                bad: sum.bad + if slot.late { slot.sent.requests } else { 0.0 },
            })
        };
        let each = self.senders.values().map(of).fold(0.0, |sum, one| sum + one.bad);
        let all = of(&self.all);
        self.late.tally.asked += all.asked;
        // Where each for itself varies too much to say, all together say it.
        self.late.tally.bad += if self.late.of.is_empty() { all.bad.max(each) } else { each };
    }

    /// How many times as long as usual the requests of those in the middle take, at least 1: as with a load that rises for all.
    fn common_ratio(&self, pooled: Option<Expected>) -> f64 {
        let ratio = |sender: &Sender| {
            let expected = sender.expected().or(pooled)?;
            Some(rules::mean_now(sender.newest_first())? / expected.usual)
        };
        let mut ratios: Vec<f64> = self.senders.values().filter_map(ratio).collect();
        ratios.sort_unstable_by(f64::total_cmp);
        ratios.get(ratios.len().saturating_sub(1) / 2).map_or(1.0, |middle| middle.max(1.0))
    }

    fn judge_failing(&mut self, slot: i64, least_bad: f64) -> Standing {
        let past = self.all.all_past();
        let knows = self.all.past.len() >= rules::LEAST_PAST && past.requests > 0.0;
        let bound = rules::failing_bound(past);
        let (mut felt, mut now, mut began, mut concerned) = (Vec::new(), 0.0_f64, 0, 0.0);
        for (id, sender) in &self.senders {
            if let Some((share, back)) = sender.fails(bound, least_bad) {
                felt.push(id.clone());
                (now, began) = (now.max(share), began.max(back));
                concerned += sender.lately(OF_SLOTS).requests;
            }
        }
        let all = self.all.fails(bound, least_bad);
        if felt.is_empty()
            && let Some((share, back)) = all
        {
            (now, began, concerned) = (share, back, self.all.lately(OF_SLOTS).requests);
        }
        let total = self.all.lately(OF_SLOTS).requests;
        let fails = knows && (all.is_some() || concerned >= FELT_SHARE * total) && now > 0.0;
        if felt.len() == self.senders.len() {
            felt.clear();
        }
        let usual = past.failed_share();
        let learned = Learned { usual, now, share: concerned / total.max(1.0), version: None, against: None };
        let mut lately = self.senders.values().chain([&self.all]).map(|sender| sender.lately(FAILING_SLOTS));
        let calm = lately.all(|sent| sent.failed < (bound * sent.requests).max(CALM_FAILURES));
        self.failing.step(slot, fails.then_some((slot - began as i64, felt, learned)), calm);
        self.failing.standing(None, None, knows)
    }
}
