//! A disk that throws away what was not synced, and that runs out of space, for tests of durability here and end to end.

use crate::Disk;
use parking_lot::Mutex;
use redb::StorageBackend;
use std::{
    collections::{BTreeMap, btree_map::Entry},
    io,
    sync::Arc,
};

/// A disk whose power can be cut: what was written since a file's last sync is kept apart and lost at the cut, and so is which
/// files there are since the names were last synced.
#[derive(Debug, Clone, Default)]
pub struct LossyDisk(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    files: BTreeMap<u64, FileState>,
    names: BTreeMap<String, u64>,
    durable_names: BTreeMap<String, u64>,
    syncs: u64,
    cut_at_sync: Option<u64>,
    lose_answer_of_sync: Option<u64>,
    cut: bool,
    free_bytes: Option<u64>,
    /// Every `n`th unsynced write reaches the platter anyway: caches write back when they like.
    leak_every: Option<u64>,
    write_count: u64,
}

#[derive(Debug, Default)]
struct FileState {
    durable: Vec<u8>,
    volatile: Vec<u8>,
    /// Writes since the last sync, by their number.
    writes: BTreeMap<u64, (u64, Vec<u8>)>,
}

impl LossyDisk {
    /// Cuts the power just before the sync with this number (from 1) takes effect.
    pub fn cut_at_sync(&self, sync: u64) {
        self.0.lock().cut_at_sync = Some(sync);
    }

    /// Has the sync with this number (from 1) take effect and answer that it failed, as a disk does whose answer comes too late.
    pub fn lose_answer_of_sync(&self, sync: u64) {
        self.0.lock().lose_answer_of_sync = Some(sync);
    }

    /// Lets every `n`th unsynced write survive a cut, as a disk's cache may.
    pub fn leak_every(&self, n: u64) {
        self.0.lock().leak_every = Some(n);
    }

    /// Limits how far the disk can grow; `None` lifts the limit.
    pub fn limit_bytes(&self, bytes: Option<u64>) {
        self.0.lock().free_bytes = bytes;
    }

    /// How many syncs there were, of files and of names.
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
        disk.lose_what_is_volatile();
        disk.cut = false;
        disk.cut_at_sync = None;
    }

    /// The same disk in the next machine: only what was durable is there. Whatever still holds this one finds its power off
    /// for ever, as a machine does that was switched off.
    #[must_use]
    pub fn in_next_machine(&self) -> Self {
        let mut disk = self.0.lock();
        disk.cut = true;
        let file = |file: &FileState| FileState { durable: file.durable.clone(), ..FileState::default() };
        let mut next = State {
            files: disk.files.iter().map(|(number, state)| (*number, file(state))).collect(),
            durable_names: disk.durable_names.clone(),
            syncs: disk.syncs,
            ..State::default()
        };
        next.lose_what_is_volatile();
        Self(Arc::new(Mutex::new(next)))
    }

    /// The present length of all files together, in bytes.
    pub fn len_bytes(&self) -> u64 {
        self.0.lock().len_bytes()
    }
}

impl State {
    fn alive(&self) -> io::Result<()> {
        if self.cut { Err(io::Error::other("the power is off")) } else { Ok(()) }
    }

    fn len_bytes(&self) -> u64 {
        let named = self.names.values().filter_map(|number| self.files.get(number));
        named.map(|file| file.volatile.len() as u64).sum()
    }

    fn lose_what_is_volatile(&mut self) {
        self.names = self.durable_names.clone();
        for file in self.files.values_mut() {
            file.volatile.clone_from(&file.durable);
            file.writes.clear();
        }
    }

    /// Counts a sync; an error when the power goes at it.
    fn sync(&mut self) -> io::Result<()> {
        self.alive()?;
        self.syncs += 1;
        if self.cut_at_sync == Some(self.syncs) {
            self.cut = true;
            self.leak();
        }
        self.alive()
    }

    /// After what was synced is durable: an error where that is not to be told.
    fn synced(&self) -> io::Result<()> {
        if self.lose_answer_of_sync == Some(self.syncs) {
            return Err(io::Error::other("the disk did not answer in time"));
        }
        Ok(())
    }

    /// At the cut: writes that the cache happened to have written back reach the durable image.
    fn leak(&mut self) {
        let Some(every) = self.leak_every else { return };
        for file in self.files.values_mut() {
            let writes = std::mem::take(&mut file.writes);
            for (_, (offset, data)) in writes.into_iter().filter(|(number, _)| number % every == 0) {
                let end = offset as usize + data.len();
                if file.durable.len() < end {
                    file.durable.resize(end, 0);
                }
                file.durable[offset as usize..end].copy_from_slice(&data);
            }
        }
    }
}

impl Disk for LossyDisk {
    fn open(&self, name: &str) -> io::Result<Box<dyn StorageBackend>> {
        let mut disk = self.0.lock();
        disk.alive()?;
        let fresh = disk.files.keys().last().map_or(0, |number| number + 1);
        let number = match disk.names.entry(name.to_owned()) {
            Entry::Occupied(known) => *known.get(),
            Entry::Vacant(vacant) => *vacant.insert(fresh),
        };
        disk.files.entry(number).or_default();
        Ok(Box::new(LossyFile { disk: self.0.clone(), number }))
    }

    fn names(&self) -> io::Result<Vec<String>> {
        let disk = self.0.lock();
        disk.alive()?;
        Ok(disk.names.keys().cloned().collect())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut disk = self.0.lock();
        disk.alive()?;
        disk.names.remove(name);
        Ok(())
    }

    fn sync_names(&self) -> io::Result<()> {
        let mut disk = self.0.lock();
        disk.sync()?;
        disk.durable_names = disk.names.clone();
        disk.synced()
    }
}

/// One file of a [`LossyDisk`].
#[derive(Debug)]
struct LossyFile {
    disk: Arc<Mutex<State>>,
    number: u64,
}

impl LossyFile {
    fn with<T>(&self, work: impl FnOnce(&mut State, u64) -> io::Result<T>) -> io::Result<T> {
        let mut disk = self.disk.lock();
        disk.alive()?;
        work(&mut disk, self.number)
    }
}

fn beyond_the_end() -> io::Error {
    io::Error::other("beyond the end")
}

impl State {
    fn file(&mut self, number: u64) -> &mut FileState {
        self.files.entry(number).or_default()
    }
}

impl StorageBackend for LossyFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.disk.lock().file(self.number).volatile.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.with(|disk, number| {
            let start = offset as usize;
            let found = disk.file(number).volatile.get(start..start + out.len()).ok_or_else(beyond_the_end)?;
            out.copy_from_slice(found);
            Ok(())
        })
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.with(|disk, number| {
            let (before, free, all) = (disk.file(number).volatile.len() as u64, disk.free_bytes, disk.len_bytes());
            if free.is_some_and(|limit| len > before && all - before + len > limit) {
                return Err(io::Error::from(io::ErrorKind::StorageFull));
            }
            disk.file(number).volatile.resize(len as usize, 0);
            Ok(())
        })
    }

    fn sync_data(&self) -> io::Result<()> {
        self.with(|disk, number| {
            disk.sync()?;
            let file = disk.file(number);
            file.durable.clone_from(&file.volatile);
            file.writes.clear();
            disk.synced()
        })
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.with(|disk, number| {
            disk.write_count += 1;
            let count = disk.write_count;
            let file = disk.file(number);
            let end = offset as usize + data.len();
            file.volatile.get_mut(offset as usize..end).ok_or_else(beyond_the_end)?.copy_from_slice(data);
            file.writes.insert(count, (offset, data.to_vec()));
            Ok(())
        })
    }
}
