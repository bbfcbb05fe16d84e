//! What both pages share: the frame, and words for states and times. Every value goes through `maud`, which escapes it.

use crate::time;
use maud::{DOCTYPE, Markup, html};
use tandem_domain::{Severity, Timestamp, incident::IncidentStatus, verdict::Health};

/// Seconds after which a page loads itself again.
const REFRESH_SECONDS: u32 = 15;

/// A whole page around its content.
pub(super) fn frame(title: &str, at: Timestamp, content: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta http-equiv="refresh" content=(REFRESH_SECONDS);
                title { (title) " · Tandem" }
                link rel="stylesheet" href="/console.css";
            }
            body {
                header { a.home href="/" { "Tandem" }
                    nav { a href="/" { "Overview" } a href="/api/v1/openapi.json" { "API" } a href="/metrics" { "Metrics" } } }
                main { (content) }
                footer { "As of " (moment(at)) ". All times are UTC. This page loads itself again every " (REFRESH_SECONDS) " seconds." }
            }
        }
    }
}

/// The colour of an answer.
pub(super) fn health_class(health: Health) -> &'static str {
    match health {
        Health::Ok => "ok",
        Health::Degraded => "bad",
        Health::Unknown => "unknown",
    }
}

/// An answer in a word.
pub(super) fn health_word(health: Health) -> &'static str {
    match health {
        Health::Ok => "ok",
        Health::Degraded => "degraded",
        Health::Unknown => "unknown",
    }
}

/// The colour of a severity.
pub(super) fn severity_class(severity: Severity) -> &'static str {
    match severity {
        Severity::Info => "unknown",
        Severity::Warning => "warn",
        Severity::Critical => "bad",
    }
}

/// What a severity asks of people.
pub(super) fn severity_words(severity: Severity) -> &'static str {
    match severity {
        Severity::Info => "worth knowing",
        Severity::Warning => "needs somebody in working hours",
        Severity::Critical => "needs somebody now",
    }
}

/// Where an incident stands, for people.
pub(super) fn status_words(status: IncidentStatus) -> &'static str {
    match status {
        IncidentStatus::Open => "nobody has taken it yet",
        IncidentStatus::Acknowledged => "somebody is on it",
        IncidentStatus::Resolved => "over",
        IncidentStatus::Reopened => "it came back, and nobody has taken it yet",
    }
}

/// A moment as `2026-11-25 14:05:09`.
pub(super) fn moment(at: Timestamp) -> String {
    let text = time::write(at);
    let text = text.split('.').next().unwrap_or_default();
    text.trim_end_matches('Z').replace('T', " ")
}

/// The time of day of a moment, with its date when that is another one than that of `beside`.
pub(super) fn clock(at: Timestamp, beside: Timestamp) -> String {
    let (text, other) = (moment(at), moment(beside));
    match (text.split_once(' '), other.split_once(' ')) {
        (Some((date, time)), Some((other, _))) if date == other => time.to_owned(),
        _ => text,
    }
}

/// How long it is from one moment to another, roughly.
pub(super) fn lasting(from: Timestamp, to: Timestamp) -> String {
    let seconds = to.millis_since(from).max(0) / 1_000;
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

/// Since when, with how long that is.
pub(super) fn since(then: Timestamp, now: Timestamp) -> String {
    format!("since {}, for {}", clock(then, now), lasting(then, now))
}

/// A sentence as it begins and ends: the first letter large, but where it is a name of something, and a full stop.
pub(super) fn sentence(text: &str) -> String {
    let text = text.trim();
    let mut letters = text.chars();
    let Some(first) = letters.next() else { return String::new() };
    let word = text.split_whitespace().next().unwrap_or_default();
    let is_name = word.contains(|letter: char| letter.is_ascii_digit() || "-_./:@".contains(letter));
    let mut whole: String = if is_name { text.to_owned() } else { first.to_uppercase().chain(letters).collect() };
    if !whole.ends_with(['.', '!', '?', '…']) {
        whole.push('.');
    }
    whole
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_short_and_say_the_day_where_it_is_another() {
        let (noon, evening, later) =
            (Timestamp(1_700_000_000_123), Timestamp(1_700_006_000_000), Timestamp(1_700_200_000_000));
        assert_eq!(moment(noon), "2023-11-14 22:13:20");
        assert_eq!(clock(noon, noon), "22:13:20");
        assert_eq!(clock(noon, later), "2023-11-14 22:13:20");
        assert_eq!(lasting(noon, evening), "99 min");
        assert_eq!(lasting(evening, noon), "0 s", "a clock that was set back");
        assert_eq!(since(noon, later), "since 2023-11-14 22:13:20, for 2 days");
    }

    #[test]
    fn sentences_begin_and_end() {
        assert_eq!(sentence("the disk is full"), "The disk is full.");
        assert_eq!(sentence("Ärger!"), "Ärger!");
        assert_eq!(sentence("tandem-forecast has drifted"), "tandem-forecast has drifted.", "a name stays as it is");
        assert_eq!(sentence(" "), "");
    }
}
