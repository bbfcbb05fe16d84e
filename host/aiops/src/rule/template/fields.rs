//! Go's maps of texts answer an empty text for what they do not hold, and its structures have only the fields they have. The
//! crate knows one kind of map, so every `.Field` of a parsed template is turned into a call of [`FIELD`], which knows both.
//! And what is written out goes through [`WRITTEN`], which writes numbers as Go does.

use gotmpl::{
    TemplateError, Value,
    parse::{BranchNode, CommandNode, Expr, ListNode, Node, PipeNode, Pos},
};
use std::sync::Arc;

/// The function that looks a field up; its name can be written in no template.
pub(super) const FIELD: &str = "field of";
/// The function through which everything goes that is written out.
pub(super) const WRITTEN: &str = "written";

/// What is known where a tree is walked.
pub(super) struct Names<'n> {
    is_function: &'n dyn Fn(&str) -> bool,
    variables: Vec<Arc<str>>,
}

impl<'n> Names<'n> {
    /// At the beginning of a template.
    pub(super) fn new(is_function: &'n dyn Fn(&str) -> bool) -> Self {
        Self { is_function, variables: vec![Arc::from("$")] }
    }

    fn variable(&self, name: &Arc<str>) -> Result<(), String> {
        if self.variables.contains(name) { Ok(()) } else { Err(format!("undefined variable {name:?}")) }
    }
}

/// Turns the fields of a tree into calls, and checks the names of functions and variables.
///
/// # Errors
/// When one is not known.
pub(super) fn typed(tree: &mut ListNode, names: &mut Names<'_>) -> Result<(), String> {
    for node in &mut tree.nodes {
        match node {
            Node::Action(action) => {
                pipe(&mut action.pipe, names)?;
                if action.pipe.decl.is_empty() {
                    let pos = action.pos;
                    let args = vec![Expr::Identifier(pos, WRITTEN.into())];
                    action.pipe.commands.push(CommandNode { pos, args });
                }
            }
            Node::If(branch) | Node::Range(branch) | Node::With(branch) => branched(branch, names)?,
            Node::Template(call) => call.pipe.as_mut().map_or(Ok(()), |given| pipe(given, names))?,
            Node::List(list) => typed(list, names)?,
            Node::Define(define) => typed(&mut define.body, &mut Names::new(names.is_function))?,
            Node::Text(_) | Node::Break(_) | Node::Continue(_) => {}
        }
    }
    Ok(())
}

/// What a block declares is known to its end.
fn branched(branch: &mut BranchNode, names: &mut Names<'_>) -> Result<(), String> {
    let known = names.variables.len();
    pipe(&mut branch.pipe, names)?;
    typed(&mut branch.body, names)?;
    branch.else_body.as_mut().map_or(Ok(()), |body| typed(body, names))?;
    names.variables.truncate(known);
    Ok(())
}

fn pipe(pipe: &mut PipeNode, names: &mut Names<'_>) -> Result<(), String> {
    for argument in pipe.commands.iter_mut().flat_map(|command| &mut command.args) {
        let old = std::mem::replace(argument, Expr::Nil(argument.pos()));
        *argument = expression(old, names)?;
    }
    if pipe.is_assign {
        return pipe.decl.iter().try_for_each(|name| names.variable(name));
    }
    names.variables.extend(pipe.decl.iter().cloned());
    Ok(())
}

fn expression(expr: Expr, names: &mut Names<'_>) -> Result<Expr, String> {
    Ok(match expr {
        Expr::Field(pos, fields) => chained(pos, Expr::Dot(pos), &fields),
        Expr::Variable(pos, name, fields) => {
            names.variable(&name)?;
            chained(pos, Expr::Variable(pos, name, Vec::new()), &fields)
        }
        Expr::Chain(pos, inner, fields) => chained(pos, expression(*inner, names)?, &fields),
        Expr::Pipe(pos, mut inner) => {
            pipe(&mut inner, names)?;
            Expr::Pipe(pos, inner)
        }
        Expr::Identifier(_, ref name) if !(names.is_function)(name) => {
            return Err(format!("function {name:?} not defined"));
        }
        other => other,
    })
}

/// `of.a.b` as `(field (field of "a") "b")`.
fn chained(pos: Pos, of: Expr, names: &[Arc<str>]) -> Expr {
    names.iter().fold(of, |of, name| {
        let args = vec![Expr::Identifier(pos, FIELD.into()), of, Expr::String(pos, name.clone())];
        let commands = vec![CommandNode { pos, args }];
        Expr::Pipe(pos, PipeNode { pos, decl: Vec::new(), commands, is_assign: false })
    })
}

/// The field of a structure, or the value of a label.
pub(super) fn field(args: &[Value]) -> Result<Value, TemplateError> {
    let [of, Value::String(name)] = args else { return Err(TemplateError::Exec("a field has one name".into())) };
    let Value::Map(entries) = of else {
        return Err(TemplateError::Exec(format!("can't evaluate field {name} in {}", of.type_name())));
    };
    match entries.get(name.as_ref()) {
        Some(value) => Ok(value.clone()),
        // Only structures hold maps.
        None if matches!(entries.get("Labels"), Some(Value::Map(_))) => {
            Err(TemplateError::Exec(format!("can't evaluate field {name}; there are {}", names_of(entries.keys()))))
        }
        None => Ok(Value::String("".into())),
    }
}

fn names_of<'k>(keys: impl Iterator<Item = &'k Arc<str>>) -> String {
    keys.map(AsRef::as_ref).collect::<Vec<&str>>().join(", ")
}
