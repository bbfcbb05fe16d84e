//! What the tests of the rooms share: a store, prepared answers, a clock that goes by itself.

use crate::{GatherMetrics, GatherPorts};
use parking_lot::Mutex;
use std::{sync::Arc, time::Duration};
use tandem_domain::{
    Failure, FailureCode, Timestamp,
    http::{HttpClient, HttpGrant, HttpRequest, HttpResponse, HttpStream, HttpStreams},
    ports::{BoxFuture, Collection, Collectors, LivePlugin, Payload},
    series::{Labels, MetricType, Points, Series, SeriesDescription},
    time::Clock,
};
use tandem_store::{Store, StoreOptions};

/// Answers one after the other, and the last for ever.
pub(crate) struct Answers(pub Mutex<Vec<Result<HttpResponse, Failure>>>);

impl HttpClient for Answers {
    fn send<'a>(&'a self, _: &'a HttpGrant, _: HttpRequest) -> BoxFuture<'a, Result<HttpResponse, Failure>> {
        let mut answers = self.0.lock();
        let answer = if answers.len() > 1 { answers.remove(0) } else { answers[0].clone() };
        Box::pin(async move { answer })
    }
}

/// No stream is opened.
pub(crate) struct NoStreams;

impl HttpStreams for NoStreams {
    fn open<'a>(&'a self, _: &'a HttpGrant, _: HttpRequest) -> BoxFuture<'a, Result<HttpStream, Failure>> {
        Box::pin(async { Err(Failure::lasting(FailureCode::Refused, "no streams here")) })
    }
}

/// Counts its visits in its cursor.
pub(crate) struct Counting;

impl Collectors for Counting {
    fn collectors(&self) -> Vec<LivePlugin> {
        vec![LivePlugin {
            name: "collector-test".into(),
            digest: "d".into(),
            version: "1.0.0".into(),
            interests: Vec::new(),
        }]
    }
    fn collect<'a>(
        &'a self,
        _: &'a str,
        _: &'a str,
        now: Timestamp,
        cursor: &'a [u8],
        _: Option<Duration>,
    ) -> BoxFuture<'a, Result<Collection, Failure>> {
        let count = cursor.first().copied().unwrap_or(0) + 1;
        let description = SeriesDescription {
            metric: "visits".into(),
            metric_type: MetricType::Counter,
            unit: String::new(),
            labels: Labels::default(),
        };
        let points = Points { at: vec![now], value: vec![f64::from(count)] };
        Box::pin(async move {
            Ok(Collection { series: vec![(description, points)], cursor: vec![count], ..Collection::default() })
        })
    }
    fn receive<'a>(&'a self, _: &'a str, _: Payload, _: Timestamp) -> BoxFuture<'a, Result<Collection, Failure>> {
        Box::pin(async { Err(Failure::lasting(FailureCode::Unsupported, "no")) })
    }
}

/// A second later each time it is asked.
pub(crate) struct FixedClock(pub Mutex<i64>);

impl Clock for FixedClock {
    fn now(&self) -> Timestamp {
        let mut now = self.0.lock();
        *now += 1000;
        Timestamp(*now)
    }
}

pub(crate) fn ports(folder: &std::path::Path, answers: Vec<Result<HttpResponse, Failure>>) -> GatherPorts {
    let store = Store::open(folder, StoreOptions::default()).expect("opens");
    ports_over(store, Arc::new(Answers(Mutex::new(answers))))
}

pub(crate) fn ports_over(store: Store, http: Arc<dyn HttpClient>) -> GatherPorts {
    GatherPorts {
        store,
        http,
        streams: Arc::new(NoStreams),
        collectors: Arc::new(Counting),
        clock: Arc::new(FixedClock(Mutex::new(0))),
        metrics: Arc::new(GatherMetrics::default()),
    }
}

pub(crate) fn page(text: &str) -> Result<HttpResponse, Failure> {
    Ok(HttpResponse { status: 200, headers: Vec::new(), body: text.into() })
}
/// The values of the one series of a name.
pub(crate) fn values(store: &Store, metric: &str) -> Vec<f64> {
    let read = store.read().expect("reads");
    let all = read.scan::<Series>(.., 100).expect("reads");
    let series = all.iter().find(|series| series.description.metric == metric).expect("registered");
    read.points(series.id, Timestamp::MIN, Timestamp::MAX).expect("points").value
}
