//! One sample line as it is read when scraping: what either format allows.

use super::{
    Format,
    lexer::{self, Dialect, Pair},
};
use crate::series_key::{KeySeed, SeriesKey};
use tandem_domain::{Timestamp, series::Labels};

/// One sample of a page. Its labels stay text until they are asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample<'p> {
    /// Name and label block as written; samples of one exporter's series agree in it from page to page.
    pub series: &'p str,
    /// Its value; NaN is a value here.
    pub value: f64,
    /// When the exporter says it was taken.
    pub at: Option<Timestamp>,
    /// An observation with a trace to look at.
    pub exemplar: Option<Box<Exemplar>>,
    /// Its line, from 1.
    pub line: u32,
}

/// An observation with a trace to look at.
#[derive(Debug, Clone, PartialEq)]
pub struct Exemplar {
    /// Mostly `trace_id` and `span_id`.
    pub labels: Labels,
    /// What was observed.
    pub value: f64,
    /// When, if it is said.
    pub at: Option<Timestamp>,
}

impl<'p> Sample<'p> {
    /// A key over the series as written, by which a known one is found without decoding its labels.
    pub fn key(&self, seed: KeySeed) -> SeriesKey {
        seed.of_encoded(self.series.as_bytes())
    }

    pub(super) fn parse(text: &'p str, format: Format, line: u32) -> Result<Self, String> {
        let mut rest = text;
        let mut named = !lexer::name(&mut rest, true).is_empty();
        if let Some(inside) = rest.trim_start_matches([' ', '\t']).strip_prefix('{') {
            rest = lexer::labels(inside, Dialect::LENIENT, |pair| match pair {
                Pair { value: None, name } if named => Err(format!("label {name} has no value")),
                Pair { value: None, .. } => {
                    named = true;
                    Ok(())
                }
                Pair { .. } => Ok(()),
            })?;
        }
        if !named {
            return Err("it does not begin with a metric name".into());
        }
        let series = text[..text.len() - rest.len()].trim_end_matches([' ', '\t']);
        let (rest, exemplar) = match memchr::memchr(b'#', rest.as_bytes()) {
            Some(at) => (&rest[..at], Some(Box::new(exemplar(&rest[at + 1..])?))),
            None => (rest, None),
        };
        let mut words = rest.split_ascii_whitespace();
        let value = words.next().ok_or("there is no value")?;
        let value = lexer::number(value).ok_or_else(|| format!("{value:?} is not a value"))?;
        let at = match words.next() {
            None => None,
            Some(word) => Some(moment(word, format).ok_or_else(|| format!("{word:?} is not a moment"))?),
        };
        if let Some(more) = words.next() {
            return Err(format!("{more:?} after the value and its moment"));
        }
        Ok(Self { series, value, at, exemplar, line })
    }

    /// Name and labels.
    pub(super) fn named(&self) -> Result<(String, Labels), String> {
        let mut rest = self.series;
        let mut metric = lexer::name(&mut rest, true).to_owned();
        let mut pairs: Vec<(String, String)> = Vec::new();
        let mut telling = 0;
        if let Some(inside) = rest.trim_start_matches([' ', '\t']).strip_prefix('{') {
            lexer::labels(inside, Dialect::LENIENT, |pair| {
                match pair.value {
                    Some(value) => {
                        telling += usize::from(!value.is_empty());
                        pairs.push((pair.name.into_owned(), value.into_owned()));
                    }
                    None => metric = pair.name.into_owned(),
                }
                Ok(())
            })?;
        }
        let given = pairs.len();
        let labels = Labels::new(pairs);
        if labels.len() < telling {
            return Err(format!("one of its {given} labels is given twice"));
        }
        Ok((metric, labels))
    }
}

/// The exemplar after its `#`. One that is none costs its line, since what follows a value is not guessed.
fn exemplar(text: &str) -> Result<Exemplar, String> {
    let inside = text.trim_start_matches(' ').strip_prefix('{').ok_or("an exemplar without labels")?;
    let mut pairs = Vec::new();
    let rest = lexer::labels(inside, Dialect::LENIENT, |pair| {
        let value = pair.value.ok_or("a label of an exemplar has no value")?;
        pairs.push((pair.name.into_owned(), value.into_owned()));
        Ok(())
    })?;
    let mut words = rest.split_ascii_whitespace();
    let value = words.next().and_then(lexer::number).ok_or("an exemplar without value")?;
    let at = match words.next() {
        None => None,
        Some(word) => Some(moment(word, Format::OpenMetrics).ok_or("an exemplar's moment is none")?),
    };
    match words.next() {
        Some(more) => Err(format!("{more:?} after an exemplar")),
        None => Ok(Exemplar { labels: Labels::new(pairs), value, at }),
    }
}

/// Milliseconds in the text format, seconds in OpenMetrics.
fn moment(word: &str, format: Format) -> Option<Timestamp> {
    match format {
        Format::Text => word.parse().ok().map(Timestamp),
        // What lies beyond all time ends at its end, and is refused there as of another age.
        Format::OpenMetrics => Some(Timestamp((lexer::finite(word)? * 1000.0).round() as i64)),
    }
}
