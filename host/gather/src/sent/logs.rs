//! Lines of logs, by OTLP and by syslog: kept as lines, which are found by time, entity, grade and words. Who writes becomes
//! an entity; what is critical becomes an event as well, for the rooms that look for causes.
//!
//! One body is decoded and packed at a time, so that however many lines come, samples find a core and the writer thread free.

use super::{SentError, SentReceiver};
use crate::limits::MAX_FUTURE_MILLIS;
use parking_lot::Mutex;
use std::{
    collections::{BTreeMap, HashMap},
    net::IpAddr,
    sync::Arc,
    time::Duration,
};
use tandem_domain::{
    Severity, Timestamp,
    collected::{CollectedEvent, CollectedTopology},
    entity::{EntityAlias, EntityDraft, IdentityKey, KeyStrength},
    log::{LogEntry, LogSource, SourcedLog},
    series::Labels,
    target::{TargetInfo, TargetKey},
    topology::TopologyDraft,
};
use tandem_store::{LogBatch, WriteError};
use tandem_wire::{
    otlp::ResourceInfo,
    rejected::{Reason, Rejection, Rejections},
};
use tokio::sync::{Semaphore, SemaphorePermit};

/// What reports who writes, and what is critical.
const SOURCE: &str = "logs";
/// Job of the machines that send syslog.
const SYSLOG_JOB: &str = "syslog";
/// How long lines are kept when the operator does not say, in milliseconds: a week.
const DEFAULT_RETENTION_MILLIS: i64 = 7 * 86_400_000;
/// Bodies of logs that are decoded and packed at a time.
const AT_A_TIME: usize = 1;
/// How long a body waits for its turn before its sender is asked to come again.
const TURN_TIMEOUT: Duration = Duration::from_secs(5);
/// Writers that are remembered; of more, the lines are kept and found, but none becomes an entity by them.
const MAX_WRITERS: usize = 20_000;
/// How often it is told that a writer still writes, in milliseconds.
const TELL_EVERY_MILLIS: i64 = 5 * 60_000;
/// Critical lines that become events in one minute; all are kept as lines.
const MAX_EVENTS_A_MINUTE: u32 = 600;
/// The attribute under which a time stands that cannot be.
const SENT_TIME: &str = "sent_time";

/// By which door lines come: what is told of a wrong time, and whose a line is, differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LogDoor {
    Otlp,
    Syslog,
}

/// What the doors of logs share.
pub(super) struct LogKeeper {
    turns: Semaphore,
    pub(super) retention_millis: i64,
    memory: Mutex<Memory>,
}

/// Who was told, and how many events of late.
#[derive(Default)]
struct Memory {
    told: HashMap<String, Timestamp>,
    minute: i64,
    events: u32,
}

impl Default for LogKeeper {
    fn default() -> Self {
        Self { turns: Semaphore::new(AT_A_TIME), retention_millis: DEFAULT_RETENTION_MILLIS, memory: Mutex::default() }
    }
}

impl LogKeeper {
    /// The turn to decode and pack.
    pub(super) async fn turn(&self) -> Result<SemaphorePermit<'_>, SentError> {
        match tokio::time::timeout(TURN_TIMEOUT, self.turns.acquire()).await {
            Ok(Ok(permit)) => Ok(permit),
            _ => Err(SentError::Busy("more logs come than can be taken in; nothing of this body was kept".into())),
        }
    }

    /// Holds the time of a line to what can be. Who sends by OTLP is told; who sends by syslog cannot be, and machines
    /// without a clock are many, so that their lines stand at their arrival.
    fn settle(&self, entry: &mut LogEntry, door: LogDoor, now: Timestamp) -> Result<(), Rejection> {
        let ahead = entry.at.millis_since(now);
        if (-self.retention_millis..=MAX_FUTURE_MILLIS).contains(&ahead) {
            return Ok(());
        }
        let seconds = ahead / 1_000;
        match (door, ahead > 0) {
            (LogDoor::Otlp, true) => {
                let text = format!("a log record lies {seconds} s in the future; set the sender's clock");
                Err(Rejection { reason: Reason::TooNew, text })
            }
            (LogDoor::Otlp, false) => {
                let kept = self.retention_millis / 1_000;
                let text = format!("a log record is {} s old; they are kept for {kept} s", -seconds);
                Err(Rejection { reason: Reason::TooOld, text })
            }
            (LogDoor::Syslog, _) => {
                let attributes = entry.attributes.iter().map(|(name, value)| (name.to_owned(), value.to_owned()));
                let sent = (SENT_TIME.to_owned(), (entry.at.0 as f64 / 1_000.0).to_string());
                entry.attributes = Labels::new(attributes.chain([sent]));
                entry.at = now;
                Ok(())
            }
        }
    }

    /// Whether a writer is to be told of now.
    fn is_due(&self, alias: &str, now: Timestamp) -> bool {
        let mut memory = self.memory.lock();
        match memory.told.get_mut(alias) {
            Some(told) if now.millis_since(*told) < TELL_EVERY_MILLIS => false,
            Some(told) => {
                *told = now;
                true
            }
            None => {
                if memory.told.len() >= MAX_WRITERS {
                    memory.told.retain(|_, told| now.millis_since(*told) < TELL_EVERY_MILLIS);
                }
                let room = memory.told.len() < MAX_WRITERS;
                if room {
                    memory.told.insert(alias.to_owned(), now);
                }
                room
            }
        }
    }

    /// Whether one more critical line may become an event.
    fn may_tell_event(&self, now: Timestamp) -> bool {
        let mut memory = self.memory.lock();
        let minute = now.0.div_euclid(60_000);
        if memory.minute != minute {
            (memory.minute, memory.events) = (minute, 0);
        }
        memory.events = memory.events.saturating_add(1);
        memory.events <= MAX_EVENTS_A_MINUTE
    }
}

/// A key of an entity: kind, scheme, value.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Owner(&'static str, &'static str, String);

impl Owner {
    fn key(&self) -> IdentityKey {
        IdentityKey { scheme: self.1.into(), value: self.2.clone(), strength: KeyStrength::Local }
    }

    fn alias(&self) -> String {
        EntityAlias::of(self.0, &self.key())
    }

    fn draft(&self) -> EntityDraft {
        EntityDraft { kind: self.0.into(), keys: vec![self.key()], name: self.2.clone(), attributes: Labels::default() }
    }
}

/// Whose a line is, and the machine where that is another. By syslog it is the machine's, since a program has one name on
/// all machines; by OTLP the service's where it names one, else the machine's; else it is the sender's.
fn owners(entry: &LogEntry, sender: &TargetKey, door: LogDoor) -> (Owner, Option<Owner>) {
    let machine = (!entry.host.is_empty()).then(|| Owner("host", "hostname", entry.host.to_lowercase()));
    match (door, entry.app.is_empty(), machine) {
        (LogDoor::Syslog, _, None) => (Owner("host", "address", sender.instance.clone()), None),
        (LogDoor::Syslog, _, Some(machine)) | (LogDoor::Otlp, true, Some(machine)) => (machine, None),
        (LogDoor::Otlp, true, None) => (Owner("service", "name", sender.job.clone()), None),
        (LogDoor::Otlp, false, machine) => (Owner("service", "name", entry.app.clone()), machine),
    }
}

/// What one sender's lines tell of topology and events.
#[derive(Default)]
struct Telling {
    topology: TopologyDraft,
    events: Vec<CollectedEvent>,
    places: HashMap<String, u32>,
}

impl Telling {
    fn entity(&mut self, owner: &Owner) -> u32 {
        *self.places.entry(owner.alias()).or_insert_with(|| {
            self.topology.entities.push(owner.draft());
            (self.topology.entities.len() - 1) as u32
        })
    }

    fn event(&mut self, owner: &Owner, entry: &LogEntry) {
        let known = [("level", &entry.level), ("host", &entry.host), ("app", &entry.app)];
        let known = known.into_iter().map(|(name, value)| (name.to_owned(), value.clone()));
        let more = entry.attributes.iter().map(|(name, value)| (name.to_owned(), value.to_owned()));
        let entity = self.entity(owner);
        self.events.push(CollectedEvent {
            at: entry.at,
            entity,
            code: "log.critical".into(),
            severity: Severity::Critical,
            title: entry.text.clone(),
            attributes: Labels::new(known.chain(more)),
        });
    }
}

/// Lines ready to be packed, and what they tell beside.
#[derive(Default)]
struct Gathered {
    lines: Vec<SourcedLog>,
    tellings: BTreeMap<u32, Telling>,
    withheld: u64,
}

impl SentReceiver {
    /// Takes in what machines sent by syslog, by their addresses; answers how many lines were kept.
    ///
    /// # Errors
    /// When the store cannot be written; nothing of it is kept then.
    pub(crate) async fn syslog(
        &self,
        received: impl IntoIterator<Item = (IpAddr, Vec<LogEntry>)>,
        now: Timestamp,
    ) -> Result<u64, SentError> {
        let (mut senders, mut entries) = (Vec::new(), Vec::new());
        for (from, brought) in received {
            let target = TargetKey { job: SYSLOG_JOB.into(), instance: from.to_string() };
            senders.push(ResourceInfo { target, labels: Labels::default() });
            let number = (senders.len() - 1) as u32;
            entries.extend(brought.into_iter().map(|entry| (number, entry)));
        }
        // It was received already, and its queue is bounded: it waits as long as it takes.
        let _turn = self.logs.turns.acquire().await;
        let mut rejections = Rejections::default();
        self.log_entries(&senders, entries, LogDoor::Syslog, now, &mut rejections).await
    }

    /// Commits lines, each with the index of its sender; answers how many were kept. The caller has the turn.
    pub(super) async fn log_entries(
        &self,
        senders: &[ResourceInfo],
        entries: Vec<(u32, LogEntry)>,
        door: LogDoor,
        now: Timestamp,
        rejections: &mut Rejections,
    ) -> Result<u64, SentError> {
        let Gathered { lines, tellings, withheld } = self.gather(senders, entries, door, now, rejections);
        let kept = lines.len() as u64;
        let brought: Vec<CollectedTopology> = tellings
            .into_iter()
            .filter_map(|(sender, telling)| Some((senders.get(sender as usize)?, telling)))
            .map(|(sender, Telling { topology, events, .. })| {
                let target = TargetInfo { key: sender.target.clone(), labels: sender.labels.clone() };
                CollectedTopology { target, plugin: SOURCE.into(), at: now, topology, events }
            })
            .collect();
        if kept > 0 {
            let packed = tokio::task::spawn_blocking(move || LogBatch::of(lines)).await;
            let batch = packed.map_err(|error| WriteError::Panicked(error.to_string()))??;
            let change = move |tx: &mut tandem_store::WriteTx<'_>| {
                tx.append_logs(&batch)?;
                brought.iter().try_for_each(|one| tx.append(one).map(drop))
            };
            self.store.write(change).await?;
        }
        self.metrics.logged(kept, withheld, rejections);
        Ok(kept)
    }

    /// Settles times and owners of lines.
    fn gather(
        &self,
        senders: &[ResourceInfo],
        entries: Vec<(u32, LogEntry)>,
        door: LogDoor,
        now: Timestamp,
        rejections: &mut Rejections,
    ) -> Gathered {
        let mut gathered = Gathered { lines: Vec::with_capacity(entries.len()), ..Gathered::default() };
        type Known = (Arc<LogSource>, Owner);
        let mut known: HashMap<(u32, String, String), Known> = HashMap::new();
        for (number, mut entry) in entries {
            let Some(sender) = senders.get(number as usize) else { continue };
            if let Err(rejection) = self.logs.settle(&mut entry, door, now) {
                rejections.add(rejection, 1);
                continue;
            }
            let whose = (number, entry.host.clone(), entry.app.clone());
            let (source, owner) = known.entry(whose).or_insert_with(|| {
                let (owner, machine) = owners(&entry, &sender.target, door);
                let source = LogSource {
                    sender: sender.target.clone(),
                    writer: owner.alias(),
                    machine: machine.as_ref().map(Owner::alias).unwrap_or_default(),
                };
                for owner in [Some(&owner), machine.as_ref()].into_iter().flatten() {
                    if self.logs.is_due(&owner.alias(), now) {
                        gathered.tellings.entry(number).or_default().entity(owner);
                    }
                }
                (Arc::new(source), owner)
            });
            if entry.severity == Severity::Critical {
                match self.logs.may_tell_event(now) {
                    true => gathered.tellings.entry(number).or_default().event(owner, &entry),
                    false => gathered.withheld += 1,
                }
            }
            gathered.lines.push(SourcedLog { source: source.clone(), entry });
        }
        gathered
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(at: i64, host: &str, app: &str) -> LogEntry {
        LogEntry {
            at: Timestamp(at),
            severity: Severity::Info,
            level: String::new(),
            host: host.into(),
            app: app.into(),
            text: "text".into(),
            attributes: Labels::default(),
        }
    }

    #[test]
    fn a_line_is_the_machines_by_syslog_and_the_services_by_otlp() {
        let sender = TargetKey { job: "job".into(), instance: "10.0.0.7".into() };
        let named = |host: &str, app: &str, door| {
            let (owner, machine) = owners(&entry(0, host, app), &sender, door);
            (owner.alias(), machine.map(|machine| machine.alias()))
        };
        assert_eq!(named("Node-7", "sshd", LogDoor::Syslog), ("host:hostname:node-7".into(), None));
        assert_eq!(named("", "sshd", LogDoor::Syslog), ("host:address:10.0.0.7".into(), None));
        let both = ("service:name:pay".to_owned(), Some("host:hostname:node-7".to_owned()));
        assert_eq!(named("node-7", "pay", LogDoor::Otlp), both);
        assert_eq!(named("", "", LogDoor::Otlp), ("service:name:job".into(), None));
    }

    #[test]
    fn a_time_that_cannot_be_is_told_where_somebody_listens() {
        let keeper = LogKeeper::default();
        let now = Timestamp(1_790_000_000_000);
        let mut wrong = entry(0, "h", "a");
        assert_eq!(keeper.settle(&mut wrong, LogDoor::Otlp, now).expect_err("old").reason, Reason::TooOld);
        assert_eq!(keeper.settle(&mut wrong, LogDoor::Syslog, now), Ok(()));
        assert_eq!((wrong.at, wrong.attributes.get(SENT_TIME)), (now, Some("0")));
        let mut ahead = entry(now.0 + 3_600_000, "h", "a");
        assert_eq!(keeper.settle(&mut ahead, LogDoor::Otlp, now).expect_err("new").reason, Reason::TooNew);
    }

    #[test]
    fn writers_and_events_are_told_within_bounds() {
        let keeper = LogKeeper::default();
        let at = |seconds: i64| Timestamp(seconds * 1_000);
        assert!(keeper.is_due("a", at(0)) && !keeper.is_due("a", at(10)) && keeper.is_due("a", at(301)));
        let told = (0..MAX_WRITERS + 10).filter(|n| keeper.is_due(&n.to_string(), at(302))).count();
        assert_eq!(told, MAX_WRITERS - 1, "no more are remembered");
        assert!(keeper.is_due("later", at(1_000)), "and those that fell silent are forgotten");
        let told = (0..MAX_EVENTS_A_MINUTE + 5).filter(|_| keeper.may_tell_event(at(30))).count();
        assert_eq!(told, MAX_EVENTS_A_MINUTE as usize);
        assert!(keeper.may_tell_event(at(60)));
    }
}
