//! Parameters as Prometheus' clients send them: in the address, or in a form.

use crate::time;
use tandem_query::{ErrorKind, Matcher, QueryError};
use url::form_urlencoded;

/// Parameters of a query, from the address and, where posted, from the form.
pub(super) struct Parameters(pub(super) Vec<(String, String)>);

impl Parameters {
    pub(super) fn of(query: Option<&str>, form: &[u8]) -> Self {
        let asked = form_urlencoded::parse(query.unwrap_or_default().as_bytes());
        Self(asked.into_owned().chain(form_urlencoded::parse(form).into_owned()).collect())
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub(super) fn required(&self, name: &str) -> Result<&str, QueryError> {
        self.get(name).filter(|value| !value.is_empty()).ok_or_else(|| bad(name, "it is missing"))
    }

    /// Whether it is given at all.
    pub(super) fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// How many at the most; 0 is no limit.
    pub(super) fn limit(&self, name: &str) -> Result<Option<usize>, QueryError> {
        let Some(text) = self.get(name).filter(|text| !text.is_empty()) else { return Ok(None) };
        let limit: usize = text.parse().map_err(|_| bad(name, &format!("{text:?} is no number from 0")))?;
        Ok(Some(limit).filter(|limit| *limit > 0))
    }

    /// Unix seconds or RFC 3339, as milliseconds.
    pub(super) fn moment(&self, name: &str) -> Result<Option<i64>, QueryError> {
        let Some(text) = self.get(name) else { return Ok(None) };
        let moment =
            time::read(text).ok_or_else(|| bad(name, &format!("cannot parse {text:?} to a valid timestamp")))?;
        Ok(Some(moment.0))
    }

    /// The sets of matchers of `match[]`.
    pub(super) fn selectors(&self) -> Result<Vec<Vec<Matcher>>, QueryError> {
        let given = self.0.iter().filter(|(name, _)| name == "match[]");
        given.map(|(_, text)| tandem_query::selector(text)).collect()
    }
}

pub(super) fn bad(name: &str, why: &str) -> QueryError {
    QueryError { kind: ErrorKind::BadData, message: format!("invalid parameter {name:?}: {why}") }
}

/// Seconds, or a duration such as `1m30s`, as milliseconds.
pub(super) fn step(text: &str) -> Option<i64> {
    if let Ok(seconds) = text.parse::<f64>() {
        return (seconds > 0.0 && seconds < 1e12).then_some((seconds * 1000.0) as i64);
    }
    let (mut total, mut rest) = (0i64, text);
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let number: i64 = rest[..digits].parse().ok()?;
        let units = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000), ("w", 604_800_000)];
        let (unit, millis) = units.into_iter().find(|(unit, _)| rest[digits..].starts_with(unit))?;
        total = total.checked_add(number.checked_mul(millis)?)?;
        rest = &rest[digits + unit.len()..];
    }
    (total > 0).then_some(total)
}
