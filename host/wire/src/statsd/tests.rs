//! Lines of every type, and what they add up to.

use super::*;
use crate::{limits::WireLimits, remote_write::STALE_NAN, series_key::KeySeed};
use tandem_domain::Timestamp;

fn aggregator(most: usize) -> Aggregator {
    Aggregator::new(KeySeed(5), WireLimits::default(), most)
}

fn apply(aggregator: &mut Aggregator, datagram: &str) -> Vec<Rejection> {
    let applied = lines(datagram.as_bytes()).map(|line| aggregator.apply(&line?, Timestamp(10)));
    applied.filter_map(Result::err).collect()
}

fn value(flush: &Flush, metric: &str) -> f64 {
    let found = flush.samples.iter().find(|(_, series, _)| series.metric == metric);
    found.unwrap_or_else(|| panic!("{metric} is missing of {flush:?}")).2
}

#[test]
fn lines_of_every_type_add_up() {
    let mut held = aggregator(100);
    let datagram = "page.views:1|c\npage.views:2|c|@0.1\n\ntemp:20|g\ntemp:-5|g\ntemp:+1.5|g\nusers:a|s\nusers:b|s\nusers:a|s\n\
                    load:320|ms|@0.5|#route:/pay,new\nsize:1:2:4|h\nsize:0|d\r\n";
    assert_eq!(apply(&mut held, datagram), []);
    let flush = held.flush(Timestamp(0));
    assert_eq!((value(&flush, "page_views_total"), value(&flush, "temp"), value(&flush, "users")), (21.0, 16.5, 2.0));
    let (_, series, load) = flush.histograms.iter().find(|(_, s, _)| s.metric == "load_seconds").expect("a timer");
    assert_eq!((series.labels.get("route"), series.labels.get("new")), (Some("/pay"), Some("true")));
    assert_eq!((load.count, load.sum, series.unit.as_str()), (2.0, 0.64, "seconds"));
    let (_, _, size) = flush.histograms.iter().find(|(_, s, _)| s.metric == "size").expect("a histogram");
    assert_eq!((size.count, size.sum, size.zero_count, size.check()), (4.0, 7.0, 1.0, Ok(())));
    let below_two = size.classic(2, 64).into_iter().find(|(bound, _)| *bound == 2.0);
    assert_eq!(below_two, Some((2.0, 3.0)));
    assert_eq!(value(&held.flush(Timestamp(10)), "users"), 0.0, "sets begin anew");
    let ended = held.flush(Timestamp(11));
    let told = ended.samples.iter().map(|(_, _, value)| value).chain(ended.histograms.iter().map(|(_, _, h)| &h.sum));
    assert!(told.map(|value| value.to_bits()).all(|bits| bits == STALE_NAN), "idle ones are told ended");
    assert!(held.is_empty(), "and forgotten");
}

#[test]
fn bad_lines_cost_themselves_and_say_why() {
    let mut held = aggregator(2);
    let rejected = apply(
        &mut held,
        "good:1|c\nnothing\n:1|c\nx:1\nx:a|c\nx:nan|g\nx:1|z\nx:1|c|@2\n_e{1,1}:a|b\nu:1|g\nu:x|s\nmore:1|g",
    );
    let count = |reason| rejected.iter().filter(|rejection| rejection.reason == reason).count();
    assert_eq!((count(Reason::Malformed), count(Reason::Unsupported), count(Reason::TooMany)), (7, 2, 1));
    assert_eq!(held.len(), 2);
    assert!(lines(b"\xff:1|c").next().expect("a line").is_err());
}
