//! One target: visited at its moments, each visit one change of the store, and its series ended when it goes.

use super::{
    Job, Shared,
    board::{ActiveTarget, LastScrape},
    fetch::{self, Fetched},
    memory::{Making, Newcomer, SeriesMemory, Sorted},
    target::Planned,
};
use crate::{
    GatherPorts, declared,
    intake::{self, STALE, settled},
    limits::Rejections,
    timing::{self, Ticks},
};
use std::{sync::Arc, time::Duration};
use tandem_domain::{
    Failure, FailureCode, Timestamp,
    metadata::MetricMetadata,
    series::{Labels, MetricType, SampleBatch, SeriesDescription, SeriesId},
    target::{Door, TargetStatus},
};
use tandem_store::{ExemplarsAppended, SeriesRefusal, WriteError, WriteTx};
use tandem_wire::exposition;
use tokio::{sync::watch, time::Instant};

/// Pages up to so many bytes are read where the answer came in; longer ones where they hold up no other task.
const READ_AT_ONCE_BYTES: usize = 512 << 10;
/// The first visits of a job's targets are spread so that one comes every so often.
const FIRST_VISITS_EVERY: Duration = Duration::from_millis(10);

/// What is told of each visit itself, by the names that Prometheus gives it.
const OWN: [&str; 8] = [
    "up",
    "scrape_duration_seconds",
    "scrape_samples_scraped",
    "scrape_samples_post_metric_relabeling",
    "scrape_series_added",
    "scrape_timeout_seconds",
    "scrape_sample_limit",
    "scrape_body_size_bytes",
];
/// Of those, how many are told without being asked for.
const ALWAYS_TOLD: usize = 5;

/// Whether a target is to be visited any longer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// It is.
    Going,
    /// It is gone: its series end.
    Removed,
    /// The server stops: its series go on after the next start.
    Shutdown,
}

/// Everything of one target.
pub(super) struct TargetVisitor {
    ports: GatherPorts,
    shared: Arc<Shared>,
    job: Arc<Job>,
    planned: Arc<Planned>,
    view: Arc<ActiveTarget>,
    memory: SeriesMemory,
    own: [Option<SeriesId>; OWN.len()],
    status: TargetStatus,
}

/// What is written of a visit.
struct Writing {
    at: Timestamp,
    sorted: Sorted,
    gone: Vec<SeriesId>,
    /// The first of [`OWN`]; NaN ends the series.
    own: Vec<f64>,
    own_ids: [Option<SeriesId>; OWN.len()],
    own_labels: Labels,
    status: TargetStatus,
    rejections: Rejections,
}

/// What was written.
struct Written {
    newcomers: Vec<Newcomer>,
    /// Their numbers, or why there are none.
    ids: Vec<Result<SeriesId, SeriesRefusal>>,
    /// With those of series that were refused now.
    rejections: Rejections,
    /// Samples of those.
    refused: u64,
    own_ids: [Option<SeriesId>; OWN.len()],
    exemplars: ExemplarsAppended,
    declared: Vec<MetricMetadata>,
}

impl Writing {
    fn write(self, tx: &mut WriteTx<'_>) -> Result<Written, WriteError> {
        let Sorted { mut batch, newcomers, of_newcomers, mut exemplars, exemplars_of_newcomers, declared, .. } =
            self.sorted;
        // The target first, so that whoever sees a new series finds what is known of its target.
        tx.put(&self.status)?;
        declared::keep(tx, &declared)?;
        let admit = |newcomer: &Newcomer| tx.admit_series(&newcomer.target, &newcomer.series);
        let ids = newcomers.iter().map(admit).collect::<Result<Vec<_>, _>>()?;
        let (mut status, mut rejections, mut refused) = (self.status, self.rejections, 0);
        for (number, at, value) in of_newcomers {
            match ids[number as usize] {
                Ok(id) => batch.push(id, at, value),
                Err(refusal) => {
                    rejections.refuse(refusal, &newcomers[number as usize].series.metric);
                    refused += 1;
                }
            }
        }
        if refused > 0 {
            refuse(&mut status, refused, &rejections);
            tx.put(&status)?;
        }
        let of_newcomers = exemplars_of_newcomers.into_iter();
        exemplars.extend(of_newcomers.filter_map(|(number, one)| Some((ids[number as usize].ok()?, one))));
        let mut own_ids = self.own_ids;
        for (index, value) in self.own.into_iter().enumerate() {
            let id = match own_ids[index] {
                Some(id) => id,
                None => tx.register_series(&status.info.key, &own(OWN[index], &self.own_labels))?,
            };
            own_ids[index] = Some(id);
            batch.push(id, self.at, value);
        }
        self.gone.into_iter().for_each(|id| batch.push(id, self.at, STALE));
        tx.append_samples(&batch)?;
        let exemplars = tx.append_exemplars(exemplars)?;
        Ok(Written { newcomers, ids, rejections, refused, own_ids, exemplars, declared })
    }
}

/// Tells in a target's state that samples of new series were refused while they were written.
fn refuse(status: &mut TargetStatus, refused: u64, rejections: &Rejections) {
    status.last_samples = status.last_samples.saturating_sub(refused);
    status.last_rejected += refused;
    status.rejection = rejections.told();
}

fn own(metric: &str, labels: &Labels) -> SeriesDescription {
    SeriesDescription {
        metric: metric.into(),
        metric_type: MetricType::Gauge,
        unit: String::new(),
        labels: labels.clone(),
    }
}

impl TargetVisitor {
    pub(super) fn new(
        ports: GatherPorts,
        shared: Arc<Shared>,
        job: Arc<Job>,
        planned: Arc<Planned>,
        view: Arc<ActiveTarget>,
    ) -> Self {
        let status = intake::status_of(&ports.store, intake::unvisited(planned.info(), Door::Scrape, None));
        Self { ports, shared, job, planned, view, memory: SeriesMemory::default(), own: [None; OWN.len()], status }
    }

    #[cfg(test)]
    pub(super) fn set_job(&mut self, job: Job) {
        self.job = Arc::new(job);
    }

    /// The status as it stands, for the store.
    pub(super) fn announced(&self) -> TargetStatus {
        self.shared.board.together(&self.planned.url, &self.status)
    }

    /// Visits until told otherwise; `targets` is how many the job has.
    pub(super) async fn keep_visiting(mut self, targets: usize, mut ending: watch::Receiver<Ending>) {
        let interval = self.planned.interval;
        let phase = timing::phase(&*self.planned, interval);
        let mut ticks = Ticks::new(self.ports.clock.now(), interval, phase);
        // The first visit comes early, so that a new server shows something; those of many targets are spread all the same.
        let share = (FIRST_VISITS_EVERY.as_secs_f64() * targets as f64 / interval.as_secs_f64()).min(1.0);
        let early = ticks.wait().mul_f64(share);
        let mut going = true;
        if share < 0.5 {
            tokio::select! {
                () = tokio::time::sleep(early) => going = self.visit(self.ports.clock.now(), &mut ending).await,
                _ = ending.changed() => going = false,
            }
        }
        while going {
            tokio::select! {
                tick = ticks.tick() => {
                    self.ports.metrics.skipped(tick.skipped);
                    going = self.visit(tick.at, &mut ending).await;
                }
                _ = ending.changed() => going = false,
            }
        }
        if *ending.borrow() == Ending::Removed {
            self.end().await;
        }
    }

    /// One visit; whether another is wanted.
    pub(super) async fn visit(&mut self, planned_at: Timestamp, ending: &mut watch::Receiver<Ending>) -> bool {
        let began = async {
            let lane = self.shared.lanes.of(&self.status);
            let _permit = lane.acquire().await.ok()?;
            let at = timing::aligned(planned_at, self.ports.clock.now(), self.planned.interval);
            let started = Instant::now();
            Some((at, started, self.fetch().await))
        };
        let fetched = tokio::select! {
            fetched = began => fetched,
            // Dropping a visit cuts it off: nothing of it was written down.
            _ = ending.wait_for(|ending| *ending != Ending::Going) => None,
        };
        let Some((at, started, fetched)) = fetched else { return false };
        self.settle(at, started, fetched).await;
        true
    }

    async fn fetch(&self) -> Result<Fetched, Failure> {
        if let Some(problem) = self.job.refused() {
            return Err(intake::too_much(problem));
        }
        let limit = self.job.config.page_bytes();
        fetch::fetch(self.ports.http.as_ref(), &self.job.client, &self.planned, limit).await
    }

    /// Sorts a page and commits it, or that there was none.
    async fn settle(&mut self, at: Timestamp, started: Instant, fetched: Result<Fetched, Failure>) {
        self.memory.begin();
        let body_bytes = fetched.as_ref().map_or(0, |fetched| fetched.body.len());
        let (sorted, failure) = match fetched {
            Ok(fetched) => self.sort(fetched, at).await,
            Err(failure) => (Sorted::default(), Some(failure)),
        };
        let duration = started.elapsed();
        let up = failure.is_none();
        if let (Some(failure), 0) = (&failure, self.status.failures_in_a_row) {
            let key = &self.status.info.key;
            tracing::warn!(
                job = key.job,
                instance = key.instance,
                url = self.planned.url,
                "a target failed: {failure}"
            );
        }
        let error = failure.as_ref().map(|failure| failure.message.clone());
        let duration_millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        let mut status = settled(self.status.clone(), at, duration_millis, failure);
        let samples = sorted.batch.len() as u64 + sorted.of_newcomers.len() as u64;
        if up {
            status.last_samples = samples;
            status.last_rejected = sorted.rejections.count();
            status.rejection = sorted.rejections.told();
        }
        let mut own = vec![
            f64::from(u8::from(up)),
            duration.as_secs_f64(),
            sorted.scraped as f64,
            sorted.kept as f64,
            sorted.added as f64,
            self.planned.timeout.as_secs_f64(),
            self.job.config.samples().unwrap_or(0) as f64,
            if up { body_bytes as f64 } else { -1.0 },
        ];
        if !self.job.config.extra_scrape_metrics {
            own.truncate(ALWAYS_TOLD);
        }
        self.view.visited(LastScrape { at: Some(at), duration, error });
        let refused = self.write(at, sorted, own, status).await;
        let written = refused.map_or(0, |refused| samples.saturating_sub(refused));
        self.ports.metrics.attempt(up && refused.is_some(), written);
    }

    /// Sorts a page; what is beyond a limit fails as a whole, and nothing of it is left.
    async fn sort(&mut self, fetched: Fetched, at: Timestamp) -> (Sorted, Option<Failure>) {
        let mut memory = std::mem::take(&mut self.memory);
        let (job, planned, shared) = (self.job.clone(), self.planned.clone(), self.shared.clone());
        let is_long = fetched.body.len() > READ_AT_ONCE_BYTES;
        let read = move || {
            let sorted = read(&fetched, &mut memory, &job, &planned, &shared, at);
            (memory, sorted)
        };
        let read = if is_long { tokio::task::spawn_blocking(read).await } else { Ok(read()) };
        let (sorted, failure) = match read {
            Ok((memory, sorted)) => {
                self.memory = memory;
                sorted
            }
            Err(error) => (Sorted::default(), Some(Failure::passing(FailureCode::Internal, error.to_string()))),
        };
        if failure.is_none() {
            return (sorted, None);
        }
        // Its newcomers are none, and what it showed counts as gone.
        self.memory.not_written();
        self.memory.begin();
        let Sorted { scraped, kept, added, .. } = sorted;
        (Sorted { scraped, kept, added, ..Sorted::default() }, failure)
    }

    /// Commits a visit; answers how many of its samples were refused, and nothing when it could not be.
    async fn write(
        &mut self,
        at: Timestamp,
        mut sorted: Sorted,
        own: Vec<f64>,
        mut status: TargetStatus,
    ) -> Option<u64> {
        let rejections: Rejections = std::mem::take(&mut sorted.rejections);
        let untimely = sorted.untimely_exemplars;
        let writing = Writing {
            at,
            sorted,
            gone: self.memory.gone(),
            own,
            own_ids: self.own,
            own_labels: self.planned.own_labels(),
            status: self.shared.board.together(&self.planned.url, &status),
            rejections,
        };
        match self.ports.store.write(move |tx| writing.write(tx)).await {
            Ok(Written { newcomers, ids, rejections, refused, own_ids, exemplars, declared }) => {
                self.memory.written(&newcomers, &ids);
                if refused > 0 {
                    refuse(&mut status, refused, &rejections);
                    self.shared.board.together(&self.planned.url, &status);
                }
                self.shared.declared.remember(declared, at);
                self.ports.metrics.exemplars.note(&exemplars, untimely);
                (self.own, self.status) = (own_ids, status);
                self.ports.metrics.rejected(&rejections);
                Some(refused)
            }
            Err(error) => {
                self.memory.not_written();
                let key = &self.status.info.key;
                tracing::error!(job = key.job, instance = key.instance, "a visit was not kept: {error}");
                None
            }
        }
    }

    /// The target is gone: its series end, and its state is forgotten.
    async fn end(mut self) {
        self.memory.begin();
        let (at, key) = (self.ports.clock.now(), self.status.info.key.clone());
        let mut batch = SampleBatch::default();
        let ended = self.memory.gone().into_iter().chain(self.own.into_iter().flatten());
        ended.for_each(|id| batch.push(id, at, STALE));
        let others = self.shared.board.without(&self.planned.url, &key);
        let written = self.ports.store.write(move |tx| {
            match others {
                Some(status) => tx.put(&status)?,
                None => tx.remove::<TargetStatus>(&(key.job, key.instance))?,
            }
            tx.append_samples(&batch)
        });
        if let Err(error) = written.await {
            let key = &self.status.info.key;
            tracing::error!(job = key.job, instance = key.instance, "the end of a target was not kept: {error}");
        }
    }
}

/// Parses and sorts a page; with why it fails as a whole, if it does.
fn read(
    fetched: &Fetched,
    memory: &mut SeriesMemory,
    job: &Job,
    planned: &Planned,
    shared: &Shared,
    now: Timestamp,
) -> (Sorted, Option<Failure>) {
    let page = match exposition::parse(&fetched.body, fetched.format) {
        Ok(page) => page,
        Err(error) => {
            let what = format!("{}: {error}", planned.url);
            return (Sorted::default(), Some(Failure::passing(FailureCode::Malformed, what)));
        }
    };
    let making = Making {
        planned,
        relabeling: &job.metric_relabeling,
        honor_labels: job.config.honor_labels,
        honor_timestamps: job.config.honor_timestamps,
        track_timestamps: job.config.track_timestamps_staleness,
        limits: job.config.limits(),
        seed: shared.seed,
        declared: &shared.declared,
        now,
    };
    let sorted = memory.sort(&page, &making);
    let over = job.config.samples().filter(|limit| sorted.kept > *limit as u64);
    let failure = over.map(|limit| {
        intake::too_much(format!(
            "{} gives {} samples and its sample_limit is {limit}; raise the limit or have the exporter give less",
            planned.url, sorted.kept
        ))
    });
    (sorted, failure)
}
