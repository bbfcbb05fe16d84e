//! RFC 3164 after its priority: `Mmm dd hh:mm:ss HOST TAG[PID]: MESSAGE`, and what devices make of it.

use super::Parts;
use jiff::civil::Date;
use tandem_domain::Timestamp;

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
/// A tag is a short word; what is longer is the message.
const MAX_TAG_CHARS: usize = 64;
const DAY_MILLIS: i64 = 86_400_000;

pub(super) fn parse(text: &str, now: Timestamp) -> Parts {
    let Some((at, rest)) = stamped(text, now) else {
        let (app, attributes, text) = tagged(text);
        return Parts { app, text, attributes, ..Parts::default() };
    };
    let rest = rest.trim_start_matches(' ');
    let (host, rest) = match rest.split_once(' ') {
        // Some leave the host out, and the tag follows at once.
        Some((word, after)) if !word.ends_with(':') && !word.ends_with(']') => (word, after),
        _ => ("", rest),
    };
    let (app, attributes, text) = tagged(rest);
    Parts { at: Some(at), host: host.to_owned(), app, text, attributes }
}

/// The time at the front, in the old form or (as rsyslog writes it) RFC 3339.
fn stamped(text: &str, now: Timestamp) -> Option<(Timestamp, &str)> {
    let (word, rest) = text.split_once(' ')?;
    if word.len() >= 20 && word.as_bytes()[0].is_ascii_digit() {
        let at = word.parse::<jiff::Timestamp>().ok()?;
        return Some((Timestamp(at.as_millisecond()), rest));
    }
    let month = MONTHS.iter().position(|month| *month == word)? as i8 + 1;
    let (day, rest) = rest.trim_start_matches(' ').split_once(' ')?;
    let day: i8 = day.parse().ok()?;
    // Cisco writes the year between day and time, or a colon after the time.
    let (mut clock, mut rest) = rest.split_once(' ').unwrap_or((rest, ""));
    let mut year = None;
    if clock.len() == 4 && clock.bytes().all(|byte| byte.is_ascii_digit()) {
        year = clock.parse::<i16>().ok();
        (clock, rest) = rest.split_once(' ').unwrap_or((rest, ""));
    }
    let millis = time_of_day(clock.trim_end_matches(':'))?;
    let moment = |year: i16| {
        let date = Date::new(year, month, day).ok()?;
        let days = date.since(Date::constant(1970, 1, 1)).ok()?.get_days();
        Some(Timestamp(i64::from(days) * DAY_MILLIS + millis))
    };
    if let Some(year) = year {
        return Some((moment(year)?, rest));
    }
    let this = jiff::tz::Offset::UTC.to_datetime(jiff::Timestamp::from_millisecond(now.0).ok()?).year();
    // In the first days of January what comes is of December, and clocks run ahead of ours.
    let nearest = [this.checked_sub(1)?, this, this.checked_add(1)?]
        .into_iter()
        .filter_map(moment)
        .min_by_key(|at| at.millis_since(now).unsigned_abs())?;
    Some((nearest, rest))
}

fn time_of_day(clock: &str) -> Option<i64> {
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, ""));
    let mut parts = clock.split(':');
    let mut part = |limit: i64| {
        let word = parts.next()?;
        let fits = word.len() == 2 && word.bytes().all(|byte| byte.is_ascii_digit());
        word.parse::<i64>().ok().filter(|value| fits && *value < limit)
    };
    let (hours, minutes, seconds) = (part(24)?, part(60)?, part(61)?);
    if parts.next().is_some() || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let millis: i64 = format!("{fraction:0<3}")[..3].parse().ok()?;
    Some(((hours * 60 + minutes) * 60 + seconds) * 1_000 + millis)
}

/// The program and its process, `sshd[42]:`, where the message begins with them.
fn tagged(text: &str) -> (String, Vec<(String, String)>, String) {
    let plain = || (String::new(), Vec::new(), text.to_owned());
    let fits = |c: char| c.is_ascii_alphanumeric() || "_-./@%".contains(c);
    let end = text.find(|c: char| !fits(c)).unwrap_or(text.len());
    let (tag, rest) = text.split_at(end);
    if tag.is_empty() || tag.len() > MAX_TAG_CHARS {
        return plain();
    }
    let (process, rest) = match rest.strip_prefix('[').and_then(|inside| inside.split_once(']')) {
        Some((process, rest)) if process.len() <= MAX_TAG_CHARS => (process, rest),
        _ => ("", rest),
    };
    let Some(rest) = rest.strip_prefix(':') else { return plain() };
    let attributes = if process.is_empty() { Vec::new() } else { vec![("procid".to_owned(), process.to_owned())] };
    (tag.trim_start_matches('%').to_owned(), attributes, rest.trim_start_matches(' ').to_owned())
}
