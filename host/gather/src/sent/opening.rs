//! Bodies out of their compression, within one budget: a few bytes can become 32 MiB, and many such bodies at once must not
//! become more memory than there is. Who finds no room waits, and is told to come again.

use super::{SentError, SentReceiver};
use std::{borrow::Cow, ops::Deref, sync::Arc, time::Duration};
use tandem_wire::compressed::{CompressionError, open_encoded, open_snappy, snappy_length};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// All long bodies together when opened, in kibibytes: two of the longest. What is read from one takes some times that.
const OPENED_KIB: usize = 64 << 10;
/// Bodies up to this, in kibibytes, have a budget of their own, so that they do not wait behind long ones.
const SHORT_KIB: usize = 512;
/// All short ones together, in kibibytes.
const ALL_SHORT_KIB: usize = 16 << 10;
/// What the smallest body counts for, in kibibytes.
const LEAST_KIB: usize = 16;
/// What one byte of gzip is taken to become at first; text seldom becomes more. A body that does is opened anew with the
/// room of the longest.
const LIKELY_EXPANSION: usize = 16;
/// How long a body waits for room before its sender is asked to come again.
const ROOM_TIMEOUT: Duration = Duration::from_secs(5);

/// The budgets.
pub(super) struct Opening {
    long: Arc<Semaphore>,
    short: Arc<Semaphore>,
}

impl Default for Opening {
    fn default() -> Self {
        let of = |kibibytes: usize| Arc::new(Semaphore::new(kibibytes));
        Self { long: of(OPENED_KIB), short: of(ALL_SHORT_KIB) }
    }
}

/// An opened body with its room, which is to be held until all that was read from it is done with.
pub struct Opened<'b> {
    bytes: Cow<'b, [u8]>,
    _room: OwnedSemaphorePermit,
}

impl Deref for Opened<'_> {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Opening {
    async fn room(&self, bytes: usize) -> Result<OwnedSemaphorePermit, SentError> {
        let kibibytes = bytes.div_ceil(1_024).clamp(LEAST_KIB, OPENED_KIB);
        let budget = if kibibytes <= SHORT_KIB { &self.short } else { &self.long };
        let share = u32::try_from(kibibytes).unwrap_or(u32::MAX);
        match tokio::time::timeout(ROOM_TIMEOUT, budget.clone().acquire_many_owned(share)).await {
            Ok(Ok(room)) => Ok(room),
            _ => Err(SentError::Busy("more bodies come than can be opened; nothing of this one was kept".into())),
        }
    }
}

impl SentReceiver {
    /// Opens a body that comes plain or as gzip.
    ///
    /// # Errors
    /// When it is damaged, longer than `limit` bytes, of another encoding, or finds no room.
    pub async fn open<'b>(
        &self,
        content_encoding: Option<&str>,
        posted: &'b [u8],
        limit: usize,
    ) -> Result<Opened<'b>, SentError> {
        let plain = content_encoding.is_none_or(|encoding| encoding.trim().is_empty());
        let likely = if plain { posted.len() } else { posted.len().saturating_mul(LIKELY_EXPANSION) }.min(limit);
        let room = self.opening.room(likely).await?;
        match open_encoded(content_encoding, posted, likely.max(LEAST_KIB << 10).min(limit)) {
            Err(CompressionError::TooLong { .. }) if !plain => {
                drop(room);
                let room = self.opening.room(limit).await?;
                Ok(Opened { bytes: open_encoded(content_encoding, posted, limit)?, _room: room })
            }
            opened => Ok(Opened { bytes: opened?, _room: room }),
        }
    }

    /// Opens a body of remote write, which tells its length.
    pub(super) async fn open_snappy(&self, posted: &[u8]) -> Result<Opened<'static>, SentError> {
        let limit = self.limits.decompressed_bytes;
        let room = self.opening.room(snappy_length(posted).min(limit)).await?;
        Ok(Opened { bytes: Cow::Owned(open_snappy(posted, limit)?), _room: room })
    }
}
