//! Templates in labels and annotations: the language of Go's `text/template` with Prometheus' functions.
//!
//! The language comes from the crate `gotmpl`; here are the data a rule shows to its templates, the functions, and Go's typed
//! maps (see `fields`). Work is bounded: length of text and output, nesting, turns of loops, and queries by the time of the
//! group they belong to.

mod bounds;
mod fields;
mod functions;
mod numbers;
mod printing;
#[cfg(test)]
mod tests;

pub use functions::{QueryFn, Surroundings};
pub use numbers::go_float;

use gotmpl::{
    Value,
    parse::{ListNode, Node, Parser},
};
use std::{collections::BTreeMap, fmt, sync::Arc};
use tandem_domain::series::Labels;

/// Longest text of a label or annotation, in bytes.
const MAX_TEXT_BYTES: usize = 64 << 10;
/// Longest text that a template comes to, in bytes: what people read in a message.
const MAX_EXPANDED_BYTES: usize = 64 << 10;
/// Turns of all loops of one expansion together: a table of all series of a small cluster.
const MAX_TURNS: u64 = 100_000;
/// Parentheses and blocks inside one another; parsing takes stack for each.
const MAX_NESTING: usize = 100;
/// The name under which the text itself is known.
const MAIN: &str = "main";
/// What is put at the end of a text to see that its blocks are closed there; no text that people read holds it.
const END: &str = "\u{1}end\u{1}";
/// What people find convenient, as Prometheus prepends it to every template.
const VARIABLES: &str = "{{$labels := .Labels}}{{$externalLabels := .ExternalLabels}}{{$externalURL := .ExternalURL}}\
                         {{$value := .Value}}";

/// A text with templates, parsed.
#[derive(Debug, Clone)]
pub struct Template(Parsed);

#[derive(Debug, Clone)]
enum Parsed {
    /// Nothing to expand.
    Plain(String),
    /// The text and the templates it defines.
    Trees(Vec<(String, ListNode)>),
}

/// Nesting of parentheses and blocks, seen from the text alone: too deep is refused before anything is parsed.
fn nesting(text: &str) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0_usize);
    for action in text.split("{{").skip(1) {
        let action = action.split("}}").next().unwrap_or_default();
        let word = action.trim_start_matches('-').split_whitespace().next().unwrap_or_default();
        match word {
            "if" | "with" | "range" | "block" | "define" => depth += 1,
            "end" => depth = depth.saturating_sub(1),
            _ => {}
        }
        let mut open = 0_usize;
        for byte in action.bytes() {
            match byte {
                b'(' => open += 1,
                b')' => open = open.saturating_sub(1),
                _ => {}
            }
            deepest = deepest.max(depth + open);
        }
        deepest = deepest.max(depth);
    }
    deepest
}

/// Takes the mark off the end of a tree. The parser lets a block be open at the end, and a text end with a block that was not
/// open; the mark is elsewhere then.
fn closed(tree: &mut ListNode) -> Result<(), String> {
    if let Some(Node::Text(last)) = tree.nodes.last_mut()
        && let Some(text) = last.text.strip_suffix(END)
    {
        last.text = Arc::from(text);
        return Ok(());
    }
    Err("unexpected EOF, {{end}} or {{else}}: a block is not closed, or closed twice".into())
}

impl Template {
    /// Parses a text, and checks that it names only functions there are.
    ///
    /// # Errors
    /// In the words of Go's own parser.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.len() > MAX_TEXT_BYTES {
            return Err(format!("the text is longer than {MAX_TEXT_BYTES} bytes"));
        }
        if !text.contains("{{") {
            return Ok(Self(Parsed::Plain(text.to_owned())));
        }
        if nesting(text) > MAX_NESTING {
            return Err(format!("the template is nested deeper than {MAX_NESTING}"));
        }
        let source = format!("{VARIABLES}{text}{END}");
        let parsed = Parser::new(&source, "{{", "}}").and_then(Parser::parse);
        let (mut tree, defined) = parsed.map_err(|error| error.to_string())?;
        closed(&mut tree)?;
        let mut trees = vec![(MAIN.to_owned(), tree)];
        trees.extend(defined.into_iter().map(|define| (define.name.to_string(), define.body)));
        for (_, tree) in &mut trees {
            fields::typed(tree, &mut fields::Names::new(&functions::is_known))?;
        }
        bounds::checked(&trees)?;
        Ok(Self(Parsed::Trees(trees)))
    }
}

/// What an alert shows to its templates.
pub struct Shown<'a> {
    /// The labels of the sample.
    pub labels: &'a Labels,
    /// Its value.
    pub value: f64,
}

/// A template made ready for one evaluation of its rule.
pub struct Expander {
    engine: Option<gotmpl::Template>,
    plain: String,
    external_labels: Value,
    external_url: Value,
    work: Arc<bounds::Work>,
}

/// A text that refuses to grow beyond its limit.
struct Bounded(String);

impl fmt::Write for Bounded {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if self.0.len() + text.len() > MAX_EXPANDED_BYTES {
            return Err(fmt::Error);
        }
        self.0.push_str(text);
        Ok(())
    }
}

/// Labels as templates see them.
fn map_of(labels: &Labels) -> Value {
    let entries = labels.iter().map(|(name, value)| (Arc::from(name), Value::String(Arc::from(value))));
    Value::Map(Arc::new(entries.collect::<BTreeMap<Arc<str>, Value>>()))
}

/// A structure with named fields.
fn structure(fields: impl IntoIterator<Item = (&'static str, Value)>) -> Value {
    let entries = fields.into_iter().map(|(name, value)| (Arc::from(name), value));
    Value::Map(Arc::new(entries.collect::<BTreeMap<Arc<str>, Value>>()))
}

impl Expander {
    /// With the functions of an evaluation.
    pub fn new(template: &Template, around: &Surroundings) -> Self {
        let mut expander = Self {
            engine: None,
            plain: String::new(),
            external_labels: map_of(&around.external_labels),
            external_url: Value::String(around.external_url.as_str().into()),
            work: Arc::default(),
        };
        match &template.0 {
            Parsed::Plain(text) => expander.plain.clone_from(text),
            Parsed::Trees(trees) => {
                let engine = gotmpl::Template::new(MAIN)
                    .max_range_iters(MAX_TURNS)
                    .funcs(functions::all(around, &expander.work));
                let with = |engine: gotmpl::Template, (name, tree): &(String, ListNode)| {
                    engine.add_parse_tree(name, tree.clone())
                };
                expander.engine = Some(trees.iter().fold(engine, with));
            }
        }
        expander
    }

    /// What the template comes to.
    ///
    /// # Errors
    /// When it cannot be expanded, in words.
    pub fn expand(&self, shown: &Shown<'_>) -> Result<String, String> {
        let Some(engine) = &self.engine else { return Ok(self.plain.clone()) };
        let data = structure([
            ("Labels", map_of(shown.labels)),
            ("ExternalLabels", self.external_labels.clone()),
            ("ExternalURL", self.external_url.clone()),
            ("Value", Value::Float(shown.value)),
        ]);
        self.work.begin();
        let mut text = Bounded(String::new());
        match engine.execute_template_fmt(&mut text, MAIN, &data) {
            Ok(()) => Ok(text.0),
            Err(gotmpl::TemplateError::Write) => Err(format!("it comes to more than {MAX_EXPANDED_BYTES} bytes")),
            Err(error) => Err(error.to_string()),
        }
    }
}
