//! A storage backend that throws away what was not synced, and one that runs out of space, for tests of durability here and
//! end to end.

use parking_lot::Mutex;
use redb::StorageBackend;
use std::{collections::BTreeMap, sync::Arc};

/// A disk whose power can be cut: writes since the last sync are kept apart and lost at the cut.
#[derive(Debug, Clone, Default)]
pub struct LossyDisk(Arc<Mutex<Disk>>);

#[derive(Debug, Default)]
struct Disk {
    durable: Vec<u8>,
    volatile: Vec<u8>,
    syncs: u64,
    cut_at_sync: Option<u64>,
    cut: bool,
    free_bytes: Option<u64>,
    /// Every `n`th unsynced write reaches the platter anyway: caches write back when they like.
    leak_every: Option<u64>,
    writes: BTreeMap<u64, (u64, Vec<u8>)>,
    write_count: u64,
}

impl LossyDisk {
    /// Cuts the power just before the sync with this number (from 1) takes effect.
    pub fn cut_at_sync(&self, sync: u64) {
        self.0.lock().cut_at_sync = Some(sync);
    }

    /// Lets every `n`th unsynced write survive a cut, as a disk's cache may.
    pub fn leak_every(&self, n: u64) {
        self.0.lock().leak_every = Some(n);
    }

    /// Limits how far the disk can grow; `None` lifts the limit.
    pub fn limit_bytes(&self, bytes: Option<u64>) {
        self.0.lock().free_bytes = bytes;
    }

    /// How many syncs there were.
    pub fn syncs(&self) -> u64 {
        self.0.lock().syncs
    }

    /// Whether the power was cut.
    pub fn is_cut(&self) -> bool {
        self.0.lock().cut
    }

    /// Power comes back: only what was durable is there.
    pub fn restore_power(&self) {
        let mut disk = self.0.lock();
        disk.volatile = disk.durable.clone();
        disk.writes.clear();
        disk.cut = false;
        disk.cut_at_sync = None;
    }

    /// The same disk in the next machine: only what was durable is there. Whatever still holds this one finds its power off
    /// for ever, as a machine does that was switched off.
    #[must_use]
    pub fn in_next_machine(&self) -> Self {
        let mut disk = self.0.lock();
        disk.cut = true;
        let (durable, volatile) = (disk.durable.clone(), disk.durable.clone());
        Self(Arc::new(Mutex::new(Disk { durable, volatile, syncs: disk.syncs, ..Disk::default() })))
    }

    /// The present length in bytes.
    pub fn len_bytes(&self) -> u64 {
        self.0.lock().volatile.len() as u64
    }
}

impl Disk {
    fn alive(&self) -> Result<(), std::io::Error> {
        if self.cut { Err(std::io::Error::other("the power is off")) } else { Ok(()) }
    }

    fn make_durable(&mut self) {
        self.durable.clone_from(&self.volatile);
        self.writes.clear();
    }

    /// At the cut: writes that the cache happened to have written back reach the durable image.
    fn leak(&mut self) {
        let Some(every) = self.leak_every else { return };
        let writes = std::mem::take(&mut self.writes);
        for (number, (offset, data)) in writes {
            if number % every == 0 {
                let end = offset as usize + data.len();
                if self.durable.len() < end {
                    self.durable.resize(end, 0);
                }
                self.durable[offset as usize..end].copy_from_slice(&data);
            }
        }
    }
}

impl StorageBackend for LossyDisk {
    fn len(&self) -> Result<u64, std::io::Error> {
        Ok(self.0.lock().volatile.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), std::io::Error> {
        let disk = self.0.lock();
        disk.alive()?;
        let start = offset as usize;
        let found =
            disk.volatile.get(start..start + out.len()).ok_or_else(|| std::io::Error::other("beyond the end"))?;
        out.copy_from_slice(found);
        Ok(())
    }

    fn set_len(&self, len: u64) -> Result<(), std::io::Error> {
        let mut disk = self.0.lock();
        disk.alive()?;
        if disk.free_bytes.is_some_and(|limit| len > limit) {
            return Err(std::io::Error::from(std::io::ErrorKind::StorageFull));
        }
        disk.volatile.resize(len as usize, 0);
        Ok(())
    }

    fn sync_data(&self) -> Result<(), std::io::Error> {
        let mut disk = self.0.lock();
        disk.alive()?;
        disk.syncs += 1;
        if disk.cut_at_sync == Some(disk.syncs) {
            disk.cut = true;
            disk.leak();
            return disk.alive();
        }
        disk.make_durable();
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<(), std::io::Error> {
        let mut disk = self.0.lock();
        disk.alive()?;
        let end = offset as usize + data.len();
        if disk.volatile.len() < end {
            return Err(std::io::Error::other("beyond the end"));
        }
        disk.volatile[offset as usize..end].copy_from_slice(data);
        disk.write_count += 1;
        let number = disk.write_count;
        disk.writes.insert(number, (offset, data.to_vec()));
        Ok(())
    }
}
