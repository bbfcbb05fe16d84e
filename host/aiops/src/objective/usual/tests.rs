//! Services as they are met: slot after slot, with a little noise, and what is said of them.

use super::*;
use proptest::prelude::*;

/// A service of some replicas, and how its requests go.
struct Fleet {
    usual: Usual,
    slot: i64,
    /// A cheap sequence of numbers for noise.
    seed: u64,
    rate: f64,
    replicas: usize,
}

/// What one replica is like in a slot: its share of its usual requests, seconds of a request, share that fails.
type Like = (f64, f64, f64);

const WELL: Like = (1.0, 0.020, 0.0002);

impl Fleet {
    fn new(replicas: usize, rate: f64) -> Self {
        Self { usual: Usual::default(), slot: 1_000, seed: 7, rate, replicas }
    }

    fn noise(&mut self) -> f64 {
        self.seed = self.seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.seed >> 33) as f64 / (1u64 << 31) as f64 - 0.5) * 0.12
    }

    fn step(&mut self, like: impl Fn(usize) -> Like) -> Judged {
        self.slot += 1;
        let mut sent = Vec::new();
        for replica in 0..self.replicas {
            let (share, seconds, fails) = like(replica);
            let requests = (self.rate * 15.0 * share * (1.0 + self.noise())).max(0.0);
            let seconds = requests * seconds * (1.0 + self.noise());
            let failed = (requests * fails).floor();
            sent.push((EntityId(format!("replica:{replica}")), Sent { requests, failed, timed: requests, seconds }));
        }
        self.usual.take("s", self.slot, &sent, 10.0)
    }

    fn run(&mut self, slots: usize, like: impl Fn(usize) -> Like + Copy) -> Judged {
        let mut judged = None;
        for _ in 0..slots {
            judged = Some(self.step(like));
        }
        judged.expect("at least one")
    }

    /// Slots until a symptom of one kind begins; none within ten minutes.
    fn until(
        &mut self,
        like: impl Fn(usize) -> Like + Copy,
        burns: impl Fn(&Judged) -> bool,
    ) -> Option<(usize, Judged)> {
        (1..=40).find_map(|slots| {
            let judged = self.step(like);
            burns(&judged).then_some((slots, judged))
        })
    }
}

fn is_late(judged: &Judged) -> bool {
    judged.late.since.is_some()
}

#[test]
fn one_replica_of_four_that_is_slow_is_seen_within_two_minutes_and_named() {
    let mut fleet = Fleet::new(4, 40.0);
    assert!(!is_late(&fleet.run(200, |_| WELL)));
    let began = fleet.slot + 1;
    let slow = |replica| if replica == 2 { (1.0, 0.048, 0.0002) } else { WELL };
    let (slots, judged) = fleet.until(slow, is_late).expect("it is felt");
    assert!(slots <= 8, "{slots} quarters of a minute");
    assert_eq!(judged.late.of, [EntityId("replica:2".into())]);
    assert_eq!(judged.late.since, Some(began));
    let learned = &judged.late.learned;
    assert!((learned.share - 0.25).abs() < 0.05 && (learned.now / learned.usual - 2.4).abs() < 0.4, "{learned:?}");
    fleet.run(20, |_| WELL);
    assert!(!is_late(&fleet.run(1, |_| WELL)), "it is over five minutes after");
}

#[test]
fn one_replica_of_sixty_is_a_symptom_where_it_takes_a_multiple_and_not_where_it_is_a_little_slower() {
    let of_sixty = |seconds: f64| {
        let mut fleet = Fleet::new(60, 4.0);
        fleet.run(200, |_| WELL);
        let slow = move |replica| if replica == 7 { (1.0, seconds, 0.0002) } else { WELL };
        fleet.until(slow, is_late)
    };
    let (slots, judged) = of_sixty(0.060).expect("one in sixty waits three times as long");
    assert!(slots <= 8, "{slots} quarters of a minute");
    assert_eq!(judged.late.of, [EntityId("replica:7".into())]);
    assert!(of_sixty(0.030).is_none(), "one in sixty waits half as long again");
}

#[test]
fn when_it_is_over_for_one_it_is_not_told_of_all() {
    let mut fleet = Fleet::new(60, 4.0);
    fleet.run(200, |_| WELL);
    let slow = |replica| if replica == 7 { (1.0, 1.0, 0.0002) } else { WELL };
    fleet.until(slow, is_late).expect("one in sixty waits fifty times as long");
    fleet.run(60, slow);
    for _ in 0..40 {
        let judged = fleet.step(|_| WELL);
        let named = [EntityId("replica:7".into())];
        assert!(!is_late(&judged) || judged.late.of == named, "{judged:?}");
    }
    assert!(!is_late(&fleet.step(|_| WELL)));
}

#[test]
fn a_few_that_are_late_by_what_all_have_in_common_are_none() {
    let mut fleet = Fleet::new(40, 4.0);
    fleet.run(200, |_| WELL);
    // A load that rises makes all a fifth slower, and some of them a little more than that.
    let busier = |replica| (1.0, if replica % 8 == 0 { 0.0275 } else { 0.0242 }, 0.0002);
    for _ in 0..40 {
        let judged = fleet.step(busier);
        assert!(!is_late(&judged), "{judged:?}");
    }
}

#[test]
fn what_lasts_an_hour_is_not_taken_for_usual_meanwhile() {
    let mut fleet = Fleet::new(3, 20.0);
    fleet.run(150, |_| WELL);
    let all_slow = |_| (1.0, 0.029, 0.0002);
    let (slots, judged) = fleet.until(all_slow, is_late).expect("45 % more is felt");
    assert!(slots <= 10, "{slots}");
    assert_eq!(judged.late.of, [], "it is all of them");
    assert!(is_late(&fleet.run(240, all_slow)));
}

#[test]
fn a_restart_of_one_is_quiet_though_the_others_are_slower_meanwhile() {
    let mut fleet = Fleet::new(4, 5.0);
    fleet.run(150, |_| WELL);
    for round in 0..4 {
        let restart = |replica| if replica == round { (0.0, 0.02, 0.0) } else { (1.33, 0.033, 0.0002) };
        for _ in 0..8 {
            let judged = fleet.step(restart);
            assert!(!is_late(&judged), "{judged:?}");
        }
        fleet.run(4, |_| WELL);
    }
    // One that does not come back is told of in time.
    let gone = |replica| if replica == 0 { (0.0, 0.02, 0.0) } else { (1.33, 0.033, 0.0002) };
    let (slots, _) = fleet.until(gone, is_late).expect("it lasts");
    assert!((RESTART_SLOTS..=RESTART_SLOTS + 2).contains(&slots), "{slots}");
}

#[test]
fn waves_are_one_symptom() {
    let mut fleet = Fleet::new(4, 30.0);
    fleet.run(150, |_| WELL);
    let mut begun = 0;
    let mut before = false;
    for slot in 0..160 {
        let stalls = slot % 16 < 6;
        let judged = fleet.step(|replica| if replica == 1 && stalls { (1.0, 0.9, 0.0002) } else { WELL });
        begun += usize::from(is_late(&judged) && !before);
        before = is_late(&judged);
    }
    assert_eq!(begun, 1);
}

#[test]
fn what_lateness_has_cost_is_counted_since_it_began() {
    let mut fleet = Fleet::new(4, 40.0);
    fleet.run(150, |_| WELL);
    let slow = |replica| if replica == 1 { (1.0, 0.2, 0.000_2) } else { WELL };
    let tally = fleet.run(60, slow).late.tally;
    // Six hundred requests of a replica in a slot.
    assert!((tally.bad / (60.0 * 600.0) - 1.0).abs() < 0.05, "{tally:?}");
    assert!((tally.asked / tally.bad - 4.0).abs() < 0.3, "one of four: {tally:?}");
    assert_eq!(fleet.run(40, |_| WELL).late.tally, Tally::default(), "it is over");
}

#[test]
fn failures_beyond_the_usual_are_told_and_a_blink_is_not() {
    let mut fleet = Fleet::new(4, 40.0);
    fleet.run(150, |_| WELL);
    let blink = |replica| if replica == 0 { (1.0, 0.02, 0.2) } else { WELL };
    assert_eq!(fleet.run(2, blink).failing.since, None);
    assert_eq!(fleet.run(30, |_| WELL).failing.since, None);
    let fails = |replica| if replica == 3 { (1.0, 0.02, 0.02) } else { WELL };
    let (slots, judged) = fleet.until(fails, |judged| judged.failing.since.is_some()).expect("one in fifty fails");
    assert!(slots <= 9, "{slots}");
    assert_eq!(judged.failing.of, [EntityId("replica:3".into())]);
    assert_eq!(fleet.run(40, |_| WELL).failing.since, None);
}

#[test]
fn failures_of_few_requests_are_told_by_a_longer_time_and_a_handful_is_not() {
    // Twenty requests of a replica in a slot: of one in seventy that fails most slots have none.
    let mut fleet = Fleet::new(4, 1.4);
    fleet.run(129, |_| WELL);
    fleet.step(|replica| if replica == 2 { (1.0, 0.02, 0.06) } else { WELL });
    fleet.run(20, |_| WELL);
    let seldom = |slot: i64| move |replica| if replica == 2 && slot % 3 == 0 { (1.0, 0.02, 0.06) } else { WELL };
    let mut began = None;
    for slot in 0..60 {
        let judged = fleet.step(seldom(slot));
        if judged.failing.since.is_some() && began.is_none() {
            began = Some((slot, judged.failing.clone()));
        }
    }
    let (slot, standing) = began.expect("one in seventy fails");
    assert!((24..=36).contains(&slot), "ten failures are wanted: {slot}");
    assert_eq!((standing.of, standing.since), (vec![EntityId("replica:2".into())], Some(1_151)));
    let quiet = (0..60).find(|_| fleet.step(|_| WELL).failing.since.is_none()).expect("it ends");
    assert!(quiet <= 40, "{quiet}");
    for slot in 0..60 {
        let few = |replica| if replica == 2 && slot % 8 == 0 { (1.0, 0.02, 0.06) } else { WELL };
        assert_eq!(fleet.step(few).failing.since, None, "eight in a quarter of an hour");
    }
}

#[test]
fn many_failures_after_a_stray_one_began_with_the_many() {
    let mut fleet = Fleet::new(4, 1.4);
    fleet.run(129, |_| WELL);
    fleet.step(|replica| if replica == 2 { (1.0, 0.02, 0.06) } else { WELL });
    fleet.run(20, |_| WELL);
    let (slots, judged) =
        fleet.until(|_| (1.0, 0.02, 0.12), |judged| judged.failing.since.is_some()).expect("they fail");
    let since = judged.failing.since.expect("it has begun");
    assert!(slots <= 4 && since >= 1_150, "{since} after {slots}");
}

#[test]
fn nothing_is_said_before_there_is_a_past_or_of_a_handful_of_requests() {
    let mut fleet = Fleet::new(2, 20.0);
    assert!(!fleet.run(40, |_| WELL).late.knows);
    assert!(!is_late(&fleet.run(30, |_| (1.0, 0.2, 0.0))));
    let mut sparse = Fleet::new(1, 0.02);
    sparse.run(400, |_| WELL);
    assert!(!is_late(&sparse.run(30, |_| (1.0, 0.2, 0.0))), "two requests in two minutes");
}

#[test]
fn a_load_that_doubles_over_hours_is_usual() {
    let mut fleet = Fleet::new(4, 20.0);
    for step in 0..1_440 {
        let slower = 0.020 * (1.0 + 0.6 * f64::from(step) / 1_440.0);
        let judged = fleet.step(|_| (1.0, slower, 0.0002));
        assert!(!is_late(&judged), "slot {step}: {judged:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn noise_of_any_size_is_no_symptom(noise in 0.0_f64..0.8, rate in 0.2_f64..60.0, seed in any::<u64>()) {
        let mut fleet = Fleet::new(3, rate);
        fleet.seed = seed;
        for slot in 0..400_u64 {
            let wild = |replica: usize| {
                let draw = (slot * 3 + replica as u64).wrapping_add(seed).wrapping_mul(0x9E37_79B9_7F4A_7C15);
                let unit = (draw ^ (draw >> 29)).wrapping_mul(0xBF58_476D_1CE4_E5B9) >> 11;
                (1.0, 0.02 * (noise * (unit as f64 / (1u64 << 53) as f64 - 0.5) * 2.0).exp(), 0.0)
            };
            let judged = fleet.step(wild);
            prop_assert!(!is_late(&judged), "slot {} {:?}", slot, judged);
        }
    }
}
