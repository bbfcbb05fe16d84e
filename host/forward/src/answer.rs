//! What a receiver's answer means, and how long to wait before the next try. Pure.
//!
//! Specifications: "Prometheus Remote-Write 1.0" and "2.0": 5xx and 429 are tried again, other 4xx never are, and 415 asks for
//! the other message.

use jiff::fmt::rfc2822;
use std::time::Duration;
use tandem_domain::{Failure, FailureCode, Timestamp, http::HttpResponse};
use tandem_wire::remote_write::{Protocol, Written};

/// Longest wait that a receiver may ask for: a slip in its Retry-After must not stop a forward for a day.
pub(crate) const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(600);
/// Characters of a receiver's text that are told.
const MAX_TOLD_CHARS: usize = 300;

/// What became of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It was taken; 2.0 receivers say how much of it.
    Taken(Option<Written>),
    /// It is to be sent again, after the time that the receiver asks for, if it does.
    Again { why: String, after: Option<Duration> },
    /// The receiver does not know this message.
    OtherProtocol,
    /// It is too long for the receiver, or something in it is bad: parts of it may be taken.
    InParts { why: String },
    /// It can never be taken.
    Refused { why: String },
    /// The receiver is this server itself, or sends back to it.
    Loop,
}

/// Reads an answer. `sent` tells which message it answers, `may_change` whether the other may be sent.
pub(crate) fn outcome(
    answer: Result<HttpResponse, Failure>,
    sent: Protocol,
    may_change: bool,
    now: Timestamp,
) -> Outcome {
    let answer = match answer {
        Ok(answer) => answer,
        // What a person must mend may be mended while it waits: nothing is dropped for it.
        Err(failure) => {
            let lasting = matches!(failure.code, FailureCode::Refused | FailureCode::Misconfigured);
            return Outcome::Again { why: failure.message, after: lasting.then_some(LONGEST_RETRY_AFTER / 10) };
        }
    };
    let header = |name: &str| {
        let found = answer.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.and_then(|(_, value)| std::str::from_utf8(value).ok())
    };
    let why = || format!("{} {}", answer.status, told(&answer.body)).trim_end().to_owned();
    match answer.status {
        200..=299 => match (sent, Written::read(header)) {
            // An old receiver skips the fields of 2.0, keeps nothing and says that all is well: only one that counts what it
            // wrote has understood the message.
            (Protocol::V2, None) if may_change => Outcome::OtherProtocol,
            (Protocol::V2, written) => Outcome::Taken(written),
            (Protocol::V1, _) => Outcome::Taken(None),
        },
        415 if may_change && sent == Protocol::V2 => Outcome::OtherProtocol,
        508 => Outcome::Loop,
        400 | 413 | 422 => Outcome::InParts { why: why() },
        429 | 500..=599 => Outcome::Again { why: why(), after: header("retry-after").and_then(|text| wait(text, now)) },
        _ => Outcome::Refused { why: why() },
    }
}

/// `Retry-After`: seconds or a moment.
fn wait(text: &str, now: Timestamp) -> Option<Duration> {
    let text = text.trim();
    let asked = match text.parse::<u64>() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            let moment = rfc2822::parse(text).ok()?.timestamp().as_millisecond();
            Duration::from_millis(u64::try_from(moment.saturating_sub(now.0)).unwrap_or(0))
        }
    };
    Some(asked.min(LONGEST_RETRY_AFTER))
}

/// A receiver's text in one line of bounded length.
fn told(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(&body[..body.len().min(4 * MAX_TOLD_CHARS)]);
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    line.chars().filter(|c| !c.is_control()).take(MAX_TOLD_CHARS).collect()
}

/// The wait before try number `tries` (from 1): doubled from try to try, and between half and all of it by chance (`chance`
/// from 0 to 1), so that many senders do not come back at one moment. Never less than the receiver asks for.
pub(crate) fn backoff(tries: u32, least: Duration, most: Duration, asked: Option<Duration>, chance: f64) -> Duration {
    let doubled = least.saturating_mul(2_u32.saturating_pow(tries.saturating_sub(1).min(30))).min(most);
    let spread = doubled.mul_f64(0.5 + 0.5 * chance.clamp(0.0, 1.0));
    asked.map_or(spread, |asked| asked.max(spread))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(status: u16, headers: &[(&str, &str)], body: &str) -> Result<HttpResponse, Failure> {
        let headers = headers.iter().map(|(n, v)| ((*n).to_owned(), v.as_bytes().to_vec())).collect();
        Ok(HttpResponse { status, headers, body: body.as_bytes().to_vec() })
    }

    fn read(answer: Result<HttpResponse, Failure>, sent: Protocol) -> Outcome {
        outcome(answer, sent, true, Timestamp(0))
    }

    #[test]
    fn each_kind_of_answer_has_its_meaning() {
        use Protocol::{V1, V2};
        let written = [("X-Prometheus-Remote-Write-Samples-Written", "7")];
        let seven = Written { samples: 7, ..Written::default() };
        assert_eq!(read(answered(204, &written, ""), V2), Outcome::Taken(Some(seven)));
        assert_eq!(read(answered(204, &[], ""), V1), Outcome::Taken(None));
        assert_eq!(read(answered(204, &[], ""), V2), Outcome::OtherProtocol);
        assert_eq!(outcome(answered(204, &[], ""), V2, false, Timestamp(0)), Outcome::Taken(None));
        assert_eq!(read(answered(415, &[], ""), V2), Outcome::OtherProtocol);
        assert!(matches!(read(answered(415, &[], ""), V1), Outcome::Refused { .. }));
        assert!(
            matches!(read(answered(400, &[], "out of order\nsample"), V1), Outcome::InParts { why } if why == "400 out of order sample")
        );
        assert!(matches!(read(answered(404, &[], ""), V1), Outcome::Refused { why } if why == "404"));
        assert_eq!(read(answered(508, &[], ""), V1), Outcome::Loop);
        for status in [429, 500, 503] {
            assert!(matches!(read(answered(status, &[], ""), V1), Outcome::Again { after: None, .. }), "{status}");
        }
        let gone = Err(Failure::passing(FailureCode::Unreachable, "no connection"));
        assert_eq!(read(gone, V1), Outcome::Again { why: "no connection".into(), after: None });
    }

    #[test]
    fn a_receiver_may_ask_for_time_by_seconds_or_a_moment_but_not_for_a_day() {
        let now = Timestamp(1_445_412_480_000 - 90_000);
        assert_eq!(wait(" 7 ", now), Some(Duration::from_secs(7)));
        assert_eq!(wait("Wed, 21 Oct 2015 07:28:00 GMT", now), Some(Duration::from_secs(90)));
        assert_eq!(wait("Wed, 21 Oct 2015 07:28:00 GMT", Timestamp(i64::MAX)), Some(Duration::ZERO));
        assert_eq!(wait("86400", now), Some(LONGEST_RETRY_AFTER));
        assert_eq!(wait("soon", now), None);
    }

    #[test]
    fn waits_double_up_to_their_bound_and_chance_takes_half_at_most() {
        let wait = |tries, asked, chance| {
            backoff(tries, Duration::from_millis(100), Duration::from_secs(5), asked, chance).as_millis()
        };
        assert_eq!([1, 2, 3, 7, 4_000_000].map(|tries| wait(tries, None, 1.0)), [100, 200, 400, 5_000, 5_000]);
        assert_eq!(wait(3, None, 0.0), 200);
        assert_eq!(wait(1, Some(Duration::from_secs(9)), 0.5), 9_000);
    }

    #[test]
    fn a_long_text_of_a_receiver_is_told_in_one_line() {
        let long = "x\n\u{7}y ".repeat(5_000);
        let told = told(long.as_bytes());
        assert!(told.chars().count() <= MAX_TOLD_CHARS && !told.contains(char::is_control), "{told}");
    }
}
