//! Text 0.0.4 by the letter.

use super::{
    lexer::{self, Dialect},
    strict::{Verdict, label, series},
};
use std::collections::HashMap;

#[derive(Debug, Clone, Default)]
struct Family {
    kind: Option<String>,
    helped: bool,
    sampled: bool,
}

/// A page as far as it was read.
#[derive(Debug, Default)]
pub(super) struct Text {
    families: HashMap<String, Family>,
    samples: usize,
}

impl Text {
    pub(super) fn verdict(&self) -> Verdict {
        let families = self.families.values().filter(|family| family.sampled || family.kind.is_some()).count();
        Verdict { families, samples: self.samples }
    }

    pub(super) fn line(&mut self, line: &str) -> Result<(), String> {
        let text = line.trim_start_matches([' ', '\t']);
        if text.is_empty() {
            return Ok(());
        }
        match text.strip_prefix('#') {
            Some(comment) => self.comment(comment.trim_start_matches([' ', '\t'])),
            None => self.sample(text),
        }
    }

    fn comment(&mut self, comment: &str) -> Result<(), String> {
        let (keyword, rest) = comment.split_once([' ', '\t']).unwrap_or((comment, ""));
        if keyword != "HELP" && keyword != "TYPE" {
            return Ok(());
        }
        let mut rest = rest.trim_start_matches([' ', '\t']);
        if rest.is_empty() {
            return Ok(());
        }
        let name = lexer::name(&mut rest, true);
        if name.is_empty() || !rest.is_empty() && !rest.starts_with([' ', '\t']) {
            return Err(format!("{keyword} names no metric"));
        }
        let family = self.families.entry(name.to_owned()).or_default();
        if keyword == "HELP" {
            if rest.trim().is_empty() {
                return Ok(());
            }
            if std::mem::replace(&mut family.helped, true) {
                return Err(format!("a second HELP of {name}"));
            }
            return Ok(());
        }
        let kind = rest.trim();
        if kind.is_empty() {
            return Ok(());
        }
        if !["counter", "gauge", "summary", "histogram", "untyped"].contains(&kind) {
            return Err(format!("{kind:?} is no type"));
        }
        if family.kind.is_some() || family.sampled {
            return Err(format!("TYPE of {name} comes twice or after its samples"));
        }
        family.kind = Some(kind.to_owned());
        Ok(())
    }

    fn sample(&mut self, text: &str) -> Result<(), String> {
        let (metric, pairs, rest) = series(text, Dialect::TEXT)?;
        let mut words = rest.split([' ', '\t']).filter(|word| !word.is_empty());
        let value = words.next().ok_or("there is no value")?;
        lexer::number(value).ok_or_else(|| format!("{value:?} is not a value"))?;
        if let Some(word) = words.next() {
            word.parse::<i64>().map_err(|_| format!("{word:?} is not a moment in milliseconds"))?;
        }
        if let Some(more) = words.next() {
            return Err(format!("{more:?} after the value and its moment"));
        }
        let name = self.family_of(&metric).to_owned();
        let family = self.families.entry(name).or_default();
        let bound = match family.kind.as_deref() {
            Some("histogram") if metric.ends_with("_bucket") => label(&pairs, "le"),
            Some("summary") => label(&pairs, "quantile"),
            _ => None,
        };
        if let Some(bound) = bound.filter(|bound| lexer::number(bound).is_none()) {
            return Err(format!("{bound:?} is no number, and le and quantile are"));
        }
        family.sampled = true;
        self.samples += 1;
        Ok(())
    }

    fn family_of<'m>(&self, metric: &'m str) -> &'m str {
        let parts: [(&str, &[&str]); 3] =
            [("_bucket", &["histogram"]), ("_count", &["histogram", "summary"]), ("_sum", &["histogram", "summary"])];
        parts
            .iter()
            .find_map(|(suffix, kinds)| {
                let base = metric.strip_suffix(suffix)?;
                let kind = self.families.get(base)?.kind.as_deref()?;
                kinds.contains(&kind).then_some(base)
            })
            .unwrap_or(metric)
    }
}
