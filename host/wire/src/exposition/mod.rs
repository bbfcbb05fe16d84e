//! The Prometheus text format 0.0.4 and OpenMetrics 1.0, as exporters give them.
//!
//! [`parse`] is for scraping: one bad line costs that line, is counted and told with its number and reason, and the rest
//! counts; only a page without a single good line is refused as a whole. Labels stay text until [`Page::describe`], so that
//! a series known by its key costs neither memory nor checks. [`check`] is the verdict by the letter of the specification.
//!
//! The two formats differ where they look alike (a moment is milliseconds in one and seconds in the other), so the caller
//! passes which one the exporter says it sends. Formats: Prometheus' "Exposition formats" page and OpenMetrics 1.0.

mod family;
mod lexer;
mod sample;
mod strict;
mod strict_family;
mod strict_histogram;
mod strict_text;
#[cfg(test)]
mod tests;

pub use family::Declared;
pub use lexer::MAX_LABELS;
pub use sample::{Exemplar, Sample};
pub use strict::{Fault, Verdict, check};

use family::Families;
use tandem_domain::series::SeriesDescription;

/// Longest line, in bytes; a longer one is no series but something else.
const MAX_LINE_BYTES: usize = 1 << 16;
/// Samples of one page: a kube-state-metrics of the largest clusters has half of it. What follows is rejected.
const MAX_SAMPLES: usize = 4_000_000;
/// Rejected lines that are told one by one; all are counted.
const MAX_TOLD_REJECTIONS: usize = 20;

/// What the exporter says it sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// Text 0.0.4 or 1.0.0: moments are milliseconds.
    #[default]
    Text,
    /// OpenMetrics 1.0: moments are seconds.
    OpenMetrics,
}

impl Format {
    /// By the header `Content-Type`; anything but OpenMetrics is read as text, as exporters often forget to say.
    pub fn of(content_type: Option<&str>) -> Self {
        let media = content_type.unwrap_or_default().split(';').next().unwrap_or_default().trim();
        if media.eq_ignore_ascii_case("application/openmetrics-text") { Self::OpenMetrics } else { Self::Text }
    }
}

/// A line that could not be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    /// From 1.
    pub line: usize,
    /// Why.
    pub reason: String,
}

/// A page as parsed.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Page<'p> {
    /// In the page's order.
    pub samples: Vec<Sample<'p>>,
    /// The first rejected lines.
    pub rejections: Vec<Rejection>,
    /// How many lines were rejected.
    pub rejected: usize,
    families: Families<'p>,
}

/// The page is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("this is not a metrics page: line {line}: {reason}")]
pub struct NotAPage {
    /// The first bad line, from 1.
    pub line: usize,
    /// Why.
    pub reason: String,
}

impl Page<'_> {
    /// Families the page declares or shows.
    pub fn families(&self) -> usize {
        self.families.len()
    }

    /// A number over the types and units that the page declares: as long as it is the same from page to page, so is what
    /// [`Page::describe`] says of a series.
    pub fn declarations(&self) -> u64 {
        self.families.declarations()
    }

    /// A number over all that the page declares, help included: as long as it is the same, so is [`Page::declared`].
    pub fn texts(&self) -> u64 {
        self.families.texts()
    }

    /// What the page declares of its families, in no order.
    pub fn declared(&self) -> impl Iterator<Item = Declared<'_>> {
        self.families.declared()
    }

    /// The series of a sample of this page, with the type and unit its family declares.
    ///
    /// # Errors
    /// When a label is given twice.
    pub fn describe(&self, sample: &Sample<'_>) -> Result<SeriesDescription, Rejection> {
        let (metric, labels) = sample.named().map_err(|reason| Rejection { line: sample.line as usize, reason })?;
        let (metric_type, unit) = self.families.of(&metric);
        Ok(SeriesDescription { metric, metric_type, unit: unit.to_owned(), labels })
    }

    fn reject(&mut self, line: usize, reason: String) {
        self.rejected += 1;
        if self.rejections.len() < MAX_TOLD_REJECTIONS {
            self.rejections.push(Rejection { line, reason });
        }
    }
}

/// Parses a page of either format, line by line.
///
/// # Errors
/// When no line of a page that is not empty is a sample or a comment of the format.
pub fn parse(page: &[u8], format: Format) -> Result<Page<'_>, NotAPage> {
    let mut parsed = Page::default();
    let mut understood = 0_usize;
    for (index, raw) in lines(page).enumerate() {
        let number = index + 1;
        if raw.len() > MAX_LINE_BYTES {
            parsed.reject(number, format!("longer than {MAX_LINE_BYTES} bytes"));
            continue;
        }
        let Ok(text) = std::str::from_utf8(raw) else {
            parsed.reject(number, "not UTF-8".into());
            continue;
        };
        let text = text.trim_matches([' ', '\t', '\r']);
        if text.is_empty() {
            continue;
        }
        if text == "# EOF" {
            understood += 1;
            break;
        }
        if let Some(comment) = text.strip_prefix('#') {
            understood += usize::from(parsed.families.note(comment));
            continue;
        }
        if parsed.samples.len() >= MAX_SAMPLES {
            parsed.reject(number, format!("beyond {MAX_SAMPLES} samples"));
            continue;
        }
        match Sample::parse(text, format, number as u32) {
            Ok(sample) => {
                understood += 1;
                parsed.families.show(sample.series);
                parsed.samples.push(sample);
            }
            Err(reason) => parsed.reject(number, reason),
        }
    }
    match parsed.rejections.first() {
        Some(first) if understood == 0 => Err(NotAPage { line: first.line, reason: first.reason.clone() }),
        _ => Ok(parsed),
    }
}

/// The lines of a page, without their ends.
fn lines(page: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(page);
    std::iter::from_fn(move || {
        let bytes = rest?;
        if let Some(end) = memchr::memchr(b'\n', bytes) {
            rest = Some(&bytes[end + 1..]);
            Some(&bytes[..end])
        } else {
            rest = None;
            Some(bytes)
        }
    })
}
