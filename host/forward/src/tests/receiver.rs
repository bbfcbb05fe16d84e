//! A receiver of remote write as a function.

use parking_lot::Mutex;
use std::collections::VecDeque;
use tandem_domain::{
    Failure, FailureCode,
    histogram::NativeHistogram,
    http::{HttpClient, HttpGrant, HttpRequest, HttpResponse},
    ports::BoxFuture,
};
use tandem_wire::{
    limits::WireLimits,
    remote_write::{self, Protocol, Written},
    series_key::KeySeed,
};

/// Labels in one text, moment, bits of the value.
pub(super) type Taken = (String, i64, u64);
/// Labels in one text, moment, the histogram.
pub(super) type TakenHistogram = (String, i64, NativeHistogram);
type Refuse = Box<dyn Fn(&[Taken]) -> bool + Send>;

/// Takes what it is sent but where a test says otherwise.
#[derive(Default)]
pub(super) struct Receiver(Mutex<State>);

#[derive(Default)]
struct State {
    taken: Vec<Taken>,
    histograms: Vec<TakenHistogram>,
    families: Vec<String>,
    asked: Vec<HttpRequest>,
    answers: VecDeque<Option<HttpResponse>>,
    down: bool,
    refuse: Option<(Refuse, String)>,
}

/// An answer without counts.
pub(super) fn answer(status: u16, body: &str) -> HttpResponse {
    HttpResponse { status, headers: Vec::new(), body: body.as_bytes().to_vec() }
}

/// An answer of 2.0.
pub(super) fn accepted(samples: u64) -> HttpResponse {
    accepted_both(samples, 0)
}

/// An answer of 2.0 to a body with native histograms.
fn accepted_both(samples: u64, histograms: u64) -> HttpResponse {
    let headers = Written { samples, histograms, ..Written::default() }.headers();
    let headers = headers.into_iter().map(|(name, value)| (name.to_owned(), value.into_bytes())).collect();
    HttpResponse { status: 204, headers, body: Vec::new() }
}

impl Receiver {
    /// The next answers, whatever is sent; none is no answer.
    pub(super) fn answers(&self, answers: impl IntoIterator<Item = Option<HttpResponse>>) {
        self.0.lock().answers.extend(answers);
    }

    pub(super) fn go_down(&self, down: bool) {
        self.0.lock().down = down;
    }

    /// Refuses whole bodies that hold what it does not like.
    pub(super) fn refuse(&self, refuse: impl Fn(&[Taken]) -> bool + Send + 'static, why: &str) {
        self.0.lock().refuse = Some((Box::new(refuse), why.to_owned()));
    }

    pub(super) fn taken(&self) -> Vec<Taken> {
        self.0.lock().taken.clone()
    }

    pub(super) fn histograms(&self) -> Vec<TakenHistogram> {
        self.0.lock().histograms.clone()
    }

    pub(super) fn families(&self) -> Vec<String> {
        self.0.lock().families.clone()
    }

    pub(super) fn asked(&self) -> Vec<HttpRequest> {
        self.0.lock().asked.clone()
    }
}

impl State {
    fn answer(&mut self, request: HttpRequest) -> Result<HttpResponse, Failure> {
        self.asked.push(request.clone());
        let gone = || Err(Failure::passing(FailureCode::Unreachable, "no connection"));
        if self.down {
            return gone();
        }
        match self.answers.pop_front() {
            Some(Some(answer)) => return Ok(answer),
            Some(None) => return gone(),
            None => {}
        }
        let header = |name: &str| {
            let found = request.headers.iter().find(|(known, _)| known == name).expect("the header is there");
            std::str::from_utf8(&found.1).expect("text")
        };
        let protocol = Protocol::negotiate(Some(header("content-type")), Some(header("content-encoding")));
        let bytes = remote_write::open(&request.body, &WireLimits::default()).expect("snappy");
        let protocol = protocol.expect("known");
        let body = remote_write::decode(protocol, &bytes, KeySeed(1), &WireLimits::default()).expect("a message");
        assert_eq!(body.rejections.total(), 0);
        let (mut samples, mut histograms) = (Vec::new(), Vec::new());
        for row in &body.series {
            let pairs = body.pairs(row).expect("labels");
            assert!(pairs.is_sorted(), "{pairs:?}");
            let labels = pairs.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(",");
            let place = row.samples.start as usize..row.samples.end as usize;
            let columns = body.at[place.clone()].iter().zip(&body.value[place]);
            samples.extend(columns.map(|(at, value)| (labels.clone(), at.0, value.to_bits())));
            let place = row.histograms.start as usize..row.histograms.end as usize;
            histograms.extend(body.histograms[place].iter().map(|(at, one)| (labels.clone(), at.0, one.clone())));
        }
        if let Some((_, why)) = self.refuse.as_ref().filter(|(refuse, _)| refuse(&samples)) {
            return Ok(answer(400, why));
        }
        self.families.extend(body.metadata.iter().map(|metadata| metadata.family.to_owned()));
        let (floats, natives) = (samples.len() as u64, histograms.len() as u64);
        self.taken.extend(samples);
        self.histograms.extend(histograms);
        Ok(if protocol == Protocol::V2 { accepted_both(floats, natives) } else { answer(204, "") })
    }
}

impl HttpClient for Receiver {
    fn send<'a>(&'a self, _: &'a HttpGrant, request: HttpRequest) -> BoxFuture<'a, Result<HttpResponse, Failure>> {
        Box::pin(async move { self.0.lock().answer(request) })
    }
}
