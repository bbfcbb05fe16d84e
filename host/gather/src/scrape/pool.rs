//! One job: what its finders find becomes targets, each with a task of its own; what is gone ends.

use super::{
    Job, Shared,
    board::{ActiveTarget, ScrapePool},
    discovery::{Finder, Found, Source, TargetGroup, Telling, finders, static_groups},
    target::{self, Plan, Planned},
    visit::{Ending, TargetVisitor},
};
use crate::GatherPorts;
use futures::future::join_all;
use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};
use tandem_domain::target::{Door, TargetStatus};
use tandem_wire::relabel::LabelMap;
use tokio::{
    sync::watch,
    task::{JoinHandle, JoinSet},
};

/// What is found within so short a time is taken in together.
const SETTLE_FOR: Duration = Duration::from_millis(200);
/// How often a target that another one keeps from being scraped is tried again.
const TRY_AGAIN_EVERY: Duration = Duration::from_secs(15);

/// A target with its task.
struct Running {
    view: Arc<ActiveTarget>,
    ending: watch::Sender<Ending>,
    task: JoinHandle<()>,
}

/// What became of the targets of one group.
type Plans = (Arc<TargetGroup>, Vec<(LabelMap, Plan)>);

/// All that is wanted of a job now.
#[derive(Default)]
struct Wanted {
    /// With the labels before relabelling, in the order of discovery.
    targets: Vec<(Arc<Planned>, LabelMap)>,
    dropped: Vec<LabelMap>,
    dropped_count: usize,
    /// Found, and no targets.
    wrong: Vec<String>,
}

/// A job.
pub(super) struct Pool {
    name: String,
    ports: GatherPorts,
    shared: Arc<Shared>,
    job: Arc<Job>,
    found: Arc<Found>,
    finders: Vec<Box<dyn Finder>>,
    plans: BTreeMap<Source, Plans>,
    running: HashMap<Arc<Planned>, Running>,
    /// Those that another target of the same labels keeps from being scraped.
    refused: Vec<Arc<ActiveTarget>>,
    told_wrong: Vec<String>,
    /// Whether all finders had told when it was last brought up to date.
    is_complete: bool,
}

impl Pool {
    /// Plans a job; nothing is found or visited yet.
    pub(super) fn new(ports: GatherPorts, shared: Arc<Shared>, job: Job) -> Result<Self, String> {
        let statics = job.config.statics();
        let finders = finders(&job.config, &ports)?;
        // What stands in the configuration counts as a finder that has told everything.
        let found = Arc::new(Found::of(finders.len() + 1));
        Telling::new(found.clone(), finders.len()).all(static_groups(&statics));
        let name = shared.board.open(&job.config.job);
        Ok(Self {
            name,
            ports,
            shared,
            job: Arc::new(job),
            found,
            finders,
            plans: BTreeMap::new(),
            running: HashMap::new(),
            refused: Vec::new(),
            told_wrong: Vec::new(),
            is_complete: false,
        })
    }

    /// Whether all its targets stand in the configuration.
    pub(super) fn is_static(&self) -> bool {
        self.finders.is_empty()
    }

    /// The targets that are known before anything is asked.
    pub(super) fn planned(&mut self) -> Vec<Arc<Planned>> {
        self.wanted().targets.into_iter().map(|(planned, _)| planned).collect()
    }

    /// Finds and visits until told to stop.
    pub(super) async fn run(mut self, mut stop: watch::Receiver<bool>) {
        let mut finding = JoinSet::new();
        for (number, finder) in std::mem::take(&mut self.finders).into_iter().enumerate() {
            finding.spawn(finder.run(Telling::new(self.found.clone(), number)));
        }
        loop {
            tokio::select! {
                () = self.bring_up_to_date() => {}
                _ = stop.wait_for(|stop| *stop) => break,
            }
            let found = self.found.clone();
            let news = async {
                found.changed().await;
                tokio::time::sleep(SETTLE_FOR).await;
            };
            tokio::select! {
                () = news => {}
                () = tokio::time::sleep(TRY_AGAIN_EVERY), if !self.refused.is_empty() => {}
                _ = stop.wait_for(|stop| *stop) => break,
            }
        }
        drop(finding);
        let tasks = self.running.into_values().map(|running| {
            running.ending.send_replace(Ending::Shutdown);
            running.task
        });
        join_all(tasks).await;
    }

    /// What is wanted by what was found.
    fn wanted(&mut self) -> Wanted {
        let groups = self.found.groups();
        self.plans.retain(|source, _| groups.contains_key(source));
        for (source, group) in groups {
            if !self.plans.get(&source).is_some_and(|(known, _)| Arc::ptr_eq(known, &group)) {
                let plans = self.job.plans(&group);
                self.plans.insert(source, (group, plans));
            }
        }
        let (mut wanted, mut seen) = (Wanted::default(), HashMap::new());
        let shown = self.job.config.dropped_shown();
        for (discovered, plan) in self.plans.values().flat_map(|(_, plans)| plans) {
            match plan {
                Plan::Scraped(planned) => {
                    // Several finders, or several ports of one service, often find the same target.
                    if seen.insert(planned.clone(), ()).is_none() {
                        wanted.targets.push((Arc::new(planned.clone()), discovered.clone()));
                    }
                }
                Plan::Dropped => {
                    wanted.dropped_count += 1;
                    if wanted.dropped.len() < shown {
                        wanted.dropped.push(discovered.clone());
                    }
                }
                Plan::Wrong(problem) => wanted.wrong.push(problem.clone()),
            }
        }
        wanted
    }

    /// Ends what is gone, begins what is new.
    async fn bring_up_to_date(&mut self) {
        let wanted = self.wanted();
        self.tell_wrong(&wanted.wrong);
        self.job.hold_to_limit(wanted.targets.len());
        // First the ends, so that a target whose address has changed goes on after its end.
        let still: HashMap<&Arc<Planned>, &LabelMap> =
            wanted.targets.iter().map(|(planned, discovered)| (planned, discovered)).collect();
        let gone: Vec<Arc<Planned>> =
            self.running.keys().filter(|planned| !still.contains_key(planned)).cloned().collect();
        let ends = gone.iter().filter_map(|planned| {
            let running = self.running.remove(planned)?;
            running.ending.send_replace(Ending::Removed);
            Some(running.task)
        });
        join_all(ends.collect::<Vec<_>>()).await;
        gone.iter().for_each(|planned| self.shared.board.release(planned));
        self.begin(&wanted).await;
        self.show(wanted);
        if !self.is_complete && self.found.is_complete() {
            self.is_complete = true;
            self.shared.complete(&self.ports).await;
        }
    }

    async fn begin(&mut self, wanted: &Wanted) {
        self.refused.clear();
        let mut visitors = Vec::new();
        for (planned, discovered) in &wanted.targets {
            if let Some(running) = self.running.get(planned) {
                running.view.rediscovered(discovered.clone());
                continue;
            }
            let view = Arc::new(ActiveTarget::new(&self.name, planned, discovered.clone()));
            if let Err((pool, url)) = self.shared.board.claim(&self.name, planned) {
                let problem = format!(
                    "it has the same labels as {url} of job {pool:?}, which is scraped; give one of them a label that tells \
                     them apart"
                );
                tracing::warn!(job = self.name, url = planned.url, "a target is not scraped: {problem}");
                view.refused(problem);
                self.refused.push(view);
                continue;
            }
            let (ports, shared, job) = (self.ports.clone(), self.shared.clone(), self.job.clone());
            visitors.push((
                planned.clone(),
                TargetVisitor::new(ports, shared, job, planned.clone(), view.clone()),
                view,
            ));
        }
        let statuses: Vec<TargetStatus> = visitors.iter().map(|(_, visitor, _)| visitor.announced()).collect();
        if !statuses.is_empty() {
            let announced = self.ports.store.write(move |tx| statuses.iter().try_for_each(|status| tx.put(status)));
            if let Err(error) = announced.await {
                tracing::error!(job = self.name, "new targets were not written down: {error}");
            }
        }
        for (planned, visitor, view) in visitors {
            let (ending, told) = watch::channel(Ending::Going);
            let task = tokio::spawn(visitor.keep_visiting(wanted.targets.len(), told));
            self.running.insert(planned, Running { view, ending, task });
        }
    }

    fn show(&self, wanted: Wanted) {
        let views = self.running.values().map(|running| running.view.clone());
        let mut active: Vec<Arc<ActiveTarget>> = views.chain(self.refused.iter().cloned()).collect();
        active.sort_by(|a, b| a.url.cmp(&b.url).then_with(|| a.labels.cmp(&b.labels)));
        let Wanted { dropped, dropped_count, .. } = wanted;
        self.shared.board.show(&self.name, ScrapePool { active, dropped, dropped_count });
    }

    /// Says what was found and is no target, each problem once as long as it stays.
    fn tell_wrong(&mut self, wrong: &[String]) {
        for problem in wrong.iter().filter(|problem| !self.told_wrong.contains(problem)) {
            tracing::warn!(job = self.name, "what was found is no target: {problem}");
        }
        self.told_wrong = wrong.to_vec();
        self.told_wrong.dedup();
    }
}

/// Removes the states of scraped targets that nobody scrapes any longer.
pub(super) async fn forget_others(
    ports: &GatherPorts,
    scraped: impl Fn(&TargetStatus) -> bool + Send + 'static,
) -> Result<(), tandem_store::WriteError> {
    let forget = move |tx: &mut tandem_store::WriteTx<'_>| {
        for earlier in tx.scan::<TargetStatus>(.., usize::MAX)? {
            // What is sent here is not configured here.
            if earlier.door == Door::Scrape && !scraped(&earlier) {
                tx.remove::<TargetStatus>(&(earlier.info.key.job, earlier.info.key.instance))?;
            }
        }
        Ok(())
    };
    ports.store.write(forget).await
}

impl Job {
    /// What becomes of the targets of a group.
    fn plans(&self, group: &TargetGroup) -> Vec<(LabelMap, Plan)> {
        let planned = group.targets.iter().map(|own| {
            let discovered = target::discovered(&self.config, own, &group.labels);
            let plan = target::plan(&self.config, &self.relabeling, &discovered);
            (discovered, plan)
        });
        planned.collect()
    }
}
