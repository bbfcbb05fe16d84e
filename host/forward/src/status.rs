//! How a forward stands: counters since the server started, and its state in words.

use parking_lot::Mutex;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use tandem_domain::Timestamp;
use tandem_wire::remote_write::Protocol;

/// How often the log tells of dropped samples, in milliseconds; all are counted.
const LOG_LOSSES_EVERY_MILLIS: i64 = 10_000;

/// What a forward is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ForwardState {
    /// It sends what comes, or waits for it.
    Sending,
    /// The receiver did not take the last request; it is tried again.
    Retrying,
    /// It has fallen behind the log and reads chunks.
    CatchingUp,
    /// It leads back to this server and has been stopped.
    Refused,
}

impl ForwardState {
    /// In one word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sending => "sending",
            Self::Retrying => "retrying",
            Self::CatchingUp => "catching-up",
            Self::Refused => "refused",
        }
    }
}

/// Why a sample was not delivered and never will be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DropReason {
    /// The receiver refused it.
    Refused,
    /// The receiver said 2xx, and that it wrote less than it was sent.
    NotWritten,
    /// The receiver refused it when it was sent again after a restart; most likely it has it.
    Repeated,
    /// It waited longer than `keep`.
    Expired,
    /// Its series was deleted before it was sent.
    Deleted,
}

const REASONS: [(DropReason, &str); 5] = [
    (DropReason::Refused, "refused"),
    (DropReason::NotWritten, "not_written"),
    (DropReason::Repeated, "repeated"),
    (DropReason::Expired, "expired"),
    (DropReason::Deleted, "deleted"),
];

/// How a forward stands.
#[derive(Debug, Clone, PartialEq)]
pub struct ForwardStatus {
    /// Its name.
    pub name: String,
    /// The receiver, without what may be secret.
    pub url: String,
    /// What it is doing.
    pub state: ForwardState,
    /// `1.0` or `2.0`.
    pub protocol: &'static str,
    /// Samples that the receiver took.
    pub samples: u64,
    /// Bytes posted, compressed, tries included.
    pub bytes: u64,
    /// Requests tried.
    pub requests: u64,
    /// Of them those that failed and were tried again.
    pub retries: u64,
    /// Samples that will not be delivered, by reason.
    pub dropped: Vec<(&'static str, u64)>,
    /// Batches of the log that were given up unread, because they waited longer than `keep`.
    pub skipped_batches: u64,
    /// Batches of the log that were trimmed unread and made good from the chunks.
    pub trimmed_batches: u64,
    /// Samples under way.
    pub pending_samples: u64,
    /// Batches of the log that are not settled.
    pub pending_batches: u64,
    /// How old the newest settled sample is while something waits, in milliseconds; 0 when nothing does.
    pub lag_millis: i64,
    /// Requests that went at once in the last round.
    pub shards: u64,
    /// When the receiver last took something.
    pub last_success_at: Option<Timestamp>,
    /// What was wrong last; none when the last request was taken.
    pub failure: Option<String>,
    /// What was dropped or skipped last, in words.
    pub last_loss: Option<String>,
}

/// What a lane tells of itself.
#[derive(Debug)]
pub(crate) struct Telling {
    pub samples: AtomicU64,
    pub bytes: AtomicU64,
    pub requests: AtomicU64,
    pub retries: AtomicU64,
    pub skipped_batches: AtomicU64,
    pub trimmed_batches: AtomicU64,
    pub pending_samples: AtomicU64,
    pub through: AtomicU64,
    pub reached: AtomicI64,
    pub shards: AtomicU64,
    dropped: [AtomicU64; REASONS.len()],
    words: Mutex<Words>,
}

#[derive(Debug)]
struct Words {
    state: ForwardState,
    protocol: Protocol,
    last_success_at: Option<Timestamp>,
    failure: Option<String>,
    last_loss: Option<String>,
    loss_logged_at: Option<Timestamp>,
}

pub(crate) fn add(counter: &AtomicU64, more: u64) {
    counter.fetch_add(more, Ordering::Relaxed);
}

impl Telling {
    pub(crate) fn new(protocol: Protocol) -> Self {
        let words = Words {
            state: ForwardState::Sending,
            protocol,
            last_success_at: None,
            failure: None,
            last_loss: None,
            loss_logged_at: None,
        };
        Self {
            samples: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            requests: AtomicU64::new(0),
            retries: AtomicU64::new(0),
            skipped_batches: AtomicU64::new(0),
            trimmed_batches: AtomicU64::new(0),
            pending_samples: AtomicU64::new(0),
            through: AtomicU64::new(0),
            reached: AtomicI64::new(i64::MIN),
            shards: AtomicU64::new(0),
            dropped: Default::default(),
            words: Mutex::new(words),
        }
    }

    pub(crate) fn state(&self, state: ForwardState) {
        self.words.lock().state = state;
    }

    pub(crate) fn protocol(&self, protocol: Protocol) {
        self.words.lock().protocol = protocol;
    }

    /// The receiver took something.
    pub(crate) fn succeeded(&self, now: Timestamp) {
        let mut words = self.words.lock();
        (words.last_success_at, words.failure) = (Some(now), None);
        if words.state == ForwardState::Retrying {
            words.state = ForwardState::Sending;
        }
    }

    /// It did not; answers whether that is news.
    pub(crate) fn failed(&self, why: String, state: ForwardState) -> bool {
        let mut words = self.words.lock();
        let news = words.failure.is_none();
        (words.failure, words.state) = (Some(why), state);
        news
    }

    /// Samples are lost to the receiver; answers whether the log should tell of it.
    pub(crate) fn dropped(&self, reason: DropReason, samples: u64, why: &str, now: Timestamp) -> bool {
        let mut words = self.words.lock();
        for ((known, word), counter) in REASONS.iter().zip(&self.dropped) {
            if *known == reason {
                add(counter, samples);
                words.last_loss = Some(format!("{samples} samples {}: {why}", word.replace('_', " ")));
            }
        }
        let due = words.loss_logged_at.is_none_or(|at| now.millis_since(at) >= LOG_LOSSES_EVERY_MILLIS);
        if due {
            words.loss_logged_at = Some(now);
        }
        due
    }

    /// Batches are lost to the receiver.
    pub(crate) fn skipped(&self, batches: u64, why: String) {
        add(&self.skipped_batches, batches);
        self.words.lock().last_loss = Some(why);
    }

    pub(crate) fn status(&self, name: &str, url: &str, samples_end: u64, now: Timestamp) -> ForwardStatus {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let words = self.words.lock();
        let pending_batches = samples_end.saturating_sub(read(&self.through));
        let reached = Timestamp(self.reached.load(Ordering::Relaxed));
        let behind = pending_batches > 0 && reached != Timestamp::MIN;
        ForwardStatus {
            name: name.to_owned(),
            url: url.to_owned(),
            state: words.state,
            protocol: match words.protocol {
                Protocol::V1 => "1.0",
                Protocol::V2 => "2.0",
            },
            samples: read(&self.samples),
            bytes: read(&self.bytes),
            requests: read(&self.requests),
            retries: read(&self.retries),
            dropped: REASONS.iter().zip(&self.dropped).map(|((_, word), count)| (*word, read(count))).collect(),
            skipped_batches: read(&self.skipped_batches),
            trimmed_batches: read(&self.trimmed_batches),
            pending_samples: read(&self.pending_samples),
            pending_batches,
            lag_millis: if behind { now.millis_since(reached).max(0) } else { 0 },
            shards: read(&self.shards),
            last_success_at: words.last_success_at,
            failure: words.failure.clone(),
            last_loss: words.last_loss.clone(),
        }
    }
}
