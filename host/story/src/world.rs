//! The variables of all parts, step after step.

use crate::{
    draw::Draws,
    error::{At, Problem, StoryError},
    expression::{Column, Links, Node, Resolve, Scene, Target, is_reserved},
    parts::Parts,
    shape::KindShape,
    table::{assignments, is_name},
};

/// How long the slow walk remembers, in seconds: ten minutes, as queues of work and people come and go.
const WANDER_SECONDS: f64 = 600.0;

/// A variable of a kind.
#[derive(Debug, Clone)]
struct Variable {
    name: String,
    /// None for constants.
    node: Option<Node>,
    draws: Draws,
    wander: Vec<f64>,
}

/// What a fault or an event makes of a variable.
#[derive(Debug, Clone)]
pub(crate) struct Override {
    pub kind: usize,
    pub variable: usize,
    pub node: Node,
    pub lanes: Vec<u32>,
    pub window: Window,
    pub draws: Draws,
}

/// From when until when, and how it grows; milliseconds since the story began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Window {
    pub from: i64,
    pub until: i64,
    pub ramp: i64,
    /// Comes again so often; 0 for once.
    pub every: i64,
}

impl Window {
    /// How far it has grown at a moment; none outside.
    pub(crate) fn ramp_at(&self, at: i64) -> Option<f64> {
        let mut since = at - self.from;
        if self.every > 0 && since >= 0 {
            since %= self.every;
        }
        let lasts = self.until.saturating_sub(self.from);
        if since < 0 || since >= lasts {
            return None;
        }
        Some(if self.ramp > 0 { (since as f64 / self.ramp as f64).min(1.0) } else { 1.0 })
    }
}

/// A moment of the story.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moment {
    /// Milliseconds since the story began; negative while it warms up.
    pub at: i64,
    /// Counts steps from the first of the warm-up.
    pub step: u64,
    pub hour: f64,
    pub step_seconds: f64,
}

/// All variables of all parts.
#[derive(Debug, Clone)]
pub(crate) struct World {
    pub parts: Parts,
    variables: Vec<Vec<Variable>>,
    /// By kind, variable and part.
    pub columns: Vec<Vec<Vec<f64>>>,
    pub overrides: Vec<Override>,
}

impl World {
    pub(crate) fn build(file: &str, parts: Parts, shapes: &[KindShape], draws: Draws) -> Result<Self, StoryError> {
        let mut world = Self { parts, variables: Vec::new(), columns: Vec::new(), overrides: Vec::new() };
        let mut tables = Vec::new();
        for (kind, shape) in shapes.iter().enumerate() {
            let lanes = world.parts.kinds[kind].parts.len();
            let place = || format!("kind.{}.variables", shape.name);
            let table = assignments(&shape.variables).at(file, place)?;
            let names = shape.values.keys().cloned().chain(table.iter().map(|(name, _)| name.clone()));
            let variables = names.map(|name| {
                let draws = draws.of(&shape.name).of(&name);
                Variable { name, node: None, draws, wander: Vec::new() }
            });
            world.variables.push(variables.collect());
            world.check_names(kind).at(file, place)?;
            let constants = shape.values.iter().map(|(name, values)| constant(name, values, lanes));
            let mut columns = constants.collect::<Result<Vec<_>, _>>().at(file, || format!("kind.{}", shape.name))?;
            columns.resize(world.variables[kind].len(), vec![0.0; lanes]);
            world.columns.push(columns);
            tables.push((shape.values.len(), table));
        }
        for (kind, (constants, table)) in tables.into_iter().enumerate() {
            for (place, (name, expression)) in table.into_iter().enumerate() {
                let node = Node::read(&expression, &world.names(kind, false));
                let node = node.at(file, || format!("kind.{}.variables: {name}", shapes[kind].name))?;
                let lanes = world.parts.kinds[kind].parts.len();
                let variable = &mut world.variables[kind][constants + place];
                variable.wander = if node.wanders() {
                    (0..lanes as u64).map(|lane| variable.draws.normal(lane, 0, 9)).collect()
                } else {
                    Vec::new()
                };
                variable.node = Some(node);
            }
        }
        Ok(world)
    }

    fn check_names(&self, kind: usize) -> Result<(), Problem> {
        for (place, variable) in self.variables[kind].iter().enumerate() {
            let name = &variable.name;
            if !is_name(name) || is_reserved(name) {
                return Err(format!(
                    "{name:?} cannot name a variable: it is no small-letter word, or has a meaning already"
                ));
            }
            if self.variables[kind][..place].iter().any(|other| other.name == *name) {
                return Err(format!("{name} is there twice"));
            }
        }
        Ok(())
    }

    /// What expressions of a kind may name.
    pub(crate) fn names(&self, kind: usize, overrides: bool) -> KindNames<'_> {
        KindNames { world: self, kind, overrides }
    }

    pub(crate) fn variable(&self, kind: usize, name: &str) -> Result<usize, Problem> {
        let known = || self.variables[kind].iter().map(|v| v.name.as_str()).collect::<Vec<_>>().join(", ");
        self.variables[kind]
            .iter()
            .position(|variable| variable.name == name)
            .ok_or_else(|| format!("{} has no variable {name:?}; it has {}", self.parts.kinds[kind].name, known()))
    }

    /// Works all variables out for a moment.
    pub(crate) fn step(&mut self, moment: Moment) {
        for kind in 0..self.variables.len() {
            for variable in 0..self.variables[kind].len() {
                self.walk(kind, variable, moment);
                if let Some(column) = self.worked_out(kind, variable, moment) {
                    self.columns[kind][variable] = column;
                }
            }
        }
    }

    /// The slow walk: an autoregression whose variance stays 1.
    fn walk(&mut self, kind: usize, variable: usize, moment: Moment) {
        let one = &mut self.variables[kind][variable];
        let keeps = (-moment.step_seconds / WANDER_SECONDS).exp();
        let adds = (1.0 - keeps * keeps).sqrt();
        for (lane, wander) in one.wander.iter_mut().enumerate() {
            *wander = keeps * *wander + adds * one.draws.normal(lane as u64, moment.step, 8);
        }
    }

    fn worked_out(&self, kind: usize, variable: usize, moment: Moment) -> Option<Vec<f64>> {
        let one = &self.variables[kind][variable];
        let lanes = self.parts.kinds[kind].parts.len();
        let mut column = Vec::new();
        match &one.node {
            Some(node) => {
                let scene = Scene { wander: &one.wander, ..self.scene(kind, variable, moment, one.draws) };
                scene.evaluate(node).write(&mut column, lanes);
            }
            None => column.clone_from(&self.columns[kind][variable]),
        }
        let mut touched = one.node.is_some();
        for set in self.overrides.iter().filter(|set| set.kind == kind && set.variable == variable) {
            let Some(ramp) = set.window.ramp_at(moment.at) else { continue };
            let scene = Scene { value: &column, ramp, ..self.scene(kind, variable, moment, set.draws) };
            let overridden = scene.evaluate(&set.node);
            set.lanes.iter().for_each(|lane| column[*lane as usize] = overridden.at(*lane as usize));
            touched = true;
        }
        touched.then_some(column)
    }

    fn scene(&self, kind: usize, variable: usize, moment: Moment, draws: Draws) -> Scene<'_> {
        Scene { previous: &self.columns[kind][variable], ..self.scene_of_kind(kind, moment, draws) }
    }

    /// What an expression over a kind sees, outside of any variable.
    fn scene_of_kind(&self, kind: usize, moment: Moment, draws: Draws) -> Scene<'_> {
        Scene {
            lanes: self.parts.kinds[kind].parts.len(),
            time: moment.at as f64 / 1_000.0,
            hour: moment.hour,
            step_seconds: moment.step_seconds,
            step: moment.step,
            draws,
            own: &self.columns[kind],
            kinds: &self.columns,
            links: &self.parts.kinds[kind].links,
            wander: &[],
            previous: &[],
            value: &[],
            ramp: 0.0,
        }
    }

    /// An expression of a page, for all parts of a kind.
    pub(crate) fn evaluate(&self, kind: usize, node: &Node, moment: Moment, draws: Draws) -> Column {
        self.scene_of_kind(kind, moment, draws).evaluate(node)
    }
}

fn constant(name: &str, values: &[f64], lanes: usize) -> Result<Vec<f64>, Problem> {
    match values {
        [] => Err(format!("values.{name} is empty")),
        values => Ok((0..lanes).map(|lane| values[lane % values.len()]).collect()),
    }
}

/// The names of one kind.
pub(crate) struct KindNames<'w> {
    world: &'w World,
    kind: usize,
    overrides: bool,
}

impl Resolve for KindNames<'_> {
    fn resolve(&self, kind: Option<&str>, name: &str) -> Result<Target, Problem> {
        let Some(other) = kind else { return self.world.variable(self.kind, name).map(Target::Own) };
        let other = self.world.parts.kind(other).map_err(|told| told.replace(" before this", ""))?;
        let links: &Links = &self.world.parts.kinds[self.kind].links[other];
        let (here, there) = (&self.world.parts.kinds[self.kind].name, &self.world.parts.kinds[other].name);
        if links.parts.is_empty() {
            return Err(format!("no {here} is linked with a {there}; say what it lies on with per or on"));
        }
        match name {
            "count" => Ok(Target::Count(other)),
            _ => Ok(Target::Linked { kind: other, variable: self.world.variable(other, name)? }),
        }
    }

    fn overrides(&self) -> bool {
        self.overrides
    }
}
