//! Story files as they are written: TOML, unknown keys are errors. What it all comes to is worked out elsewhere.

use serde::Deserialize;
use std::collections::BTreeMap;
use tandem_domain::{period::Period, relation::RelationKind, verdict::CauseKind};

/// One story.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct StoryShape {
    /// One line.
    pub title: String,
    /// What happens, in sentences.
    pub about: String,
    /// A fleet of the folder `fleets/`.
    pub fleet: Option<String>,
    /// How long it lasts.
    pub lasts: Period,
    #[serde(default = "quarter_minute")]
    pub step: Period,
    /// The hour of the day at which it begins.
    #[serde(default = "ten")]
    pub hour: f64,
    /// Too long for a look in passing: played only when it is asked for by name.
    #[serde(default)]
    pub long: bool,
    #[serde(default)]
    pub kind: Vec<KindShape>,
    #[serde(default)]
    pub page: Vec<PageShape>,
    #[serde(default)]
    pub model: Vec<ModelShape>,
    /// Rows per second of models of the fleet, by the model's name.
    #[serde(default)]
    pub model_rate: BTreeMap<String, String>,
    #[serde(default)]
    pub relation: Vec<RelationShape>,
    #[serde(default)]
    pub fault: Vec<FaultShape>,
    #[serde(default)]
    pub event: Vec<EventShape>,
}

fn quarter_minute() -> Period {
    Period::seconds(15)
}

fn ten() -> f64 {
    10.0
}

/// One fleet.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FleetShape {
    /// What it is made of, in sentences.
    #[serde(rename = "about")]
    pub _about: String,
    #[serde(default)]
    pub kind: Vec<KindShape>,
    #[serde(default)]
    pub page: Vec<PageShape>,
    #[serde(default)]
    pub model: Vec<ModelShape>,
    #[serde(default)]
    pub relation: Vec<RelationShape>,
}

/// A number for each part of what holds them, or one for all.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub(crate) enum Each {
    All(usize),
    InTurn(Vec<usize>),
}

/// Parts of one kind.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct KindShape {
    pub name: String,
    /// How many there are in all …
    pub count: Option<usize>,
    /// … or how they are called …
    #[serde(default)]
    pub names: Vec<String>,
    /// … or so many within each part of another kind.
    pub per: Option<String>,
    pub each: Option<Each>,
    /// What they need: a kind, and `spread`, `pack`, `all`, `spread:2`.
    #[serde(default)]
    pub on: BTreeMap<String, String>,
    /// The name of a part, with `{…}`.
    pub title: Option<String>,
    /// Texts of a part, such as serial numbers, with `{…}`.
    #[serde(default)]
    pub text: BTreeMap<String, String>,
    /// By which keys a server may know the part: `kind:scheme:value`, with `{…}`.
    #[serde(default)]
    pub entity: Vec<String>,
    /// Whether all that lies on what holds it suffers with it, as all of a host do with its disk.
    #[serde(default)]
    pub shared: bool,
    /// Constants, in turn over the parts.
    #[serde(default)]
    pub values: BTreeMap<String, Vec<f64>>,
    /// Lines `name = expression`.
    #[serde(default)]
    pub variables: String,
}

/// Targets of one exporter.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PageShape {
    pub job: String,
    /// One target for each part of this kind.
    pub per: String,
    pub instance: String,
    /// Only for the parts that are linked with one of these, or are one.
    #[serde(default)]
    pub among: Vec<String>,
    /// Labels of the target.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// Whether it answers; always when not given.
    pub up: Option<String>,
    #[serde(default)]
    pub of: Vec<RowsShape>,
}

/// Series of a page for the parts of one kind that belong to its target.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RowsShape {
    /// The kind; that of the page itself when not given.
    pub kind: Option<String>,
    /// Only while this is not 0.
    pub when: Option<String>,
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// Upper bounds of histograms.
    #[serde(default)]
    pub buckets: Vec<f64>,
    /// Lines `name{label="value"} = expression`; `+=` for a counter by its rate, `~ median; rate` for a histogram.
    pub series: String,
}

/// What a service's model is given and answers.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ModelShape {
    /// A part of the kind `service`.
    pub service: String,
    pub model: String,
    pub version: String,
    /// Rows per second, over the variables of the service.
    pub rate: String,
    /// Lines `name = expression` of what lies behind the features and is not sent.
    #[serde(default)]
    pub latent: String,
    /// Lines `name = expression`; `name = pick(north 0.5, south 0.5)` for categories.
    pub features: String,
    /// How sure it is, 0 to 1.
    pub score: Option<String>,
    pub answer: String,
    pub truth: String,
    /// What answers are called, by number.
    #[serde(default)]
    pub classes: Vec<String>,
    pub labels: Option<LabelsShape>,
}

/// When labels come.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LabelsShape {
    /// `60s..5m`.
    pub after: String,
    /// Share that never comes.
    #[serde(default)]
    pub never: f64,
}

/// A relation that only the operator knows, between all linked parts of two kinds.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RelationShape {
    /// The kind that needs the other.
    pub of: String,
    /// The kind that is needed.
    pub on: String,
    pub kind: RelationKind,
    /// `kind:scheme:value`, with `{…}` of the part.
    pub dependent: String,
    pub dependency: String,
}

/// Something breaks.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FaultShape {
    /// When it begins: `40m`, or `40m..50m` for a moment in between.
    pub at: String,
    /// How long it lasts; to the end when not given.
    pub lasts: Option<Period>,
    /// Over how long it grows.
    #[serde(default = "at_once")]
    pub ramp: Period,
    /// How long until the services feel it.
    #[serde(default = "at_once")]
    pub felt: Period,
    /// Which parts: `gpu:any`, `gpu:all`, `2 of gpu`, `host:node-03`, `replica:any of ranker`.
    pub on: Option<String>,
    /// The service whose model it is about: its name, or `any`.
    pub model: Option<String>,
    /// What is set, by variable; for a model features, `score`, `answer`, `truth`.
    #[serde(default)]
    pub set: BTreeMap<String, String>,
    /// The version that answers from then on; a deployment is told.
    pub version: Option<String>,
    /// Where the cause lies.
    pub cause: CauseKind,
    /// Kinds of linked parts that are right answers too.
    #[serde(default)]
    pub accept: Vec<String>,
    /// Services that are affected; worked out by what lies on what when not given.
    #[serde(default)]
    pub affects: Vec<String>,
}

fn at_once() -> Period {
    Period::seconds(0)
}

/// Something is done on purpose and breaks nothing.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct EventShape {
    pub at: String,
    pub lasts: Option<Period>,
    pub on: Option<String>,
    pub model: Option<String>,
    #[serde(default)]
    pub set: BTreeMap<String, String>,
    pub version: Option<String>,
    /// Again and again, so often.
    pub every: Option<Period>,
}
