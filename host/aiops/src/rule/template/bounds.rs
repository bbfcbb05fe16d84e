//! What keeps the work of a template within bounds beside the turns of its loops: texts on the way are no longer than what it
//! may come to, and templates that call templates do not multiply.

use super::{
    MAX_EXPANDED_BYTES,
    functions::{Answer, fault},
};
use gotmpl::{
    TemplateError, Value, ValueFunc,
    parse::{ListNode, Node},
};
use regex::{Regex, RegexBuilder};
use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

/// Calls of templates in one pass of the text, when every block is entered: more than anybody writes by hand, and few enough to be
/// done in some milliseconds.
const MAX_CALLS: u64 = 1_000;
/// How deep the engine lets templates call each other.
const MAX_DEPTH: usize = 200;

/// Work of one expansion: a call of a function counts one and a byte it is given another. Some tenths of a second.
const MAX_WORK: u64 = 20_000_000;
/// What compiling an expression counts.
const COMPILING: u64 = 200_000;
/// What the program of an expression may take, in bytes.
const MAX_REGEX_BYTES: usize = 1 << 20;

/// The work of an expansion so far, and the expressions it has compiled.
#[derive(Debug, Default)]
pub(super) struct Work {
    done: AtomicU64,
    expressions: Mutex<HashMap<String, Regex>>,
}

impl Work {
    /// Begins an expansion.
    pub(super) fn begin(&self) {
        self.done.store(0, Ordering::Relaxed);
        self.expressions.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    fn add(&self, work: u64) -> Result<(), TemplateError> {
        if self.done.fetch_add(work, Ordering::Relaxed).saturating_add(work) > MAX_WORK {
            return Err(fault(
                "the template takes too much work; let it go through fewer series, or do less with each",
            ));
        }
        Ok(())
    }

    /// An expression, compiled once in an expansion.
    pub(super) fn expression(&self, text: &str) -> Result<Regex, TemplateError> {
        let mut known = self.expressions.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = known.get(text) {
            return Ok(known.clone());
        }
        self.add(COMPILING)?;
        let compiled = RegexBuilder::new(text).size_limit(MAX_REGEX_BYTES).build();
        let compiled = compiled.map_err(|error| fault(format!("error parsing regexp: {error}")))?;
        known.insert(text.to_owned(), compiled.clone());
        Ok(compiled)
    }
}

/// A text that functions give is longer than what the whole template may come to.
fn too_long() -> TemplateError {
    fault(format!("a text on the way is longer than {MAX_EXPANDED_BYTES} bytes"))
}

/// Holds a length to what a template may come to.
pub(super) fn within(bytes: usize) -> Result<(), TemplateError> {
    if bytes > MAX_EXPANDED_BYTES { Err(too_long()) } else { Ok(()) }
}

fn text_bytes(value: &Value) -> usize {
    if let Value::String(text) = value { text.len() } else { 0 }
}

/// A function whose texts, given and answered, are held to the limit (a loop that doubles a text would fill memory in thirty
/// turns), and its work to that of an expansion.
pub(super) fn held(function: ValueFunc, work: &Arc<Work>) -> ValueFunc {
    let work = work.clone();
    Arc::new(move |args: &[Value]| -> Answer {
        let bytes = args.iter().map(text_bytes).sum();
        within(bytes)?;
        work.add(1 + bytes as u64)?;
        let answer = function(args)?;
        within(text_bytes(&answer))?;
        Ok(answer)
    })
}

/// The names of the templates that a tree calls, each as often as it stands there.
fn calls<'t>(tree: &'t ListNode, found: &mut Vec<&'t str>) {
    for node in &tree.nodes {
        match node {
            Node::If(branch) | Node::Range(branch) | Node::With(branch) => {
                calls(&branch.body, found);
                branch.else_body.iter().for_each(|body| calls(body, found));
            }
            Node::List(list) => calls(list, found),
            Node::Template(call) => found.push(&call.name),
            Node::Action(_) | Node::Define(_) | Node::Text(_) | Node::Break(_) | Node::Continue(_) => {}
        }
    }
}

/// Refuses templates whose calls multiply: ten that call the next one ten times each would never come to an end.
///
/// # Errors
/// In words.
pub(super) fn checked(trees: &[(String, ListNode)]) -> Result<(), String> {
    let called: Vec<Vec<&str>> = trees
        .iter()
        .map(|(_, tree)| {
            let mut found = Vec::new();
            calls(tree, &mut found);
            found
        })
        .collect();
    let places: HashMap<&str, usize> =
        trees.iter().enumerate().map(|(place, (name, _))| (name.as_str(), place)).collect();
    // Calls below each template when so many levels are left.
    let mut below = vec![0_u64; trees.len()];
    for _ in 0..MAX_DEPTH {
        let of = |names: &Vec<&str>| {
            let each = names.iter().filter_map(|name| places.get(name)).map(|place| below[*place].saturating_add(1));
            each.fold(0_u64, u64::saturating_add)
        };
        let next: Vec<u64> = called.iter().map(of).collect();
        if next == below {
            break;
        }
        below = next;
    }
    match below.first() {
        Some(calls) if *calls > MAX_CALLS => Err(format!("its templates call each other more than {MAX_CALLS} times")),
        _ => Ok(()),
    }
}
