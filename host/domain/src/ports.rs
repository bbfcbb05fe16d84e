//! Ports to plugins: what the rooms may ask, implemented by `runtime`. All calls are safe to make from async code: guests run
//! on the runtime's own workers, under its deadlines. Every failure names the plugin, the function and the fix.

use crate::{
    Failure, Timestamp,
    cause::{Case, Ranking},
    deployment::{Revision, TargetAbilities, TargetObservation},
    drift::{Chunk, ColumnDescription, Drift},
    entity::EntityId,
    frame::{Frame, Group, GroupId, GroupState, Observation},
    incident::Cause,
    meaning::Mapping,
    plugin::{Interest, PluginStatus},
    series::{Labels, Points, SeriesDescription},
    target::TargetInfo,
    topology::TopologyDraft,
};
use std::{future::Future, pin::Pin, sync::Arc, time::Duration};

/// A future that owns what it needs or borrows for `'a`.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A live plugin of one kind, as a room lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LivePlugin {
    /// Its name.
    pub name: String,
    /// Its content digest and the digest of its config: what was made by another is made anew.
    pub digest: String,
    /// Its version.
    pub version: String,
    /// What it wishes to see.
    pub interests: Vec<Interest>,
}

/// Mappers: the pure half of collectors.
pub trait Mappers: Send + Sync {
    /// The live ones.
    fn mappers(&self) -> Vec<LivePlugin>;
    /// Shows a target's series to a mapper.
    fn interpret<'a>(
        &'a self,
        plugin: &'a str,
        target: &'a TargetInfo,
        series: &'a [SeriesDescription],
    ) -> BoxFuture<'a, Result<Mapping, Failure>>;
}

/// One event of a collection; `entity` is an index into the topology beside it.
#[derive(Debug, Clone, PartialEq)]
pub struct EventDraft {
    /// When.
    pub at: Timestamp,
    /// Index of the entity.
    pub entity: u32,
    /// Stable dotted code.
    pub code: String,
    /// How bad.
    pub severity: crate::Severity,
    /// For people.
    pub title: String,
    /// Anything more.
    pub attributes: Labels,
}

/// What a collector brought.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Collection {
    /// Series and their points.
    pub series: Vec<(SeriesDescription, Points)>,
    /// Entities and relations that no series tells.
    pub topology: TopologyDraft,
    /// What happened.
    pub events: Vec<EventDraft>,
    /// To be given to the next call.
    pub cursor: Vec<u8>,
}

/// A payload that was pushed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payload {
    /// Of the request.
    pub path: String,
    /// Names in lower case; without credentials.
    pub headers: Vec<(String, String)>,
    /// Whole.
    pub body: Vec<u8>,
}

/// Collectors: what no metrics endpoint gives.
pub trait Collectors: Send + Sync {
    /// The live ones.
    fn collectors(&self) -> Vec<LivePlugin>;
    /// Asks a collector to read a target; empty for this machine. The target's address is granted by itself. Without a
    /// `timeout` it has as long as collectors have by default.
    fn collect<'a>(
        &'a self,
        plugin: &'a str,
        target: &'a str,
        now: Timestamp,
        cursor: &'a [u8],
        timeout: Option<Duration>,
    ) -> BoxFuture<'a, Result<Collection, Failure>>;
    /// Hands a pushed payload to a collector.
    fn receive<'a>(
        &'a self,
        plugin: &'a str,
        payload: Payload,
        now: Timestamp,
    ) -> BoxFuture<'a, Result<Collection, Failure>>;
}

/// Detectors.
pub trait Detectors: Send + Sync {
    /// The live ones.
    fn detectors(&self) -> Vec<LivePlugin>;
    /// Opens a watch; `restored` holds the groups with a state that this plugin wrote. Groups whose state is not
    /// understood are named in the answer and must join afresh.
    fn open<'a>(
        &'a self,
        plugin: &'a str,
        restored: Vec<(Group, GroupState)>,
    ) -> BoxFuture<'a, Result<OpenedWatch, Failure>>;
}

/// A watch that was opened.
pub struct OpenedWatch {
    /// The watch.
    pub watch: Box<dyn Watch>,
    /// Groups whose state could not be restored.
    pub refused: Vec<(GroupId, Failure)>,
}

/// A living watch, sharded over several instances by the runtime. A trap costs one shard, which is repaired from its last
/// snapshot with findings muted; a group that traps again is left out and named in `failed`.
///
/// A group named in `Observation::failed` has left the watch: it must join again before it is observed again. That holds
/// also for groups that could not join (they are named in the next observation), and for groups whose state a new version
/// refused. When the plugin is swapped the watch goes on with the new version and the states of the old one.
/// An `Err` of a call as a whole (the plugin waits or is quarantined) leaves the groups as they were.
pub trait Watch: Send {
    /// Groups begin to be watched, with history to learn from.
    fn join<'a>(&'a mut self, groups: Vec<Group>, history: Vec<Frame>) -> BoxFuture<'a, Result<(), Failure>>;
    /// Groups are no longer watched.
    fn leave<'a>(&'a mut self, groups: Vec<GroupId>) -> BoxFuture<'a, Result<(), Failure>>;
    /// New points. Never fails as a whole for the fault of one group.
    fn observe<'a>(&'a mut self, frames: Vec<Frame>) -> BoxFuture<'a, Result<Observation, Failure>>;
    /// States of the groups that were observed since the last call of this function.
    fn snapshot<'a>(&'a mut self) -> BoxFuture<'a, Result<Vec<GroupState>, Failure>>;
}

/// A correlator's view of an alert change; see `wit/correlator.wit`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct CorrelationDelta {
    /// As of when.
    pub now: Timestamp,
    /// Alerts that changed.
    pub alerts: Vec<crate::alert::Alert>,
    /// Findings that began, grew or ended.
    pub findings: Vec<crate::finding::Finding>,
    /// Changes such as deployments, as events.
    pub changes: Vec<crate::event::Event>,
    /// What people said: incident key, fingerprints, whether they belong.
    pub feedback: Vec<(String, Vec<String>, bool)>,
}

/// One incident as a correlator sees it now.
#[derive(Debug, Clone, PartialEq)]
pub struct Grouping {
    /// The correlator's own key.
    pub key: String,
    /// For people.
    pub title: String,
    /// All alerts in it.
    pub fingerprints: Vec<String>,
    /// Evidence under it.
    pub findings: Vec<u64>,
    /// Most likely first.
    pub causes: Vec<Cause>,
    /// The key it has gone up into.
    pub merged_into: Option<String>,
}

/// What a correlator may ask during a call, pinned to one moment. Answers come from memory or short reads.
pub trait Query: Send + Sync {
    /// Kind, name and attributes of an entity.
    fn entity(&self, id: &EntityId) -> Result<crate::entity::Entity, Failure>;
    /// Relations within some steps: dependent, dependency, kind.
    fn neighbours(
        &self,
        id: &EntityId,
        depth: u32,
    ) -> Result<Vec<(EntityId, EntityId, crate::relation::RelationKind)>, Failure>;
    /// Series of an entity with their meaning.
    fn series_of(&self, id: &EntityId) -> Result<Vec<crate::meaning::Meaning>, Failure>;
    /// Points in canonical units, at most `max_points`.
    fn read(
        &self,
        series: crate::series::SeriesId,
        start: Timestamp,
        end: Timestamp,
        max_points: usize,
    ) -> Result<Points, Failure>;
}

/// Correlators.
pub trait Correlators: Send + Sync {
    /// The live ones.
    fn correlators(&self) -> Vec<LivePlugin>;
    /// Opens a session, going on from a state when there is one.
    fn open<'a>(
        &'a self,
        plugin: &'a str,
        state: Option<Vec<u8>>,
    ) -> BoxFuture<'a, Result<Box<dyn CorrelatorSession>, Failure>>;
}

/// A living session. After a trap it must be opened again from its last state.
pub trait CorrelatorSession: Send {
    /// Feeds changes; answers the groupings that changed.
    fn update<'a>(
        &'a mut self,
        delta: CorrelationDelta,
        query: Arc<dyn Query>,
    ) -> BoxFuture<'a, Result<Vec<Grouping>, Failure>>;
    /// Its state.
    fn snapshot<'a>(&'a mut self) -> BoxFuture<'a, Result<Vec<u8>, Failure>>;
}

/// Those that rank root causes. The same case gets the same answer: nothing is kept from call to call.
pub trait RootCauses: Send + Sync {
    /// The live ones.
    fn root_causes(&self) -> Vec<LivePlugin>;
    /// Ranks the suspects of a case.
    fn rank<'a>(&'a self, plugin: &'a str, case: &'a Case) -> BoxFuture<'a, Result<Ranking, Failure>>;
}

/// Drift metrics.
pub trait DriftMetrics: Send + Sync {
    /// The live ones.
    fn drift_metrics(&self) -> Vec<LivePlugin>;
    /// Fits a reference; answers its state, good for `compare` and for keeping.
    fn fit<'a>(
        &'a self,
        plugin: &'a str,
        columns: &'a [ColumnDescription],
        reference: Vec<Chunk>,
        seed: u64,
    ) -> BoxFuture<'a, Result<Vec<u8>, Failure>>;
    /// Compares a current sample with a fitted reference.
    fn compare<'a>(
        &'a self,
        plugin: &'a str,
        columns: &'a [ColumnDescription],
        fitted: &'a [u8],
        current: Vec<Chunk>,
        seed: u64,
    ) -> BoxFuture<'a, Result<Vec<Drift>, Failure>>;
}

/// Deployment targets.
pub trait DeploymentTargets: Send + Sync {
    /// The live ones.
    fn deployment_targets(&self) -> Vec<LivePlugin>;
    /// What the target can do.
    fn abilities<'a>(
        &'a self,
        plugin: &'a str,
        target: &'a str,
        now: Timestamp,
    ) -> BoxFuture<'a, Result<TargetAbilities, Failure>>;
    /// Asks for a revision; the same key does nothing twice. Answers the target's id of it.
    fn apply<'a>(
        &'a self,
        plugin: &'a str,
        target: &'a str,
        now: Timestamp,
        revision: &'a Revision,
        idempotency_key: &'a str,
    ) -> BoxFuture<'a, Result<String, Failure>>;
    /// What the target says of a service.
    fn observe<'a>(
        &'a self,
        plugin: &'a str,
        target: &'a str,
        now: Timestamp,
        service: &'a str,
    ) -> BoxFuture<'a, Result<TargetObservation, Failure>>;
    /// Splits traffic; answers the new generation.
    fn set_traffic<'a>(
        &'a self,
        plugin: &'a str,
        target: &'a str,
        now: Timestamp,
        service: &'a str,
        shares: &'a [(String, u32)],
        expected_generation: u64,
    ) -> BoxFuture<'a, Result<u64, Failure>>;
    /// Stops what is under way.
    fn abort<'a>(
        &'a self,
        plugin: &'a str,
        target: &'a str,
        now: Timestamp,
        service: &'a str,
    ) -> BoxFuture<'a, Result<(), Failure>>;
    /// Removes a revision.
    fn retire<'a>(
        &'a self,
        plugin: &'a str,
        target: &'a str,
        now: Timestamp,
        service: &'a str,
        revision_id: &'a str,
    ) -> BoxFuture<'a, Result<(), Failure>>;
}

/// The list of plugins and how they fare, for API, page and metrics.
pub trait PluginCatalogue: Send + Sync {
    /// All plugins, by name.
    fn statuses(&self) -> Vec<PluginStatus>;
}
