//! The room that asks why: for every service in trouble it gathers what is known of the time about the onset into one case, lets a
//! plugin rank who may be to blame, and keeps the answer for the verdict. The case is kept with it, so that the answer can be
//! explained and asked again. No transaction is held while the plugin runs.

mod blame;
mod clocks;
mod explain;
mod known;
mod metrics;
mod signals;
mod suspects;
mod tables;
mod trouble;

pub use explain::{AskedAgain, Explanation, Followed, Origin, ask_again, explain};
pub(crate) use known::{new_version, version_before};
pub use metrics::AskMetrics;
pub(crate) use suspects::version_id;
pub use tables::{Answer, Diagnosis, KeptCase};
pub(crate) use trouble::Trouble;
pub use trouble::{Trigger, TriggerKind};

use crate::{
    ground::Ground,
    history,
    reading::verdict_of,
    rules::{Facts, grave_incidents},
    snapshot::Snapshot,
};
use known::Told;
use signals::Window;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};
use suspects::Suspects;
use tandem_domain::{
    Failure, FailureCode, Timestamp,
    cause::{Case, RankedCause, Ranking},
    entity::EntityId,
    ports::{LivePlugin, RootCauses},
    series::SeriesId,
    verdict::{Blame, Candidate, CandidateSignal, CauseKind, Verdict},
};
use tandem_store::{ReadError, ReadTx, Store, WriteError, WriteTx};
use trouble::{Asked, ask_at};

/// Time before the onset that a case shows, in milliseconds: what is usual must be learned from it.
const BEFORE_MILLIS: i64 = 60 * 60_000;
/// Time after it: by then trouble has shown itself, and what moves later among hundreds of suspects does so by itself.
const AFTER_MILLIS: i64 = 10 * 60_000;
/// Services asked about in one pass, so that a pass stays short when a switch takes a hundred down at once.
const ASKED_PER_PASS: usize = 4;
/// Cases kept: a few hundred kilobytes each, weeks of trouble.
const KEPT_CASES: u64 = 200;
/// Candidates kept of an answer.
const MAX_CANDIDATES: usize = 5;

/// What a pass left to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Asking {
    /// Whether there is more to do at once.
    pub more: bool,
    /// When there will be something to do even if nothing changes.
    pub wake_at: Option<Timestamp>,
}

/// The room.
pub struct AskRoom {
    store: Store,
    root_causes: Arc<dyn RootCauses>,
    metrics: Arc<AskMetrics>,
    asked: BTreeMap<String, Asked>,
    ground: Option<Arc<Ground>>,
}

/// A question that is due.
struct Question {
    service: String,
    trouble: Trouble,
    case: Case,
    series: Vec<Vec<SeriesId>>,
    caveats: Vec<String>,
    predictions: u64,
    names: BTreeMap<EntityId, String>,
}

/// What one look at the store came to.
struct Look {
    ground: Arc<Ground>,
    questions: Vec<Question>,
    wake_at: Option<Timestamp>,
    more: bool,
    /// Services whose trouble is over, but whose answer is still kept.
    over: Vec<String>,
    verdicts: Vec<Verdict>,
    /// Whom they blame, where that is new.
    blames: Vec<Blame>,
    troubled: BTreeSet<String>,
}

impl AskRoom {
    /// The room at rest.
    pub fn new(store: Store, root_causes: Arc<dyn RootCauses>) -> Self {
        Self { store, root_causes, metrics: Arc::default(), asked: BTreeMap::new(), ground: None }
    }

    /// Its counters.
    pub fn metrics(&self) -> Arc<AskMetrics> {
        self.metrics.clone()
    }

    /// One bounded pass: keeps the verdicts that say something new and whom they blame, and asks about those services whose question is due. Both
    /// see the same records, so that what is answered now is kept by the next pass.
    ///
    /// # Errors
    /// When the store cannot be read or written; the next pass does the same work again.
    pub async fn step(&mut self, now: Timestamp) -> Result<Asking, WriteError> {
        let (store, asked, ground) = (self.store.clone(), self.asked.clone(), self.ground.clone());
        let looked = tokio::task::spawn_blocking(move || look(&store.read()?, &asked, ground.as_ref(), now)).await;
        let looked = looked.map_err(|error| ReadError::Storage(format!("the reading thread failed: {error}")))?;
        let look: Look = looked?;
        self.ground = Some(look.ground);
        history::keep(&self.store, look.verdicts).await?;
        self.asked.retain(|service, _| look.troubled.contains(service));
        self.metrics.troubled.set(look.troubled.len() as u64);
        self.note(look.blames, look.over).await?;
        let mut asking = Asking { more: look.more, wake_at: look.wake_at };
        for question in look.questions {
            let due = self.ask(question, now).await?;
            asking.wake_at = [asking.wake_at, due].into_iter().flatten().min();
        }
        Ok(asking)
    }

    /// Writes down who is blamed anew, and forgets the answers about trouble that is over.
    async fn note(&self, blames: Vec<Blame>, over: Vec<String>) -> Result<(), WriteError> {
        if blames.is_empty() && over.is_empty() {
            return Ok(());
        }
        let note = move |tx: &mut WriteTx<'_>| {
            blames.iter().try_for_each(|blame| tx.put(blame))?;
            over.iter().try_for_each(|service| {
                tx.remove::<Diagnosis>(service)?;
                tx.remove::<Blame>(service)
            })
        };
        self.store.write(note).await
    }

    /// Asks and keeps the answer; when to ask again.
    async fn ask(&mut self, question: Question, now: Timestamp) -> Result<Option<Timestamp>, WriteError> {
        let Question { service, trouble, case, series, caveats, predictions, names } = question;
        let (plugin, outcome) = self.rank(&case).await;
        let answer = outcome.clone().map(|ranking| answer(&case, &series, &ranking, &names));
        self.metrics.told(&answer);
        let before = self.asked.get(&service).filter(|before| before.signature == trouble.signature()).cloned();
        let predictions_before = self.asked.get(&service).map_or(predictions, |before| before.predictions_before);
        let triggers = trouble.triggers.clone();
        let (kept_service, known_case, onset) = (service.clone(), before.map(|before| before.case), trouble.onset);
        let number = self
            .store
            .write(move |tx| {
                let id = match known_case {
                    Some(id) => id,
                    None => tx.next_id("verdict_cases")?,
                };
                tx.put(&KeptCase {
                    id,
                    service: kept_service.clone(),
                    asked_at: now,
                    triggers: triggers.clone(),
                    plugin: plugin.name,
                    plugin_version: plugin.version,
                    plugin_digest: plugin.digest,
                    case,
                    series,
                    caveats: caveats.clone(),
                    outcome,
                })?;
                if let Some(oldest) = id.checked_sub(KEPT_CASES) {
                    tx.remove::<KeptCase>(&oldest)?;
                }
                tx.put(&Diagnosis {
                    service: kept_service,
                    case: id,
                    asked_at: now,
                    onset,
                    triggers,
                    predictions_before,
                    caveats,
                    outcome: answer,
                })?;
                Ok(id)
            })
            .await?;
        let asked = Asked { signature: trouble.signature(), onset, at: now, case: number, predictions_before };
        let due = ask_at(&trouble, Some(&asked));
        self.asked.insert(service, asked);
        Ok(due)
    }

    /// Asks the first live plugin.
    async fn rank(&self, case: &Case) -> (Asker, Result<Ranking, Failure>) {
        let Some(plugin) = self.root_causes.root_causes().into_iter().next() else {
            let failure = Failure::passing(
                FailureCode::Unsupported,
                "no plugin that ranks root causes is live; see /api/v1/plugins for why",
            );
            return (Asker::default(), Err(failure));
        };
        let outcome = match case.contradiction() {
            None => self.root_causes.rank(&plugin.name, case).await,
            Some(contradiction) => Err(Failure::lasting(FailureCode::Internal, contradiction)),
        };
        (Asker::of(plugin), outcome)
    }
}

/// Who was asked.
#[derive(Debug, Default)]
struct Asker {
    name: String,
    version: String,
    digest: String,
}

impl Asker {
    fn of(plugin: LivePlugin) -> Self {
        Self { name: plugin.name, version: plugin.version, digest: plugin.digest }
    }
}

/// Finds whose question is due, and gathers the cases of a few of them.
fn look(
    read: &ReadTx,
    asked: &BTreeMap<String, Asked>,
    ground: Option<&Arc<Ground>>,
    now: Timestamp,
) -> Result<Look, ReadError> {
    let snapshot = Snapshot::load(read, ground)?;
    let mut look = Look {
        ground: snapshot.ground.clone(),
        questions: Vec::new(),
        wake_at: None,
        more: false,
        over: Vec::new(),
        verdicts: Vec::new(),
        blames: Vec::new(),
        troubled: BTreeSet::new(),
    };
    for (name, id) in snapshot.services() {
        let paths = snapshot.paths(&id);
        let facts = Facts::of(&snapshot, &name, &paths, now);
        let verdict = verdict_of(read, &facts)?;
        let trouble = Trouble::of(facts.burning, &grave_incidents(&facts), facts.drifting, now);
        let blame = trouble
            .as_ref()
            .and_then(|trouble| blame::blame(&verdict, trouble, facts.diagnosis, &snapshot.ground.graph));
        look.verdicts.push(verdict);
        if let Some(blame) = blame {
            let known = read.get::<Blame>(&name)?;
            // One answer blames once: what is told of a blame changes the verdict, and the two would chase each other.
            let is_new = known.is_none_or(|known| known.asked_at != blame.asked_at && !blame::same(&known, &blame));
            look.blames.extend(is_new.then_some(blame));
        }
        let Some(trouble) = trouble else { continue };
        look.troubled.insert(name.clone());
        let Some(due) = ask_at(&trouble, asked.get(&name)) else { continue };
        if due > now {
            look.wake_at = Some(look.wake_at.map_or(due, |known| known.min(due)));
        } else if look.questions.len() == ASKED_PER_PASS {
            look.more = true;
        } else {
            look.questions.push(question(read, &snapshot, &name, &id, trouble, now)?);
        }
    }
    look.over =
        snapshot.diagnosed().map(|one| one.service.clone()).filter(|name| !look.troubled.contains(name)).collect();
    Ok(look)
}

fn question(
    read: &ReadTx,
    snapshot: &Snapshot,
    service: &str,
    id: &EntityId,
    trouble: Trouble,
    now: Timestamp,
) -> Result<Question, ReadError> {
    let traffic = snapshot.traffic(service);
    let told = Told {
        service,
        onset: trouble.onset,
        traffic,
        burning: snapshot.burning(service),
        drifting: snapshot.drifting(service),
    };
    let mut suspects = Suspects::below(snapshot, id);
    let window = Window {
        from: trouble.onset.plus_millis(-BEFORE_MILLIS),
        until: trouble.onset.plus_millis(AFTER_MILLIS).min(now),
    };
    let numbered = (0..).zip(&suspects.all).map(|(number, suspect)| (number, suspect.id.clone()));
    let of = signals::Asked { suspects: numbered.collect(), service: 0, replicas: suspects.replicas(snapshot) };
    let gathered = signals::gather(read, &of, window, now)?;
    let changes = known::changes(read, snapshot, &mut suspects, &told, now)?;
    let faults = known::faults(read, snapshot, &suspects, &told)?;
    let drifted = known::drifted(&suspects, &told, now);
    let names =
        suspects.all.iter().filter_map(|one| Some((one.id.clone(), snapshot.ground.names.get(&one.id)?.clone())));
    Ok(Question {
        service: service.to_owned(),
        names: names.collect(),
        case: Case {
            suspects: suspects.all,
            frames: gathered.frames,
            onset: Some(trouble.onset),
            asked: vec![0],
            dependencies: suspects.dependencies,
            changes,
            faults,
            drifted,
            peers: suspects.peers,
        },
        series: gathered.series,
        caveats: gathered.caveats,
        predictions: traffic.iter().map(|one| one.predictions).sum(),
        trouble,
    })
}

/// The answer in terms that outlive the case. What a plugin says leads nowhere outside of the case: the port has checked that.
fn answer(case: &Case, series: &[Vec<SeriesId>], ranking: &Ranking, names: &BTreeMap<EntityId, String>) -> Answer {
    let signals: Vec<_> = case.signals().collect();
    let id = |suspect: u32| case.suspects[suspect as usize].id.clone();
    let named = |sentence: &str| with_names(sentence, names);
    let candidate = |cause: &RankedCause| {
        let entity = id(cause.suspect);
        let told = cause.signals.iter().filter_map(|evidence| {
            let signal = signals.get(evidence.signal as usize)?;
            let of = series.get(evidence.signal as usize).cloned().unwrap_or_default();
            Some(CandidateSignal {
                name: signal.name.clone(),
                score: evidence.score,
                direction: evidence.direction,
                series: of,
            })
        });
        Candidate {
            name: names.get(&entity).cloned().unwrap_or_else(|| entity.identity().to_owned()),
            score: cause.score,
            kind: match cause.kind {
                CauseKind::Unknown if !ANSWERING.contains(&entity.kind()) => CauseKind::Infrastructure,
                kind => kind,
            },
            sentence: named(&cause.sentence),
            path: cause.path.iter().map(|step| id(*step)).collect(),
            signals: told.collect(),
            entity,
        }
    };
    Answer {
        confident: ranking.confident,
        confidence: ranking.confidence,
        doubt: named(&ranking.doubt),
        candidates: ranking.causes.iter().take(MAX_CANDIDATES).map(candidate).collect(),
    }
}

/// A sentence with what people call things in place of their ids, the longest first, as one id may begin another.
fn with_names(sentence: &str, names: &BTreeMap<EntityId, String>) -> String {
    let mut told: Vec<(&str, &str)> = names
        .iter()
        .map(|(id, name)| (id.0.as_str(), name.as_str()))
        .filter(|(id, name)| !name.is_empty() && sentence.contains(id))
        .collect();
    told.sort_by_key(|(id, _)| std::cmp::Reverse(id.len()));
    told.into_iter().fold(sentence.to_owned(), |sentence, (id, name)| sentence.replace(id, name))
}

/// Kinds of what answers users; of these it cannot be told from the kind alone where their trouble lies.
const ANSWERING: [&str; 3] = ["service", "model-version", "model"];

#[cfg(test)]
mod tests;
