//! The file: opening, its format, migrations.

use crate::error::OpenError;
use redb::{
    Builder, Database, DatabaseError, ReadableDatabase, StorageBackend, TableDefinition, TableHandle, WriteTransaction,
};
use std::path::{Path, PathBuf};

/// The format this server writes; raised when a migration is needed.
pub(crate) const FORMAT: u64 = 1;
/// Facts about the file itself.
const META: TableDefinition<&str, u64> = TableDefinition::new("meta");
/// The file's name in the data folder.
const FILE_NAME: &str = "tandem.redb";

/// Migrations by the format they start from; each runs in the transaction that raises the format.
type Migration = (u64, fn(&WriteTransaction) -> Result<(), redb::Error>);
const MIGRATIONS: &[Migration] = &[];

/// Where the bytes lie.
pub(crate) enum Place {
    /// In a folder of the machine's.
    Folder(PathBuf),
    /// In a backend made anew at each opening, for tests of failures.
    Backend(Box<dyn Fn() -> Box<dyn StorageBackend> + Send + Sync>),
}

impl Place {
    fn path(&self) -> PathBuf {
        match self {
            Place::Folder(folder) => folder.join(FILE_NAME),
            Place::Backend(_) => PathBuf::from("(test backend)"),
        }
    }

    /// Bytes of the file on disk; 0 where there is none.
    pub(crate) fn file_bytes(&self) -> u64 {
        std::fs::metadata(self.path()).map(|data| data.len()).unwrap_or(0)
    }

    /// Opens the file, makes it when there is none, migrates it when it is older.
    pub(crate) fn open(&self, cache_bytes: usize) -> Result<Database, OpenError> {
        let path = self.path();
        let unusable = |what: String| OpenError::Unusable { path: path.clone(), what };
        let mut builder = Builder::new();
        builder.set_cache_size(cache_bytes);
        let opened = match self {
            Place::Folder(folder) => {
                std::fs::create_dir_all(folder).map_err(|error| unusable(error.to_string()))?;
                refuse_foreign(&path)?;
                builder.create(&path)
            }
            Place::Backend(make) => builder.create_with_backend(ErasedBackend(make())),
        };
        let database = opened.map_err(|error| match error {
            DatabaseError::DatabaseAlreadyOpen => OpenError::Locked { path: path.clone() },
            other => unusable(other.to_string()),
        })?;
        bring_to_format(&database, &path, MIGRATIONS)?;
        Ok(database)
    }
}

/// redb takes a backend by type, the factory gives a boxed one.
#[derive(Debug)]
struct ErasedBackend(Box<dyn StorageBackend>);

impl StorageBackend for ErasedBackend {
    fn len(&self) -> Result<u64, std::io::Error> {
        self.0.len()
    }
    fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), std::io::Error> {
        self.0.read(offset, out)
    }
    fn set_len(&self, len: u64) -> Result<(), std::io::Error> {
        self.0.set_len(len)
    }
    fn sync_data(&self) -> Result<(), std::io::Error> {
        self.0.sync_data()
    }
    fn write(&self, offset: u64, data: &[u8]) -> Result<(), std::io::Error> {
        self.0.write(offset, data)
    }
    fn close(&self) -> Result<(), std::io::Error> {
        self.0.close()
    }
}

/// A file that is there and does not begin as redb's files do is somebody else's.
fn refuse_foreign(path: &Path) -> Result<(), OpenError> {
    use std::io::Read;
    let Ok(mut file) = std::fs::File::open(path) else { return Ok(()) };
    let mut start = [0u8; 4];
    match file.read(&mut start) {
        Ok(0) => Ok(()),
        Ok(_) if &start == b"redb" => Ok(()),
        Ok(_) => Err(OpenError::Foreign { path: path.into(), what: "it does not begin as a redb file does".into() }),
        Err(error) => Err(OpenError::Unusable { path: path.into(), what: error.to_string() }),
    }
}

fn bring_to_format(database: &Database, path: &Path, migrations: &[Migration]) -> Result<(), OpenError> {
    let unusable = |what: String| OpenError::Unusable { path: path.into(), what };
    let found = read_format(database).map_err(|error| unusable(error.to_string()))?;
    let mut format = match found {
        Found::Empty => FORMAT,
        Found::Foreign(what) => return Err(OpenError::Foreign { path: path.into(), what }),
        Found::Format(format) if format > FORMAT => {
            return Err(OpenError::Newer { path: path.into(), found: format, known: FORMAT });
        }
        Found::Format(FORMAT) => return Ok(()),
        Found::Format(older) => older,
    };
    let raise = || -> Result<(), redb::Error> {
        let transaction = database.begin_write()?;
        while format < FORMAT {
            if let Some((_, migrate)) = migrations.iter().find(|(from, _)| *from == format) {
                migrate(&transaction)?;
            }
            format += 1;
        }
        transaction.open_table(META)?.insert("format", FORMAT)?;
        transaction.commit()?;
        Ok(())
    };
    let mut raise = raise;
    raise().map_err(|error| unusable(error.to_string()))
}

enum Found {
    Empty,
    Foreign(String),
    Format(u64),
}

fn read_format(database: &Database) -> Result<Found, redb::Error> {
    let transaction = database.begin_read()?;
    let tables: Vec<String> = transaction.list_tables()?.map(|table| table.name().to_owned()).collect();
    if tables.is_empty() {
        return Ok(Found::Empty);
    }
    if !tables.iter().any(|name| name == "meta") {
        return Ok(Found::Foreign(format!("it holds {} tables and no format", tables.len())));
    }
    match transaction.open_table(META) {
        Ok(meta) => {
            Ok(meta.get("format")?.map_or(Found::Foreign("it holds no format".into()), |f| Found::Format(f.value())))
        }
        Err(error) => Ok(Found::Foreign(error.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder() -> tempfile::TempDir {
        tempfile::tempdir().expect("a folder")
    }

    #[test]
    fn a_newer_file_is_refused_and_left_as_it_is() {
        let folder = folder();
        let place = Place::Folder(folder.path().into());
        let database = place.open(1 << 20).expect("opens");
        let transaction = database.begin_write().expect("writes");
        transaction.open_table(META).expect("meta").insert("format", FORMAT + 1).expect("inserts");
        transaction.commit().expect("commits");
        drop(database);
        let error = place.open(1 << 20).expect_err("refuses").to_string();
        assert!(error.contains("newer Tandem"), "{error}");
        let again = place.open(1 << 20).expect_err("refuses again");
        assert!(matches!(again, OpenError::Newer { found, known, .. } if found == known + 1));
        let left = Builder::new().open(folder.path().join(FILE_NAME)).expect("still a store");
        assert!(matches!(read_format(&left).expect("reads"), Found::Format(found) if found == FORMAT + 1));
    }

    #[test]
    fn somebody_elses_file_is_refused_and_left_as_it_is() {
        let folder = folder();
        std::fs::write(folder.path().join(FILE_NAME), "not a store").expect("writes");
        let error = Place::Folder(folder.path().into()).open(1 << 20).expect_err("refuses");
        assert!(matches!(error, OpenError::Foreign { .. }), "{error}");
        assert_eq!(std::fs::read(folder.path().join(FILE_NAME)).expect("reads"), b"not a store");
    }

    #[test]
    fn a_locked_file_is_refused() {
        let folder = folder();
        let place = Place::Folder(folder.path().into());
        let _held = place.open(1 << 20).expect("opens");
        assert!(matches!(place.open(1 << 20).expect_err("refuses"), OpenError::Locked { .. }));
    }

    #[test]
    fn an_older_file_is_migrated_in_one_transaction() {
        let folder = folder();
        let place = Place::Folder(folder.path().into());
        let database = place.open(1 << 20).expect("opens");
        let transaction = database.begin_write().expect("writes");
        transaction.open_table(META).expect("meta").insert("format", 0).expect("inserts");
        transaction.commit().expect("commits");
        let migrations: &[Migration] = &[(0, |transaction| {
            transaction.open_table(META)?.insert("migrated", 1)?;
            Ok(())
        })];
        bring_to_format(&database, Path::new("test"), migrations).expect("migrates");
        let read = database.begin_read().expect("reads");
        let meta = read.open_table(META).expect("meta");
        assert_eq!(meta.get("migrated").expect("reads").map(|v| v.value()), Some(1));
        assert_eq!(meta.get("format").expect("reads").map(|v| v.value()), Some(FORMAT));
    }
}
