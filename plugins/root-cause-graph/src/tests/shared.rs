//! What several suspects share: a whole, a cause below all who suffer, a demand; and who is gone or merely driven.

use super::*;

/// Replicas on hosts behind ports of two switches, of which nothing is heard but their ports.
fn behind_switches(lossy: &[&str]) -> Story {
    let mut story = Story::default();
    story.asked("service:chat").signal("service:chat", "model.latency", 0.2, 1.5, ONSET);
    let ports: Vec<String> = (1..=6).map(|n| format!("interface:{}/{n}", if n < 4 { "a" } else { "b" })).collect();
    for (n, port) in (1..).zip(&ports) {
        let (replica, host, switch) =
            (format!("replica:{n}"), format!("host:{n}"), format!("switch:{}", &port[10..11]));
        story.chain(&["service:chat", &replica, &host, port, &switch]);
        let is_lossy = lossy.contains(&&port[10..]);
        story.signal(&replica, "model.latency", 0.2, if is_lossy { 2.0 } else { 1.0 }, ONSET);
        story.signal(port, "interface.transmit.drops", 2.0, if is_lossy { 40.0 } else { 1.0 }, ONSET);
    }
    story.peers(&ports);
    story
}

#[test]
fn a_silent_whole_is_to_blame_for_what_its_parts_have_in_common() {
    let (cause, kind, path, confident) = behind_switches(&["b/4", "b/5", "b/6"]).first();
    assert_eq!((cause.as_str(), kind, confident), ("switch:b", Some(CauseKind::Infrastructure), true));
    assert_eq!((path.len(), path[0].as_str()), (5, "service:chat"));
    let (_, ranking) = behind_switches(&["b/4", "b/6"]).told();
    let sentence = &ranking.causes[0].sentence;
    assert!(sentence.contains("switch:b: 2 of its 3 parts of kind interface left their course alike"), "{sentence}");
    assert!(!ranking.causes[0].signals.is_empty(), "what the parts show is the evidence");
}

#[test]
fn a_model_that_repeats_what_its_replicas_show_is_no_rival() {
    let mut story = behind_switches(&["b/4", "b/6"]);
    for n in ["4", "6"] {
        story.chain(&[&format!("replica:{n}"), "model:chat"]);
    }
    let confidence = |story: &mut Story| story.told().1.confidence;
    let alone = confidence(&mut behind_switches(&["b/4", "b/6"]));
    let beside = confidence(story.signal("model:chat", "model.errors", 0.001, 50.0, ONSET));
    assert!(beside > 0.45 && alone - beside < 0.2, "{alone} {beside}");
}

#[test]
fn one_part_alone_and_parts_of_two_wholes_stay_to_blame_themselves() {
    assert_eq!(behind_switches(&["b/5"]).first().0, "interface:b/5");
    let mut beside = behind_switches(&["b/5"]);
    beside.signal("interface:b/4", "interface.receive.bytes", 1e5, 1.3, ONSET);
    beside.signal("interface:b/6", "interface.receive.bytes", 1e5, 1.3, ONSET);
    assert_eq!(beside.first().0, "interface:b/5", "the others are a little odd");
    let (cause, ..) = behind_switches(&["a/1", "a/2", "b/4", "b/5"]).first();
    assert!(cause.starts_with("interface:"), "{cause}");
}

#[test]
fn what_is_driven_from_above_explains_nothing() {
    let mut story = fleet();
    story.chain(&["host:1", "interface:1"]).chain(&["host:1", "sensor:fan"]).chain(&["power-supply:1", "ups:1"]);
    let (cause, _, _, confident) = story
        .signal("service:chat", "model.latency", 0.2, 2.0, ONSET)
        .signal("replica:1", "model.latency", 0.2, 3.0, ONSET)
        .signal("host:1", "host.pressure.cpu.waiting", 0.01, 30.0, ONSET)
        .signal("interface:1", "interface.receive.bytes", 1e8, 0.4, ONSET)
        .signal("sensor:fan", "sensor.fan.speed", 4_000.0, 4.0, ONSET)
        .signal("ups:1", "ups.power", 900.0, 2.0, ONSET)
        .first();
    assert_eq!((cause.as_str(), confident), ("host:1", true));
}

#[test]
fn trouble_of_all_replicas_is_not_explained_by_what_lies_below_one() {
    let both = |story: &mut Story| {
        story.chain(&["replica:1", "model-version:chat@2"]).chain(&["replica:2", "model-version:chat@2"]);
        story.chain(&["service:chat", "model-version:chat@2"]);
        for id in ["service:chat", "replica:1", "replica:2"] {
            story.signal(id, "model.errors", 0.01, 15.0, ONSET);
        }
        story.signal("gpu:1", "gpu.memory.used", 3e10, 1.4, ONSET);
    };
    let mut alike = fleet();
    both(&mut alike);
    let (cause, kind, ..) = alike.change("model-version:chat@2", "deployment", ONSET as i64 - 1).first();
    assert_eq!((cause.as_str(), kind), ("model-version:chat@2", Some(CauseKind::Model)));
    let mut unknown = fleet();
    both(&mut unknown);
    let (_, ranking) = unknown.told();
    assert!(!ranking.confident, "what lies below one of two: {ranking:?}");
}

#[test]
fn a_rush_on_all_who_serve_is_named_as_such_and_one_who_is_slow_under_it_is_not() {
    let rush = |slow: &[&str], requests: f64| {
        let mut story = Story::default();
        story.asked("service:chat").signal("service:chat", "model.requests", 50.0, requests, ONSET);
        story.signal("service:chat", "model.latency", 0.2, 2.5, ONSET);
        for n in ["1", "2", "3", "4"] {
            let (replica, gpu) = (format!("replica:{n}"), format!("gpu:{n}"));
            let factor = if slow.contains(&n) { 3.0 } else { 1.0 };
            story.chain(&["service:chat", &replica, &gpu]);
            story.signal(&replica, "model.latency", 0.2, factor, ONSET);
            story.signal(&gpu, "gpu.utilization", 0.4, if slow.contains(&n) { 2.2 } else { 1.0 }, ONSET);
        }
        story.first()
    };
    let all = ["1", "2", "3", "4"];
    let (cause, kind, _, _) = rush(&all, 2.5);
    assert_eq!((cause.as_str(), kind), ("service:chat", Some(CauseKind::Infrastructure)));
    assert_eq!(rush(&["3"], 2.5).0, "gpu:3", "the others serve as many and are well");
    let (cause, kind, ..) = rush(&all, 1.0);
    assert_ne!((cause.as_str(), kind), ("service:chat", Some(CauseKind::Infrastructure)), "nobody asked for more");
}

/// Two replicas on two GPUs of two hosts, of which the first GPU is shown no more, and so is who runs on it.
fn gone(whole_host: bool) -> Story {
    let mut story = Story::default();
    story.asked("service:chat").signal("service:chat", "model.latency", 0.2, 2.0, ONSET);
    for n in ["1", "2"] {
        let (replica, gpu, host) = (format!("replica:{n}"), format!("gpu:{n}"), format!("host:{n}"));
        story
            .chain(&["service:chat", &replica, &gpu, &host])
            .contains(&host, &gpu)
            .contains(&host, &format!("disk:{n}"));
        let of = |ends: bool| if ends && n == "1" { ONSET + 3 } else { ROWS };
        for name in ["model.requests", "model.latency"] {
            story.ends(&replica, name, 0.2, of(true));
        }
        for name in ["gpu.utilization", "gpu.memory.used"] {
            story.ends(&gpu, name, 0.4, of(true));
        }
        for name in ["host.memory.available", "host.pressure.io.waiting"] {
            story.ends(&host, name, 0.4, of(whole_host));
        }
        for name in ["disk.wear", "disk.temperature"] {
            story.ends(&format!("disk:{n}"), name, 30.0, of(whole_host));
        }
    }
    story
}

#[test]
fn who_shows_nothing_any_more_is_to_blame_and_what_it_holds_went_with_it() {
    let (cause, kind, ..) = gone(false).first();
    assert_eq!((cause.as_str(), kind), ("gpu:1", Some(CauseKind::Infrastructure)));
    let (_, ranking) = gone(false).told();
    assert!(ranking.causes[0].sentence.contains("shows nothing any more"), "{ranking:?}");
    assert_eq!(gone(true).first().0, "host:1");
}

/// Six replicas on as many hosts behind one silent switch, all of which need a store of features. One host is busy with something else;
/// the others, and their replicas, are a little odd.
fn beside_a_hog() -> Story {
    let mut story = Story::default();
    story.asked("service:chat").signal("service:chat", "model.latency", 0.2, 1.6, ONSET);
    for n in 1..=6 {
        let (replica, host) = (format!("replica:{n}"), format!("host:{n}"));
        story.chain(&["service:chat", &replica, &host, "switch:a"]).chain(&[&replica, "host:store"]);
        story.signal(&replica, "model.latency", 0.2, if n == 1 { 4.0 } else { 1.15 }, ONSET);
        story.signal(&host, "host.cpu.time{mode=user}", 0.2, if n == 1 { 4.0 } else { 1.3 }, ONSET);
    }
    story.chain(&["host:store", "switch:a"]);
    story.signal("host:store", "host.memory.faults.major", 0.2, 1.5, ONSET);
    story
}

#[test]
fn who_is_a_little_odd_beside_one_who_is_very_odd_shares_nothing_with_it() {
    let (cause, kind, ..) = beside_a_hog().first();
    assert_eq!((cause.as_str(), kind), ("host:1", Some(CauseKind::Infrastructure)));
}

#[test]
fn a_stock_of_which_most_is_left_starves_nobody() {
    let store = |left: f64| {
        let mut story = fleet();
        story.signal("service:chat", "model.latency", 0.2, 2.0, ONSET);
        story.signal("replica:1", "model.latency", 0.2, 3.0, ONSET);
        story.signal("host:1", "host.memory.available", 4e10, left, ONSET).first().0
    };
    assert_ne!(store(0.75), "host:1");
    assert_eq!(store(0.05), "host:1");
}

#[test]
fn a_rush_that_all_peers_and_all_parts_of_a_whole_feel_is_the_services() {
    let mut story = Story::default();
    story.asked("service:chat").signal("service:chat", "model.requests", 50.0, 2.5, ONSET);
    story.signal("service:chat", "model.latency", 0.2, 2.0, ONSET);
    let replicas: Vec<String> = (1..=6).map(|n| format!("replica:{n}")).collect();
    for (n, replica) in (1..).zip(&replicas) {
        let host = format!("host:{n}");
        story.chain(&["service:chat", replica, &host, "switch:a"]);
        // A quarter of it, as of load, would not be hot.
        story.signal(replica, "model.latency", 0.2, 1.25, ONSET);
        story.signal(&host, "host.cpu.time{mode=user}", 0.2, 2.2, ONSET);
    }
    let (cause, kind, ..) = story.peers(&replicas).first();
    assert_eq!((cause.as_str(), kind), ("service:chat", Some(CauseKind::Infrastructure)));
}
