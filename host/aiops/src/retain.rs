//! Forgetting: logs and closed findings are kept by age and number, so that the file does not grow for ever. What a room has
//! not read yet is never dropped.

use crate::{
    alert,
    correlate::{LIFECYCLE_CURSOR, PASS_CURSOR},
    room::{Progress, Room, RoomError, reading},
    signal::{FaultChange, FindingChange, MeaningChange},
};
use serde::Deserialize;
use tandem_domain::{
    LogRecord, Timestamp,
    alert::{AlertChange, ToldAlert},
    event::Event,
    finding::Finding,
    incident::IncidentChange,
};
use tandem_store::{ReadError, ReadTx, Store};

/// How often old records are looked for.
const EVERY_MILLIS: i64 = 60_000;
/// Records dropped at once per log; a backlog goes in steps.
const MAX_DROPPED: usize = 5_000;
/// Records of the logs between rooms that are kept after they were read, for whoever looks into a case.
const KEPT_BETWEEN_ROOMS: u64 = 10_000;

/// How long events, changes and findings are kept.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RetainConfig {
    /// Events and findings older than so many days are dropped.
    pub days: u64,
    /// Of events, changes and findings at most so many of each are kept.
    pub records: u64,
}

impl Default for RetainConfig {
    fn default() -> Self {
        Self { days: 30, records: 200_000 }
    }
}

impl RetainConfig {
    /// Checks what the shapes alone do not say.
    ///
    /// # Errors
    /// In words, with what to do.
    pub fn validate(&self) -> Result<(), String> {
        if !(1..=3_650).contains(&self.days) {
            return Err("days must be 1 to 3650".into());
        }
        if self.records < 10_000 {
            return Err("records must be at least 10000, so that rooms can catch up".into());
        }
        Ok(())
    }
}

/// The caretaker.
pub struct RetainRoom {
    store: Store,
    config: RetainConfig,
    next_at: Timestamp,
}

/// Up to where a log can be dropped: what is too many or too old, in steps.
fn droppable<L: LogRecord>(
    read: &ReadTx,
    kept: u64,
    is_old: impl Fn(&L) -> bool,
    unread_after: u64,
) -> Result<u64, ReadError> {
    let end = read.log_end::<L>()?;
    let mut through = 0;
    for (sequence, record) in read.log_after::<L>(0, MAX_DROPPED)? {
        if sequence + kept > end && !is_old(&record) {
            break;
        }
        through = sequence;
    }
    Ok(through.min(unread_after))
}

/// What can go.
struct Droppable {
    events: u64,
    alert_changes: u64,
    fault_changes: u64,
    told_alerts: u64,
    finding_changes: u64,
    meaning_changes: u64,
    incident_changes: u64,
    findings: Vec<u64>,
}

fn look(read: &ReadTx, config: &RetainConfig, oldest: Timestamp) -> Result<Droppable, ReadError> {
    let alerts_read = read.cursor(LIFECYCLE_CURSOR)?.min(read.cursor(PASS_CURSOR)?);
    let too_many = read.count::<Finding>()?.saturating_sub(config.records) as usize;
    let findings = read.scan::<Finding>(.., MAX_DROPPED)?;
    let old = findings
        .into_iter()
        .enumerate()
        .filter(|(place, finding)| *place < too_many || finding.ended_at.is_some_and(|ended| ended < oldest));
    Ok(Droppable {
        events: droppable::<Event>(read, config.records, |event| event.at < oldest, u64::MAX)?,
        alert_changes: droppable::<AlertChange>(
            read,
            config.records,
            |change| change.alert.changed_at < oldest,
            alerts_read,
        )?,
        fault_changes: droppable::<FaultChange>(read, KEPT_BETWEEN_ROOMS, |_| false, read.cursor(alert::CURSOR)?)?,
        told_alerts: droppable::<ToldAlert>(read, KEPT_BETWEEN_ROOMS, |_| false, read.cursor(alert::TOLD_CURSOR)?)?,
        finding_changes: droppable::<FindingChange>(
            read,
            config.records.min(KEPT_BETWEEN_ROOMS * 5),
            |_| false,
            u64::MAX,
        )?,
        meaning_changes: droppable::<MeaningChange>(read, KEPT_BETWEEN_ROOMS, |_| false, u64::MAX)?,
        incident_changes: droppable::<IncidentChange>(read, config.records, |change| change.at < oldest, u64::MAX)?,
        findings: old.map(|(_, finding)| finding.id).collect(),
    })
}

impl RetainRoom {
    /// A caretaker over a store.
    pub fn new(store: Store, config: RetainConfig) -> Self {
        Self { store, config, next_at: Timestamp::MIN }
    }
}

impl Room for RetainRoom {
    fn name(&self) -> &'static str {
        "retain"
    }

    async fn step(&mut self, now: Timestamp) -> Result<Progress, RoomError> {
        if now < self.next_at {
            return Ok(Progress { wake_at: Some(self.next_at), ..Progress::default() });
        }
        self.next_at = now.plus_millis(EVERY_MILLIS);
        let config = self.config.clone();
        let oldest = now.plus_millis(-(self.config.days as i64) * 86_400_000);
        let found = reading(&self.store, move |read| look(read, &config, oldest)).await?;
        let logs = [
            found.events,
            found.alert_changes,
            found.fault_changes,
            found.told_alerts,
            found.finding_changes,
            found.meaning_changes,
            found.incident_changes,
        ];
        if found.findings.is_empty() && logs.iter().all(|through| *through == 0) {
            return Ok(Progress { wake_at: Some(self.next_at), ..Progress::default() });
        }
        self.store
            .write(move |tx| {
                tx.trim_log::<Event>(found.events)?;
                tx.trim_log::<AlertChange>(found.alert_changes)?;
                tx.trim_log::<FaultChange>(found.fault_changes)?;
                tx.trim_log::<ToldAlert>(found.told_alerts)?;
                tx.trim_log::<FindingChange>(found.finding_changes)?;
                tx.trim_log::<MeaningChange>(found.meaning_changes)?;
                tx.trim_log::<IncidentChange>(found.incident_changes)?;
                found.findings.iter().try_for_each(|id| tx.remove::<Finding>(id))
            })
            .await?;
        Ok(Progress { worked: true, more: false, wake_at: Some(self.next_at) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::open;

    #[tokio::test]
    async fn what_is_old_goes_and_what_is_unread_stays() {
        let (store, _folder) = open();
        let old = crate::alert::rules::tests::change(1, 0, true);
        store
            .write(move |tx| {
                for _ in 0..KEPT_BETWEEN_ROOMS + 100 {
                    tx.append(&old)?;
                }
                tx.set_cursor(alert::CURSOR, 40)
            })
            .await
            .unwrap();
        let mut room = RetainRoom::new(store.clone(), RetainConfig::default());
        room.step(Timestamp(1)).await.unwrap();
        let left = store.read().unwrap().log_after::<FaultChange>(0, 1).unwrap();
        assert_eq!(left[0].0, 41, "the hundred oldest are too many, but only forty of them are read");
    }
}
