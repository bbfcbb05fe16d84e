//! A story that is being played: from its texts and a seed, step after step.

use crate::{
    Library,
    draw::Draws,
    error::{At, Problem, StoryError},
    happening::{Deployment, Schedule, Truth},
    limits::{MAX_STEPS, WARM_UP_STEPS},
    models::Model,
    pages::{Pages, StorySeries, StoryTarget},
    parts::Parts,
    shape::{RelationShape, StoryShape},
    template::Template,
    world::{Moment, World},
};
use tandem_domain::{
    Timestamp,
    prediction::{Prediction, TruthLabel},
    relation::RelationKind,
};

const HOUR_MILLIS: f64 = 3_600_000.0;

/// A relation that only the operator knows; a server is told it by its configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OperatorRelation {
    /// Who suffers: `kind:scheme:value`.
    pub dependent: String,
    /// Who is needed.
    pub dependency: String,
    /// In what way.
    pub kind: RelationKind,
}

/// What is shown in one step.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Shown {
    /// When.
    pub at: Timestamp,
    /// Number of the series, value.
    pub samples: Vec<(u32, f64)>,
    /// Answers of the models since the last step.
    pub predictions: Vec<Prediction>,
    /// Labels that became known since the last step.
    pub labels: Vec<TruthLabel>,
    /// Deployments since the last step.
    pub deployments: Vec<Deployment>,
    /// What begins and ends, in words for the one who plays it; no server is told.
    pub told: Vec<String>,
}

/// A story under way.
#[derive(Debug, Clone)]
pub struct Play {
    name: String,
    title: String,
    start: Timestamp,
    step_millis: i64,
    steps: u64,
    next: u64,
    hour: f64,
    world: World,
    pages: Pages,
    models: Vec<Model>,
    schedule: Schedule,
    relations: Vec<OperatorRelation>,
}

impl Play {
    /// Prepares a story; the same seed and start give the same steps.
    ///
    /// # Errors
    /// With file and key, and what to do.
    pub fn new(library: &Library, name: &str, seed: u64, start: Timestamp) -> Result<Self, StoryError> {
        let story = library.story(name)?;
        let step_millis = i64::try_from(story.step.0.as_millis()).unwrap_or(i64::MAX);
        let lasts = i64::try_from(story.lasts.0.as_millis()).unwrap_or(i64::MAX);
        let steps = steps(&story, step_millis, lasts).at(name, || "lasts".into())?;
        let draws = Draws::new(seed);
        let parts = Parts::build(name, &story.kind, draws.of("parts"))?;
        let mut world = World::build(name, parts, &story.kind, draws.of("variables"))?;
        let pages = Pages::build(name, &world, &story.page, name, draws.of("pages"))?;
        let of_model = |shape| Model::build(name, &world, shape, draws.of("models"));
        let mut models = story.model.iter().map(of_model).collect::<Result<Vec<_>, _>>()?;
        let happenings = (&story.fault[..], &story.event[..]);
        let schedule = Schedule::build(name, &mut world, &mut models, happenings, lasts, draws.of("happenings"))?;
        let mut relations = Vec::new();
        for (number, shape) in story.relation.iter().enumerate() {
            relations.extend(related(&world.parts, shape, draws).at(name, || format!("relation.{number}"))?);
        }
        let (name, title, hour) = (name.to_owned(), story.title, story.hour);
        let (start, next) = (start, 0);
        let mut play =
            Self { name, title, start, step_millis, steps, next, hour, world, pages, models, schedule, relations };
        for step in 0..WARM_UP_STEPS {
            let moment = play.moment(step);
            play.world.step(moment);
        }
        Ok(play)
    }

    /// By which it was asked for.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// One line.
    pub fn title(&self) -> &str {
        &self.title
    }

    /// Milliseconds between two steps.
    pub fn step_millis(&self) -> i64 {
        self.step_millis
    }

    /// Steps in all.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// Targets by number.
    pub fn targets(&self) -> &[StoryTarget] {
        &self.pages.targets
    }

    /// Series by number.
    pub fn series(&self) -> &[StorySeries] {
        &self.pages.series
    }

    /// What an operator would write as `[[relation]]`.
    pub fn relations(&self) -> &[OperatorRelation] {
        &self.relations
    }

    /// What is wrong when, for those who judge.
    pub fn truths(&self) -> &[Truth] {
        &self.schedule.truths
    }

    /// Services with models, by name.
    pub fn services(&self) -> impl Iterator<Item = &str> {
        self.models.iter().map(Model::name)
    }

    /// The next step; none when the story is over.
    pub fn step(&mut self) -> Option<Shown> {
        if self.next >= self.steps {
            return None;
        }
        let moment = self.moment(WARM_UP_STEPS + self.next);
        self.next += 1;
        self.world.step(moment);
        let mut shown = Shown { at: self.start.plus_millis(moment.at), ..Shown::default() };
        self.pages.show(&self.world, moment, &mut shown.samples);
        for model in &mut self.models {
            model.answer(&self.world, moment, self.start, &mut shown.predictions, &mut shown.labels);
        }
        let since = moment.at - self.step_millis;
        let is_now = |at: i64| at > since && at <= moment.at;
        shown.deployments = self.schedule.deployments.iter().filter(|one| is_now(one.at)).cloned().collect();
        shown.told = self.schedule.told.iter().filter(|(at, _)| is_now(*at)).map(|(_, told)| told.clone()).collect();
        Some(shown)
    }

    fn moment(&self, step: u64) -> Moment {
        let at = (step as i64 - WARM_UP_STEPS as i64) * self.step_millis;
        let hour = (self.hour + at as f64 / HOUR_MILLIS).rem_euclid(24.0);
        Moment { at, step, hour, step_seconds: self.step_millis as f64 / 1_000.0 }
    }
}

fn steps(story: &StoryShape, step_millis: i64, lasts: i64) -> Result<u64, Problem> {
    if !(1_000..=3_600_000).contains(&step_millis) {
        return Err("step must be 1s to 1h".into());
    }
    if !(0.0..24.0).contains(&story.hour) {
        return Err("hour is an hour of the day, 0 to 24".into());
    }
    match (lasts / step_millis) as u64 {
        0 => Err("the story is shorter than a step".into()),
        steps if steps > MAX_STEPS => {
            Err(format!("{steps} steps, and at most {MAX_STEPS} are played; use a longer step"))
        }
        steps => Ok(steps),
    }
}

fn related(parts: &Parts, shape: &RelationShape, draws: Draws) -> Result<Vec<OperatorRelation>, Problem> {
    let (of, on) = (parts.kind(&shape.of)?, parts.kind(&shape.on)?);
    let (dependent, dependency) = (Template::read(&shape.dependent)?, Template::read(&shape.dependency)?);
    let mut relations = Vec::new();
    for lane in 0..parts.kinds[of].parts.len() {
        for part in parts.kinds[of].links[on].of(lane) {
            relations.push(OperatorRelation {
                dependent: parts.fill(&dependent, of, lane, draws)?,
                dependency: parts.fill(&dependency, on, *part as usize, draws)?,
                kind: shape.kind,
            });
        }
    }
    match relations.is_empty() {
        true => Err(format!("no {} is linked with a {}", shape.of, shape.on)),
        false => Ok(relations),
    }
}
