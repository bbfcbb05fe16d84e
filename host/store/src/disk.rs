//! Where files lie: in a folder of the machine's, or on a disk of a test. What the store keeps beside its one file goes through
//! here, so that a test's disk can lose what was not synced of that too.

use redb::StorageBackend;
use std::{
    fmt::Debug,
    fs::File,
    io,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

/// Files by name.
pub trait Disk: Debug + Send + Sync + 'static {
    /// Opens a file, and makes it when there is none.
    ///
    /// # Errors
    /// When it cannot be opened; so for all functions here.
    fn open(&self, name: &str) -> io::Result<Box<dyn StorageBackend>>;

    /// The names of all files.
    ///
    /// # Errors
    /// As [`Disk::open`].
    fn names(&self) -> io::Result<Vec<String>>;

    /// Removes a file; no error when there is none.
    ///
    /// # Errors
    /// As [`Disk::open`].
    fn remove(&self, name: &str) -> io::Result<()>;

    /// Makes durable which files there are.
    ///
    /// # Errors
    /// As [`Disk::open`].
    fn sync_names(&self) -> io::Result<()>;
}

/// A folder of the machine's.
#[derive(Debug)]
pub(crate) struct Folder(PathBuf);

impl Folder {
    /// The folder, made when there is none.
    pub(crate) fn at(path: &Path) -> io::Result<Self> {
        std::fs::create_dir_all(path)?;
        Ok(Self(path.to_owned()))
    }
}

impl Disk for Folder {
    fn open(&self, name: &str) -> io::Result<Box<dyn StorageBackend>> {
        let path = self.0.join(name);
        let file = File::options().read(true).write(true).create(true).truncate(false).open(path)?;
        Ok(Box::new(PlainFile(file)))
    }

    fn names(&self) -> io::Result<Vec<String>> {
        std::fs::read_dir(&self.0)?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        match std::fs::remove_file(self.0.join(name)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => removed,
        }
    }

    fn sync_names(&self) -> io::Result<()> {
        File::open(&self.0)?.sync_all()
    }
}

/// A file as redb's backends are shaped; without a lock, since the store's one file is locked.
#[derive(Debug)]
struct PlainFile(File);

impl StorageBackend for PlainFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.0.read_exact_at(out, offset)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.0.write_all_at(data, offset)
    }
}
