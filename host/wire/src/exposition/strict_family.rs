//! OpenMetrics 1.0 by the letter: one family after the other, each in one piece.

use super::{
    lexer::{self, Dialect},
    strict::{Pairs, Verdict, label, series},
    strict_histogram::Parts,
};
use std::{borrow::Cow, collections::HashSet};

/// Names and values of an exemplar's labels together, in characters (the specification's limit).
const MAX_EXEMPLAR_CHARS: usize = 128;

const KINDS: [&str; 8] = ["unknown", "gauge", "counter", "summary", "histogram", "gaugehistogram", "info", "stateset"];

fn suffixes(kind: &str) -> &'static [&'static str] {
    match kind {
        "counter" => &["_total", "_created"],
        "summary" => &["", "_count", "_sum", "_created"],
        "histogram" => &["_bucket", "_count", "_sum", "_created"],
        "gaugehistogram" => &["_bucket", "_gcount", "_gsum"],
        "info" => &["_info"],
        _ => &[""],
    }
}

#[derive(Debug, Default)]
struct Family {
    name: String,
    kind: Option<&'static str>,
    unit: Option<String>,
    helped: bool,
    sampled: bool,
    /// Labels of the metric that is being told, and of those that were.
    group: Option<String>,
    told: HashSet<String>,
    /// Its moment, and the series told at it.
    at: Option<f64>,
    seen: HashSet<String>,
    parts: Parts,
}

/// A page as far as it was read.
#[derive(Debug, Default)]
pub(super) struct OpenMetrics {
    family: Option<Family>,
    names: HashSet<String>,
    ended: bool,
    families: usize,
    samples: usize,
}

struct Line<'p> {
    metric: Cow<'p, str>,
    pairs: Pairs<'p>,
    value: f64,
    at: Option<f64>,
    exemplar: bool,
}

impl OpenMetrics {
    pub(super) fn end(mut self) -> Result<Verdict, String> {
        if !self.ended {
            return Err("the page does not end with # EOF".into());
        }
        self.close()?;
        Ok(Verdict { families: self.families, samples: self.samples })
    }

    pub(super) fn line(&mut self, line: &str) -> Result<(), String> {
        if self.ended {
            return Err("text after # EOF".into());
        }
        if line == "# EOF" {
            self.ended = true;
            return Ok(());
        }
        match line.strip_prefix('#') {
            Some(rest) => self.metadata(rest.strip_prefix(' ').ok_or("comments are not allowed")?),
            None => self.sample(&read(line)?),
        }
    }

    fn metadata(&mut self, text: &str) -> Result<(), String> {
        let mut parts = text.splitn(3, ' ');
        let (keyword, name, rest) = (parts.next().unwrap_or_default(), parts.next(), parts.next());
        let (Some(name), Some(rest)) = (name, rest) else { return Err(format!("{keyword:?} is not complete")) };
        let mut left = name;
        if lexer::name(&mut left, true).is_empty() || !left.is_empty() {
            return Err(format!("{name:?} is no metric name"));
        }
        if self.family.as_ref().is_none_or(|family| family.name != name) {
            self.open(name)?;
        }
        let Some(family) = &mut self.family else { return Ok(()) };
        if family.sampled {
            return Err(format!("{keyword} of {name} after its samples"));
        }
        let again = match keyword {
            "TYPE" => {
                let kind = KINDS.iter().find(|kind| **kind == rest).ok_or_else(|| format!("{rest:?} is no type"))?;
                family.kind.replace(kind).is_some()
            }
            "UNIT" => family.unit.replace(rest.to_owned()).is_some(),
            "HELP" => std::mem::replace(&mut family.helped, true),
            _ => return Err(format!("{keyword:?} is neither TYPE, UNIT nor HELP")),
        };
        if again { Err(format!("a second {keyword} of {name}")) } else { Ok(()) }
    }

    fn open(&mut self, name: &str) -> Result<(), String> {
        self.close()?;
        self.family = Some(Family { name: name.to_owned(), ..Family::default() });
        Ok(())
    }

    /// Ends the family that is being told.
    fn close(&mut self) -> Result<(), String> {
        let Some(mut family) = self.family.take() else { return Ok(()) };
        family.end_point()?;
        let kind = family.kind.unwrap_or("unknown");
        let mut names: Vec<String> = suffixes(kind).iter().map(|suffix| format!("{}{suffix}", family.name)).collect();
        if !names.contains(&family.name) {
            names.push(family.name.clone());
        }
        for name in names {
            if let Some(clashing) = self.names.replace(name) {
                return Err(format!("{clashing} is a name of two families, or a family is not in one piece"));
            }
        }
        if let Some(unit) = family.unit.filter(|unit| !unit.is_empty()) {
            if !family.name.ends_with(&format!("_{unit}")) {
                return Err(format!("{} does not end with its unit {unit}", family.name));
            }
            if ["info", "stateset"].contains(&kind) {
                return Err(format!("{} is of type {kind}, which has no unit", family.name));
            }
        }
        self.families += 1;
        Ok(())
    }

    fn sample(&mut self, line: &Line<'_>) -> Result<(), String> {
        let mine = self.family.as_ref().is_some_and(|family| family.suffix(&line.metric).is_some());
        if !mine {
            self.open(&line.metric)?;
        }
        self.samples += 1;
        let Some(family) = &mut self.family else { return Ok(()) };
        family.sampled = true;
        let suffix = family.suffix(&line.metric).unwrap_or_default().to_owned();
        family.point(line, &suffix)?;
        family.value(line, &suffix)
    }
}

impl Family {
    fn suffix<'m>(&self, metric: &'m str) -> Option<&'m str> {
        let suffix = metric.strip_prefix(self.name.as_str())?;
        suffixes(self.kind.unwrap_or("unknown")).contains(&suffix).then_some(suffix)
    }

    fn end_point(&mut self) -> Result<(), String> {
        let parts = std::mem::take(&mut self.parts);
        self.seen.clear();
        match self.kind {
            Some("histogram") => parts.end(false),
            Some("gaugehistogram") => parts.end(true),
            _ => Ok(()),
        }
    }

    /// Which metric and moment a sample belongs to: those of one metric stand together, in the order of time.
    fn point(&mut self, line: &Line<'_>, suffix: &str) -> Result<(), String> {
        let own = match self.kind {
            Some("histogram" | "gaugehistogram") => "le",
            Some("summary") => "quantile",
            Some("stateset") => self.name.as_str(),
            _ => "",
        };
        let mut sorted: Vec<_> = line.pairs.iter().collect();
        sorted.sort();
        let group = format!("{:?}", sorted.iter().filter(|(name, _)| name != own).collect::<Vec<_>>());
        let same = self.group.as_ref() == Some(&group);
        if same {
            match (self.at, line.at) {
                (Some(before), Some(at)) if at < before => return Err("moments go back".into()),
                (Some(_), None) | (None, Some(_)) => return Err("samples with and without moments are mixed".into()),
                _ => {}
            }
        } else if !self.told.insert(group.clone()) {
            return Err("the samples of one metric do not stand together".into());
        }
        if !same || self.at != line.at {
            self.end_point()?;
        }
        (self.group, self.at) = (Some(group), line.at);
        if !self.seen.insert(format!("{suffix}{sorted:?}")) && line.at.is_none() {
            return Err("a series is told twice".into());
        }
        Ok(())
    }

    fn value(&mut self, line: &Line<'_>, suffix: &str) -> Result<(), String> {
        let kind = self.kind.unwrap_or("unknown");
        let value = line.value;
        let counts = matches!(
            (kind, suffix),
            ("counter", "_total")
                | ("summary" | "histogram", "_count" | "_sum")
                | ("histogram" | "gaugehistogram", "_bucket")
                | ("gaugehistogram", "_gcount")
        );
        if counts && (value.is_nan() || value < 0.0) || (suffix == "_gsum" && value.is_nan()) {
            return Err(format!("{value} is no value of {kind}{suffix}"));
        }
        match (kind, suffix) {
            ("histogram" | "gaugehistogram", "_bucket") => {
                let bound = label(&line.pairs, "le").ok_or("a bucket has no label le")?;
                self.parts.bucket(bound, value)?;
            }
            ("histogram", "_count") | ("gaugehistogram", "_gcount") => self.parts.count(value),
            ("histogram", "_sum") | ("gaugehistogram", "_gsum") => self.parts.sum(value),
            ("summary", "") => {
                let quantile = label(&line.pairs, "quantile").and_then(lexer::number);
                if !quantile.is_some_and(|quantile| (0.0..=1.0).contains(&quantile)) {
                    return Err("a quantile is not between 0 and 1".into());
                }
                if value < 0.0 {
                    return Err("a quantile's value is negative".into());
                }
            }
            ("info", _) if value != 1.0 => return Err("an info is not 1".into()),
            ("stateset", _) if value != 0.0 && value != 1.0 => return Err("a state is neither 0 nor 1".into()),
            ("stateset", _) if label(&line.pairs, &self.name).is_none() => {
                return Err("a state has no label with the family's name".into());
            }
            _ => {}
        }
        let may = matches!((kind, suffix), ("counter", "_total") | ("histogram" | "gaugehistogram", "_bucket"));
        if line.exemplar && !may { Err(format!("{kind}{suffix} has no exemplars")) } else { Ok(()) }
    }
}

/// Takes a word off the front that a single blank precedes.
fn word<'p>(rest: &mut &'p str) -> Option<&'p str> {
    let text = rest.strip_prefix(' ')?;
    let end = text.find(' ').unwrap_or(text.len());
    let (found, after) = text.split_at(end);
    *rest = after;
    Some(found)
}

fn read(text: &str) -> Result<Line<'_>, String> {
    let (metric, pairs, mut rest) = series(text, Dialect::OPEN_METRICS)?;
    let value = word(&mut rest).ok_or("there is no value")?;
    let value = lexer::number(value).ok_or_else(|| format!("{value:?} is not a value"))?;
    let at = if rest.is_empty() || rest.starts_with(" #") {
        None
    } else {
        let at = word(&mut rest).unwrap_or_default();
        Some(lexer::finite(at).ok_or_else(|| format!("{at:?} is not a moment in seconds"))?)
    };
    let exemplar = !rest.is_empty();
    if exemplar {
        check_exemplar(rest)?;
    }
    Ok(Line { metric, pairs, value, at, exemplar })
}

fn check_exemplar(text: &str) -> Result<(), String> {
    let inside = text.strip_prefix(" # {").ok_or_else(|| format!("{text:?} after the value is no exemplar"))?;
    let mut chars = 0;
    let mut rest = lexer::labels(inside, Dialect::OPEN_METRICS, |pair| {
        let value = pair.value.ok_or("a label of an exemplar has no value")?;
        chars += pair.name.chars().count() + value.chars().count();
        Ok(())
    })?;
    if chars > MAX_EXEMPLAR_CHARS {
        return Err(format!("an exemplar's labels are longer than {MAX_EXEMPLAR_CHARS} characters"));
    }
    word(&mut rest).and_then(lexer::number).ok_or("an exemplar has no value")?;
    if !rest.is_empty() {
        word(&mut rest).and_then(lexer::finite).ok_or("an exemplar's moment is none")?;
    }
    if rest.is_empty() { Ok(()) } else { Err(format!("{rest:?} after an exemplar")) }
}
