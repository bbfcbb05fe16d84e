//! Log entries as events of the service, or else the machine, that wrote them: kept and found like any other event.

use super::{SentError, SentReceiver};
use std::collections::{BTreeMap, HashMap};
use tandem_domain::{
    Severity, Timestamp,
    collected::{CollectedEvent, CollectedTopology},
    entity::{EntityDraft, IdentityKey, KeyStrength},
    series::Labels,
    target::{TargetInfo, TargetKey},
    topology::TopologyDraft,
};
use tandem_wire::{log_entry::LogEntry, otlp::ResourceInfo};

/// What reports them.
const SOURCE: &str = "logs";

/// Whose a log entry is: the service where it names one, else the machine, else the sender.
fn writer(entry: &LogEntry, sender: &TargetKey) -> (&'static str, &'static str, String) {
    match (entry.app.as_str(), entry.host.as_str()) {
        ("", "") => ("service", "name", sender.job.clone()),
        ("", host) => ("host", "hostname", host.to_owned()),
        (app, _) => ("service", "name", app.to_owned()),
    }
}

fn code(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical => "log.critical",
        Severity::Warning => "log.warning",
        Severity::Info => "log.info",
    }
}

/// Entries of one sender as the topology and events that the map room takes in.
fn collected(sender: TargetInfo, entries: Vec<LogEntry>, now: Timestamp) -> CollectedTopology {
    let mut topology = TopologyDraft::default();
    let mut places: HashMap<(&'static str, String), u32> = HashMap::new();
    let mut events = Vec::with_capacity(entries.len());
    for entry in entries {
        let (kind, scheme, name) = writer(&entry, &sender.key);
        let entity = *places.entry((kind, name.clone())).or_insert_with(|| {
            let key = IdentityKey { scheme: scheme.into(), value: name.clone(), strength: KeyStrength::Local };
            topology.entities.push(EntityDraft {
                kind: kind.into(),
                keys: vec![key],
                name,
                attributes: Labels::default(),
            });
            (topology.entities.len() - 1) as u32
        });
        let known = [("level", &entry.level), ("host", &entry.host), ("app", &entry.app)];
        let known = known.into_iter().map(|(name, value)| (name.to_owned(), value.clone()));
        let more = entry.attributes.iter().map(|(name, value)| (name.to_owned(), value.to_owned()));
        events.push(CollectedEvent {
            at: entry.at,
            entity,
            code: code(entry.severity).into(),
            severity: entry.severity,
            title: entry.text,
            attributes: Labels::new(known.chain(more)),
        });
    }
    CollectedTopology { target: sender, plugin: SOURCE.into(), at: now, topology, events }
}

impl SentReceiver {
    /// Commits log entries, each with the index of its sender.
    pub(super) async fn log_entries(
        &self,
        senders: Vec<ResourceInfo>,
        entries: Vec<(u32, LogEntry)>,
        now: Timestamp,
    ) -> Result<(), SentError> {
        let mut by_sender: BTreeMap<u32, Vec<LogEntry>> = BTreeMap::new();
        for (sender, entry) in entries {
            by_sender.entry(sender).or_default().push(entry);
        }
        let brought: Vec<CollectedTopology> = by_sender
            .into_iter()
            .filter_map(|(sender, entries)| Some((senders.get(sender as usize)?, entries)))
            .map(|(sender, entries)| {
                collected(TargetInfo { key: sender.target.clone(), labels: sender.labels.clone() }, entries, now)
            })
            .collect();
        if brought.is_empty() {
            return Ok(());
        }
        self.store.write(move |tx| brought.iter().try_for_each(|one| tx.append(one).map(drop))).await?;
        Ok(())
    }
}
