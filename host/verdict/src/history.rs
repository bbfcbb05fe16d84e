//! What was said before: a verdict is kept whenever it differs from the last one, so that the question of last Tuesday has the
//! answer of last Tuesday.

use serde::{Deserialize, Serialize};
use tandem_domain::{Record, Timestamp, verdict::Verdict};
use tandem_store::{ReadError, ReadTx, Store, WriteError, WriteTx};

/// Verdicts kept of one service: at one change a minute a week, at a few a day for years.
const KEPT_PER_SERVICE: usize = 10_000;
/// So many are dropped at once when there are more.
const DROPPED_AT_ONCE: usize = 500;

/// A verdict that differed from the one before it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct KeptVerdict {
    verdict: Verdict,
}

impl Record for KeptVerdict {
    const TABLE: &'static str = "verdicts";
    const VERSION: u16 = 1;
    type Key = (String, u64);
    fn key(&self) -> (String, u64) {
        (self.verdict.service.clone(), moment(self.verdict.at))
    }
}

/// A moment as a key; none before 1970 comes from a clock that is right.
fn moment(at: Timestamp) -> u64 {
    at.0.max(0) as u64
}

/// Whether two verdicts say the same, whatever figures they give for it.
fn same(earlier: &Verdict, later: &Verdict) -> bool {
    let said = |verdict: &Verdict| {
        let infrastructure = verdict.infrastructure.clone();
        (
            verdict.model.state,
            infrastructure.state,
            infrastructure.incidents,
            verdict.cause,
            verdict.cause_entity.clone(),
        )
    };
    said(earlier) == said(later)
}

/// Keeps those verdicts that say something new; how many did.
///
/// # Errors
/// When the store cannot be written; nothing was kept then.
pub async fn keep(store: &Store, verdicts: Vec<Verdict>) -> Result<usize, WriteError> {
    let read = store.read()?;
    let is_new = |verdict: &Verdict| -> Result<bool, ReadError> {
        let last = as_of(&read, &verdict.service, Timestamp::MAX)?;
        // A clock that was set back must not write over what was said.
        Ok(last.is_none_or(|last| !same(&last, verdict) && last.at < verdict.at))
    };
    let mut new = Vec::new();
    for verdict in verdicts {
        if is_new(&verdict)? {
            new.push(verdict);
        }
    }
    drop(read);
    if new.is_empty() {
        return Ok(0);
    }
    store
        .write(move |tx| {
            let count = new.len();
            for verdict in new {
                forget(tx, &verdict.service)?;
                tx.put(&KeptVerdict { verdict })?;
            }
            Ok(count)
        })
        .await
}

/// Drops the oldest of a service when there are too many.
fn forget(tx: &mut WriteTx<'_>, service: &str) -> Result<(), WriteError> {
    let all = tx.scan::<KeptVerdict>((service.to_owned(), 0)..=(service.to_owned(), u64::MAX), KEPT_PER_SERVICE + 1)?;
    if all.len() > KEPT_PER_SERVICE {
        all.iter().take(DROPPED_AT_ONCE).try_for_each(|kept| tx.remove::<KeptVerdict>(&kept.key()))?;
    }
    Ok(())
}

/// What was said of a service at a moment, with when it was first said; none before anything was.
///
/// # Errors
/// When the store cannot be read.
pub fn as_of(read: &ReadTx, service: &str, at: Timestamp) -> Result<Option<Verdict>, ReadError> {
    let found = read.scan_back::<KeptVerdict>((service.to_owned(), 0)..=(service.to_owned(), moment(at)), 1)?;
    Ok(found.into_iter().next().map(|kept| kept.verdict))
}

/// What was said of a service before a moment, newest first, at most `limit`.
///
/// # Errors
/// When the store cannot be read.
pub fn before(read: &ReadTx, service: &str, at: Timestamp, limit: usize) -> Result<Vec<Verdict>, ReadError> {
    let found = read.scan_back::<KeptVerdict>((service.to_owned(), 0)..(service.to_owned(), moment(at)), limit)?;
    Ok(found.into_iter().map(|kept| kept.verdict).collect())
}

/// What was said of every service at a moment, by name.
///
/// # Errors
/// When the store cannot be read.
pub fn all_as_of(read: &ReadTx, at: Timestamp) -> Result<Vec<Verdict>, ReadError> {
    let mut found = Vec::new();
    let mut after = String::new();
    // One look for each service: the first verdict behind the last name tells the next name.
    while let Some(first) = read.scan::<KeptVerdict>((after.clone(), u64::MAX).., 1)?.into_iter().next() {
        after = first.verdict.service;
        found.extend(as_of(read, &after, at)?);
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tandem_domain::verdict::{CauseKind, Grounds, Health, InfrastructureAnswer, ModelAnswer};
    use tandem_store::StoreOptions;

    fn verdict(service: &str, at: i64, cause: CauseKind, sentence: &str) -> Verdict {
        Verdict {
            service: service.into(),
            at: Timestamp(at),
            model: ModelAnswer { state: Health::Ok, since: None, evidence: vec![sentence.into()] },
            infrastructure: InfrastructureAnswer { state: Health::Ok, since: None, incidents: Vec::new() },
            cause,
            cause_entity: None,
            sentence: sentence.into(),
            grounds: Grounds::default(),
            demonstration: None,
        }
    }

    #[tokio::test]
    async fn what_is_new_is_kept_and_the_past_answers_as_it_did() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::open(folder.path(), StoreOptions::default()).expect("opens");
        let said = [
            verdict("chat", 100, CauseKind::None, "fine"),
            verdict("chat", 200, CauseKind::None, "fine, with other figures"),
            verdict("chat", 300, CauseKind::Infrastructure, "GPU 3"),
            verdict("chat", 400, CauseKind::None, "fine again"),
        ];
        let mut kept = Vec::new();
        for verdict in &said {
            kept.push(keep(&store, vec![verdict.clone(), verdict_of_other(verdict.at.0)]).await.expect("kept"));
        }
        assert_eq!(kept, [2, 0, 1, 1]);
        let read = store.read().expect("reads");
        let at = |moment| as_of(&read, "chat", Timestamp(moment)).expect("reads").map(|verdict| verdict.sentence);
        assert_eq!(at(99), None);
        assert_eq!(at(250).as_deref(), Some("fine"));
        assert_eq!(at(300).as_deref(), Some("GPU 3"));
        assert_eq!(at(9_999).as_deref(), Some("fine again"));
        let all = all_as_of(&read, Timestamp(350)).expect("reads");
        assert_eq!(all.iter().map(|verdict| verdict.service.as_str()).collect::<Vec<_>>(), ["chat", "search"]);
        let before = before(&read, "chat", Timestamp(400), 10).expect("reads");
        assert_eq!(before.iter().map(|verdict| verdict.at.0).collect::<Vec<_>>(), [300, 100]);
    }

    fn verdict_of_other(at: i64) -> Verdict {
        verdict("search", at, CauseKind::None, "fine")
    }

    #[tokio::test]
    async fn a_clock_that_was_set_back_writes_over_nothing() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::open(folder.path(), StoreOptions::default()).expect("opens");
        let later = verdict("chat", 500, CauseKind::Data, "drift");
        assert_eq!(keep(&store, vec![later.clone()]).await.expect("kept"), 1);
        assert_eq!(keep(&store, vec![verdict("chat", 100, CauseKind::None, "fine")]).await.expect("not kept"), 0);
        assert_eq!(as_of(&store.read().expect("reads"), "chat", Timestamp(600)).expect("reads"), Some(later));
    }
}
