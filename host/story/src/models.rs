//! What models are given, what they answer, and what turns out to be true.

use crate::{
    draw::Draws,
    error::{At, Problem, StoryError},
    expression::{Column, Links, Node, Resolve, Scene, Target, is_reserved},
    happening::spread_of,
    limits::{MAX_ROWS_PER_STEP, MAX_WAITING_LABELS},
    parts::SERVICE,
    shape::ModelShape,
    table::assignments,
    world::{Moment, Window, World},
};
use std::collections::BTreeMap;
use tandem_domain::{
    Timestamp,
    prediction::{FeatureValue, Prediction, TruthLabel},
};

/// The kind whose parts answer, and the variable that says whether one does.
const REPLICA: &str = "replica";
const UP: &str = "up";
/// Columns of a row beside the features.
const OUTCOMES: [&str; 3] = ["score", "answer", "truth"];

/// How a column of rows comes about.
#[derive(Debug, Clone)]
enum Form {
    Number(Node),
    /// Categories, each with the share of it and those before it.
    Pick(Vec<(String, f64)>),
}

/// What a fault makes of a column.
#[derive(Debug, Clone)]
struct RowOverride {
    column: usize,
    node: Node,
    window: Window,
    draws: Draws,
}

/// A version that answers instead of the usual one.
#[derive(Debug, Clone)]
struct VersionWindow {
    version: String,
    window: Window,
}

/// The model of a service.
#[derive(Debug, Clone)]
pub(crate) struct Model {
    pub service: u32,
    service_name: String,
    model: String,
    version: String,
    versions: Vec<VersionWindow>,
    rate: Node,
    latents: usize,
    features: usize,
    /// What is not sent, features, then the outcomes.
    names: Vec<String>,
    forms: Vec<Form>,
    overrides: Vec<RowOverride>,
    has_score: bool,
    classes: Vec<String>,
    /// After how many milliseconds labels come, and the share that never does.
    labels: Option<((i64, i64), f64)>,
    draws: Draws,
    answered: u64,
    /// By when they are due; the number tells those of one moment apart.
    waiting: BTreeMap<(i64, u64), TruthLabel>,
    columns: Vec<Vec<f64>>,
}

impl Model {
    pub(crate) fn build(file: &str, world: &World, shape: &ModelShape, draws: Draws) -> Result<Self, StoryError> {
        let place = || format!("model of {}", shape.service);
        Self::read(world, shape, draws.of(&shape.service)).at(file, place)
    }

    fn read(world: &World, shape: &ModelShape, draws: Draws) -> Result<Self, Problem> {
        let kind = world.parts.kind(SERVICE)?;
        let service = world.parts.kinds[kind].parts.iter().position(|part| part.name == shape.service);
        let service = service.ok_or_else(|| format!("there is no service {:?}", shape.service))?;
        let mut table = assignments(&shape.latent).map_err(|told| format!("latent: {told}"))?;
        let latents = table.len();
        table.extend(assignments(&shape.features).map_err(|told| format!("features: {told}"))?);
        let mut names: Vec<String> = table.iter().map(|(name, _)| name.clone()).collect();
        names.extend(OUTCOMES.map(str::to_owned));
        if let Some(name) =
            names[..table.len()].iter().find(|name| is_reserved(name) || OUTCOMES.contains(&name.as_str()))
        {
            return Err(format!("features: {name:?} has a meaning already; call it otherwise"));
        }
        let mut forms = Vec::new();
        for (name, expression) in &table {
            let form = form(world, &names, expression).map_err(|told| format!("features: {name}: {told}"))?;
            forms.push(form);
        }
        let score = shape.score.as_deref();
        for (name, text) in OUTCOMES.into_iter().zip([score.unwrap_or("nan"), &shape.answer, &shape.truth]) {
            forms.push(Form::Number(row_node(world, &names, text, false).map_err(|told| format!("{name}: {told}"))?));
        }
        let rate = Node::read(&shape.rate, &world.names(kind, false)).and_then(Node::without_memory);
        let labels = match &shape.labels {
            None => None,
            Some(labels) if !(0.0..=1.0).contains(&labels.never) => {
                return Err("labels.never is a share from 0 to 1".into());
            }
            Some(labels) => {
                Some((spread_of(&labels.after).map_err(|told| format!("labels.after: {told}"))?, labels.never))
            }
        };
        Ok(Self {
            service: service as u32,
            service_name: shape.service.clone(),
            model: shape.model.clone(),
            version: shape.version.clone(),
            versions: Vec::new(),
            rate: rate.map_err(|told| format!("rate: {told}"))?,
            latents,
            features: table.len() - latents,
            columns: vec![Vec::new(); names.len()],
            names,
            forms,
            overrides: Vec::new(),
            has_score: score.is_some(),
            classes: shape.classes.clone(),
            labels,
            draws,
            answered: 0,
            waiting: BTreeMap::new(),
        })
    }

    pub(crate) fn name(&self) -> &str {
        &self.service_name
    }

    /// A fault sets a feature, what lies behind it, or an outcome.
    pub(crate) fn set(&mut self, world: &World, name: &str, text: &str, window: Window) -> Result<(), Problem> {
        let known = || self.names.join(", ");
        let column = self.names.iter().position(|own| own == name);
        let column = column.ok_or_else(|| format!("the model has no {name:?}; it has {}", known()))?;
        let node = row_node(world, &self.names, text, true)?;
        let draws = self.draws.of(name).of(&format!("set {}", self.overrides.len()));
        self.overrides.push(RowOverride { column, node, window, draws });
        Ok(())
    }

    /// Another version answers in a window.
    pub(crate) fn deploy(&mut self, version: &str, window: Window) {
        self.versions.push(VersionWindow { version: version.to_owned(), window });
    }

    /// The version that answers at a moment.
    pub(crate) fn version_at(&self, at: i64) -> &str {
        let active = self.versions.iter().rev().find(|version| version.window.ramp_at(at).is_some());
        active.map_or(&self.version, |active| &active.version)
    }

    /// Model and version names, for telling a deployment.
    pub(crate) fn model(&self) -> &str {
        &self.model
    }

    /// The rows of a step, spread over it, and the labels that are due.
    pub(crate) fn answer(
        &mut self,
        world: &World,
        moment: Moment,
        start: Timestamp,
        predictions: &mut Vec<Prediction>,
        labels: &mut Vec<TruthLabel>,
    ) {
        let Ok(service_kind) = world.parts.kind(SERVICE) else { return };
        let rate = world.evaluate(service_kind, &self.rate, moment, self.draws.of("rate")).at(self.service as usize);
        let wanted = self.draws.of("rows").poisson(rate * moment.step_seconds, 0, moment.step, 0);
        let up = self.replicas_up(world);
        let lanes = if up.as_ref().is_some_and(Vec::is_empty) { 0 } else { (wanted as usize).min(MAX_ROWS_PER_STEP) };
        let replicas: Vec<u32> = match &up {
            None => Vec::new(),
            Some(up) => {
                let pick = |lane: usize| self.draws.of("replica").uniform(lane as u64, moment.step, 0);
                (0..lanes).map(|lane| up[((pick(lane) * up.len() as f64) as usize).min(up.len() - 1)]).collect()
            }
        };
        self.work_out(world, moment, &replicas, lanes);
        for lane in 0..lanes {
            let within = (lane as f64 + 0.5) / lanes as f64 - 1.0;
            let at = moment.at + (within * moment.step_seconds * 1_000.0) as i64;
            let prediction =
                self.row(world, lane, start.plus_millis(at), start, replicas.get(lane).copied(), moment.at);
            self.owe_label(&prediction, lane, at, start);
            predictions.push(prediction);
        }
        while let Some(entry) = self.waiting.first_entry().filter(|entry| entry.key().0 <= moment.at) {
            labels.push(entry.remove());
        }
    }

    /// The replicas that answer; none when the story has no replicas.
    fn replicas_up(&self, world: &World) -> Option<Vec<u32>> {
        let (kind, service) = (world.parts.kind(REPLICA).ok()?, world.parts.kind(SERVICE).ok()?);
        let mut of_service = world.parts.kinds[service].links[kind].of(self.service as usize).to_vec();
        if let Ok(up) = world.variable(kind, UP) {
            of_service.retain(|replica| world.columns[kind][up][*replica as usize] > 0.5);
        }
        Some(of_service)
    }

    /// Works the columns out in their order; a fault changes a column before those after it see it.
    fn work_out(&mut self, world: &World, moment: Moment, replicas: &[u32], lanes: usize) {
        let links = self.links(world, replicas, lanes);
        for column in 0..self.forms.len() {
            let draws = self.draws.of(&self.names[column]);
            let scene = self.scene(world, &links, moment, lanes, draws);
            let mut values = match &self.forms[column] {
                Form::Number(node) => scene.evaluate(node),
                Form::Pick(shares) => Column::Many(
                    (0..lanes as u64).map(|lane| picked(shares, draws.uniform(lane, moment.step, 0))).collect(),
                ),
            };
            for set in self.overrides.iter().filter(|set| set.column == column) {
                let Some(ramp) = set.window.ramp_at(moment.at) else { continue };
                let mut value = Vec::new();
                values.write(&mut value, lanes);
                let scene = Scene { value: &value, ramp, ..self.scene(world, &links, moment, lanes, set.draws) };
                values = scene.evaluate(&set.node);
            }
            values.write(&mut self.columns[column], lanes);
        }
    }

    /// Rows are linked with the replica that answered them, and with all that their service is linked with.
    fn links(&self, world: &World, replicas: &[u32], lanes: usize) -> Vec<Links> {
        let (service, replica) = (world.parts.kind(SERVICE).ok(), world.parts.kind(REPLICA).ok());
        let of = |kind: usize| {
            let parts = match service {
                _ if Some(kind) == replica => {
                    let starts = (0..=lanes as u32).collect();
                    return Links { starts, parts: replicas.to_vec() };
                }
                Some(service) if service == kind => vec![self.service],
                _ => Vec::new(),
            };
            let width = parts.len() as u32;
            Links { starts: (0..=lanes as u32).map(|lane| lane * width).collect(), parts: parts.repeat(lanes) }
        };
        (0..world.parts.kinds.len()).map(of).collect()
    }

    fn scene<'s>(
        &'s self,
        world: &'s World,
        links: &'s [Links],
        moment: Moment,
        lanes: usize,
        draws: Draws,
    ) -> Scene<'s> {
        Scene {
            lanes,
            time: moment.at as f64 / 1_000.0,
            hour: moment.hour,
            step_seconds: moment.step_seconds,
            step: moment.step,
            draws,
            own: &self.columns,
            kinds: &world.columns,
            links,
            wander: &[],
            previous: &[],
            value: &[],
            ramp: 0.0,
        }
    }

    fn row(
        &mut self,
        world: &World,
        lane: usize,
        at: Timestamp,
        start: Timestamp,
        replica: Option<u32>,
        moment: i64,
    ) -> Prediction {
        self.answered += 1;
        let value = |column: usize| self.columns[column][lane];
        let outcomes = self.latents + self.features;
        let features = (self.latents..outcomes).map(|column| {
            let told = match &self.forms[column] {
                Form::Pick(shares) => category(shares.iter().map(|(name, _)| name), value(column)),
                Form::Number(_) => number(value(column)),
            };
            (self.names[column].clone(), told)
        });
        let score = Some(value(outcomes)).filter(|score| self.has_score && score.is_finite());
        Prediction {
            band: None,
            service: self.service_name.clone(),
            model: self.model.clone(),
            version: self.version_at(moment).to_owned(),
            id: format!("{}-{}-{}", self.service_name, start.0 / 1_000, self.answered),
            at,
            replica: replica.map(|number| replica_name(world, number)).unwrap_or_default(),
            features: features.collect(),
            prediction: self.outcome(value(outcomes + 1)),
            score: score.map(|score| score.clamp(0.0, 1.0)),
        }
    }

    fn outcome(&self, value: f64) -> FeatureValue {
        if self.classes.is_empty() { number(value) } else { category(self.classes.iter(), value) }
    }

    /// Writes down the label that will come, if one will.
    fn owe_label(&mut self, prediction: &Prediction, lane: usize, at: i64, start: Timestamp) {
        let Some(((least, most), never)) = self.labels else { return };
        let draws = self.draws.of("labels");
        let truth = self.outcome(self.columns[self.latents + self.features + 2][lane]);
        if draws.uniform(self.answered, 0, 0) < never || truth == FeatureValue::Missing {
            return;
        }
        if self.waiting.len() >= MAX_WAITING_LABELS {
            return;
        }
        let due = at + least + ((most - least) as f64 * draws.uniform(self.answered, 0, 1)) as i64;
        let (service, id) = (prediction.service.clone(), prediction.id.clone());
        let at = start.plus_millis(due);
        self.waiting.insert((due, self.answered), TruthLabel { service, id, label: truth, at, received_at: at });
    }
}

/// What the server may know the replica by: its address, where the story tells one.
fn replica_name(world: &World, number: u32) -> String {
    let Ok(kind) = world.parts.kind(REPLICA) else { return String::new() };
    let part = &world.parts.kinds[kind].parts[number as usize];
    part.texts.get("address").unwrap_or(&part.name).clone()
}

fn number(value: f64) -> FeatureValue {
    if value.is_finite() { FeatureValue::Number(value) } else { FeatureValue::Missing }
}

fn category<'n>(mut names: impl Iterator<Item = &'n String>, value: f64) -> FeatureValue {
    if !value.is_finite() || value < -0.5 {
        return FeatureValue::Missing;
    }
    names.nth(value.round() as usize).map_or(FeatureValue::Missing, |name| FeatureValue::Text(name.clone()))
}

fn picked(shares: &[(String, f64)], uniform: f64) -> f64 {
    shares.iter().position(|(_, upto)| uniform < *upto).unwrap_or(shares.len() - 1) as f64
}

fn form(world: &World, names: &[String], text: &str) -> Result<Form, Problem> {
    let Some(inside) = text.strip_prefix("pick(").and_then(|rest| rest.strip_suffix(')')) else {
        return row_node(world, names, text, false).map(Form::Number);
    };
    let (mut shares, mut sum) = (Vec::new(), 0.0);
    for one in inside.split(',') {
        let (name, share) = one.trim().rsplit_once(' ').ok_or("pick is written pick(north 0.5, south 0.5)")?;
        let share = share.parse::<f64>().ok().filter(|share| *share > 0.0 && share.is_finite());
        sum += share.ok_or_else(|| format!("{one:?}: after the name stands a share above 0"))?;
        shares.push((name.trim().to_owned(), sum));
    }
    shares.iter_mut().for_each(|(_, upto)| *upto /= sum);
    Ok(Form::Pick(shares))
}

fn row_node(world: &World, names: &[String], text: &str, overrides: bool) -> Result<Node, Problem> {
    Node::read(text, &RowNames { world, names, overrides })?.without_memory()
}

struct RowNames<'r> {
    world: &'r World,
    names: &'r [String],
    overrides: bool,
}

impl Resolve for RowNames<'_> {
    fn resolve(&self, kind: Option<&str>, name: &str) -> Result<Target, Problem> {
        match kind {
            None => {
                let known = || self.names.join(", ");
                let own = self.names.iter().position(|own| own == name);
                own.map(Target::Own).ok_or_else(|| format!("a row has no {name:?}; it has {}", known()))
            }
            Some(other @ (SERVICE | REPLICA)) => {
                let kind = self.world.parts.kind(other)?;
                Ok(Target::Linked { kind, variable: self.world.variable(kind, name)? })
            }
            Some(other) => {
                Err(format!("rows see service.… and replica.…, not {other}; make it a variable of one of them"))
            }
        }
    }

    fn overrides(&self) -> bool {
        self.overrides
    }
}
