//! What is asked of labels: by value, or by a pattern over the whole value.

use regex::Regex;
use regex_syntax::hir::{
    Hir, HirKind, Look,
    literal::{ExtractKind, Extractor},
};

/// Alternatives of a pattern that are looked up one by one; a pattern with more is tried on the values.
const MAX_LITERALS: usize = 4_096;

/// A condition on one label. A label that a series does not have is an empty one.
#[derive(Debug, Clone)]
pub struct LabelMatcher {
    /// The label; `__name__` is the metric.
    pub name: String,
    /// What its value must be.
    pub test: LabelTest,
}

/// What a value must be.
#[derive(Debug, Clone)]
pub enum LabelTest {
    /// This one.
    Equal(String),
    /// Any other.
    NotEqual(String),
    /// One that fits.
    Fits(Pattern),
    /// One that does not.
    Misses(Pattern),
}

/// A regular expression over the whole of a value, with what is known of it before it is tried.
#[derive(Debug, Clone)]
pub struct Pattern {
    regex: Regex,
    shape: Shape,
}

/// What a pattern comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Shape {
    /// Anything at all.
    Anything,
    /// Anything but nothing.
    Something,
    /// One of these.
    Literals(Vec<String>),
    /// What begins so, and then is tried.
    Prefix(String),
    /// It has to be tried.
    Unknown,
}

impl Pattern {
    /// From an expression that is tied to both ends of the value (`^(?:…)$`), as PromQL's are.
    pub fn anchored(regex: Regex) -> Self {
        let shape = regex_syntax::parse(regex.as_str()).map_or(Shape::Unknown, |hir| shape(&hir));
        Self { regex, shape }
    }

    pub(crate) fn fits(&self, value: &str) -> bool {
        match &self.shape {
            Shape::Anything => true,
            Shape::Something => !value.is_empty(),
            Shape::Literals(all) => all.binary_search_by(|one| one.as_str().cmp(value)).is_ok(),
            Shape::Prefix(prefix) => value.starts_with(prefix) && self.regex.is_match(value),
            Shape::Unknown => self.regex.is_match(value),
        }
    }

    pub(crate) fn shape(&self) -> &Shape {
        &self.shape
    }
}

/// What lies between the two anchors; nothing when it is not tied to both ends so.
fn tied(hir: &Hir) -> Option<Hir> {
    let HirKind::Concat(parts) = hir.kind() else { return None };
    let is = |part: &Hir, look: Look| matches!(part.kind(), HirKind::Look(found) if *found == look);
    let (first, rest) = parts.split_first()?;
    let (last, inner) = rest.split_last()?;
    (is(first, Look::Start) && is(last, Look::End)).then(|| Hir::concat(inner.to_vec()))
}

fn shape(hir: &Hir) -> Shape {
    let Some(inner) = tied(hir) else { return Shape::Unknown };
    // What looks around itself may fit less than its letters say.
    if !inner.properties().look_set().is_empty() {
        return Shape::Unknown;
    }
    if let HirKind::Repetition(repetition) = inner.kind()
        && repetition.max.is_none()
        && is_any_char(&repetition.sub)
    {
        match repetition.min {
            0 => return Shape::Anything,
            1 => return Shape::Something,
            _ => {}
        }
    }
    let mut extractor = Extractor::new();
    extractor.kind(ExtractKind::Prefix).limit_total(MAX_LITERALS).limit_class(64).limit_repeat(64);
    let found = extractor.extract(&inner);
    let Some(literals) = found.literals() else { return Shape::Unknown };
    let text = |bytes: &[u8]| std::str::from_utf8(bytes).map(str::to_owned).ok();
    if literals.iter().all(|literal| literal.is_exact()) {
        let texts: Option<Vec<String>> = literals.iter().map(|literal| text(literal.as_bytes())).collect();
        let Some(mut texts) = texts else { return Shape::Unknown };
        texts.sort_unstable();
        texts.dedup();
        return Shape::Literals(texts);
    }
    // A prefix may end within a character.
    match found.longest_common_prefix() {
        Some(bytes) if !bytes.is_empty() => {
            let whole = std::str::from_utf8(bytes).map_or_else(|error| error.valid_up_to(), str::len);
            text(&bytes[..whole]).filter(|prefix| !prefix.is_empty()).map_or(Shape::Unknown, Shape::Prefix)
        }
        _ => Shape::Unknown,
    }
}

/// Whether it is `.` over all characters or all but the end of a line; labels with an end of line are tried.
fn is_any_char(hir: &Hir) -> bool {
    matches!(hir.kind(), HirKind::Class(_)) && *hir == Hir::dot(regex_syntax::hir::Dot::AnyChar)
}

impl LabelTest {
    /// Whether a value passes.
    pub fn passes(&self, value: &str) -> bool {
        match self {
            Self::Equal(wanted) => value == wanted,
            Self::NotEqual(unwanted) => value != unwanted,
            Self::Fits(pattern) => pattern.fits(value),
            Self::Misses(pattern) => !pattern.fits(value),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pattern(text: &str) -> Pattern {
        Pattern::anchored(Regex::new(&format!("^(?s:{text})$")).expect("a pattern"))
    }

    #[test]
    fn what_is_known_of_a_pattern() {
        let literals = |all: &[&str]| Shape::Literals(all.iter().map(|one| (*one).to_owned()).collect());
        assert_eq!(pattern("a|b|cd").shape, literals(&["a", "b", "cd"]));
        assert_eq!(pattern("node-(1|2)").shape, literals(&["node-1", "node-2"]));
        assert_eq!(pattern("a?").shape, literals(&["", "a"]));
        assert_eq!(pattern("node.*").shape, Shape::Prefix("node".into()));
        assert_eq!(pattern("node-[0-9]+").shape, Shape::Prefix("node-".into()));
        assert_eq!(pattern(".*").shape, Shape::Anything);
        assert_eq!(pattern(".+").shape, Shape::Something);
        assert_eq!(pattern(".*node").shape, Shape::Unknown);
        assert!(pattern("(?i)node").fits("NODE"));
        assert_eq!(pattern("a\\b").shape, Shape::Unknown, "it looks around itself");
    }

    proptest! {
        #[test]
        fn what_is_known_never_changes_what_fits(
            text in "(\\(\\?i\\))?[ab.|*+?é]{0,8}",
            value in "[abAé\n]{0,5}",
        ) {
            if let Ok(regex) = Regex::new(&format!("^(?:{text})$")) {
                prop_assert_eq!(Pattern::anchored(regex.clone()).fits(&value), regex.is_match(&value));
            }
        }
    }
}
