//! The file: opening, its format, migrations.

use crate::{
    disk::{Disk, Folder},
    error::{OpenError, storage},
    index::{Kind, presence},
    leaves,
    packing::unpack,
    read::raw,
    series::{chunks_to_blocks, window_of_table},
};
use redb::{
    Builder, Database, DatabaseError, ReadableDatabase, ReadableTable, StorageBackend, TableDefinition, TableHandle,
    WriteTransaction,
};
use roaring::RoaringTreemap;
use std::{
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
};

/// The format this server writes; raised when a migration is needed, and when an older server would not read what is beside the
/// file: since 5 the write-ahead log names native histograms, and before there were none in it. Since 6 there are leaves.
pub(crate) const FORMAT: u64 = 6;
/// Facts about the file itself.
pub(crate) const META: TableDefinition<&str, u64> = TableDefinition::new("meta");
/// The file's name in the data folder.
pub(crate) const FILE_NAME: &str = "tandem.redb";
/// The folder of the write-ahead log in the data folder.
const WAL_FOLDER: &str = "wal";

/// How the name of a file begins that is not whole yet; the process follows.
const IN_MAKING: &str = "tandem.redb.new-";

/// Migrations by the format they start from; each runs in the transaction that raises the format.
type Migration = (u64, fn(&WriteTransaction) -> Result<(), redb::Error>);
const MIGRATIONS: &[Migration] = &[(1, registry_in_memory), (2, chunks_to_blocks), (5, records_to_leaves)];

/// Tables whose records came into leaves with format 6. What a type says today may change; these do not.
const IN_LEAVES_SINCE_6: [&str; 9] = [
    "series",
    "meanings",
    "entity_series",
    "entities",
    "entity_aliases",
    "relations",
    "relation_dependents",
    "map_claims",
    "detector_states",
];

/// From format 5: records of which there are several for each series are gathered into leaves.
fn records_to_leaves(transaction: &WriteTransaction) -> Result<(), redb::Error> {
    for record in IN_LEAVES_SINCE_6 {
        let before = format!("record/{record}");
        if !transaction.list_tables()?.any(|table| table.name() == before) {
            continue;
        }
        let rows = transaction.open_table(raw(&before))?;
        let records = rows.iter()?.map(|row| {
            let (key, value) = row.map_err(storage)?;
            Ok((key.value().to_vec(), unpack(&before, value.value())?))
        });
        let mut gathered = transaction.open_table(raw(&leaves::table_of(record)))?;
        leaves::gather(&mut gathered, records).map_err(|error| redb::Error::Corrupted(error.to_string()))?;
        drop(rows);
        transaction.delete_table(raw(&before))?;
    }
    Ok(())
}

/// From format 1: series are found by the index in memory, so that two tables go; which series have samples in which window
/// is kept, and found out here by looking through the chunks.
fn registry_in_memory(transaction: &WriteTransaction) -> Result<(), redb::Error> {
    transaction.delete_table(raw("series_identity"))?;
    transaction.delete_table(raw("series_by_target"))?;
    let tables: Vec<String> = transaction.list_tables()?.map(|table| table.name().to_owned()).collect();
    for (window, name) in tables.iter().filter_map(|name| Some((window_of_table(name)?, name))) {
        let mut series = RoaringTreemap::new();
        for entry in transaction.open_table(raw(name))?.iter()? {
            let (key, _) = entry?;
            if let Some(id) = key.value().first_chunk::<8>() {
                series.insert(u64::from_be_bytes(*id));
            }
        }
        let bytes = presence::to_bytes(&series);
        transaction
            .open_table(raw(Kind::Floats.table()))?
            .insert(presence::key(window).as_slice(), bytes.as_slice())?;
    }
    Ok(())
}

/// Where the bytes lie.
pub(crate) enum Place {
    /// In a folder of the machine's.
    Folder(PathBuf),
    /// On a disk made anew at each opening, for tests of failures.
    Disk(Box<dyn Fn() -> Box<dyn Disk> + Send + Sync>),
}

impl Place {
    /// The file.
    pub(crate) fn path(&self) -> PathBuf {
        match self {
            Place::Folder(folder) => folder.join(FILE_NAME),
            Place::Disk(_) => PathBuf::from("(a test's disk)").join(FILE_NAME),
        }
    }

    /// Where what is kept beside the file lies.
    pub(crate) fn beside(&self) -> std::io::Result<Box<dyn Disk>> {
        match self {
            Place::Folder(folder) => Ok(Box::new(Folder::at(&folder.join(WAL_FOLDER))?)),
            Place::Disk(make) => Ok(make()),
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
                if std::fs::metadata(&path).map_or(0, |data| data.len()) == 0 {
                    create_whole(folder, &path, &builder)?;
                }
                builder.open(&path)
            }
            Place::Disk(make) => {
                let disk = make();
                let file = disk.open(FILE_NAME).map_err(|error| unusable(error.to_string()))?;
                disk.sync_names().map_err(|error| unusable(error.to_string()))?;
                builder.create_with_backend(ErasedBackend(file))
            }
        };
        let database = opened.map_err(|error| match error {
            DatabaseError::DatabaseAlreadyOpen => OpenError::Locked { path: path.clone() },
            other => unusable(other.to_string()),
        })?;
        bring_to_format(&database, &path, MIGRATIONS)?;
        Ok(database)
    }
}

/// Makes a new file beside its place and moves it there when it is whole: a file that was cut off while it was made has no
/// magic number yet, and would be refused ever after. Two servers may try at once; the first to move wins.
fn create_whole(folder: &Path, path: &Path, builder: &Builder) -> Result<(), OpenError> {
    let unusable = |what: String| OpenError::Unusable { path: path.to_owned(), what };
    static MADE: AtomicU32 = AtomicU32::new(0);
    let number = MADE.fetch_add(1, Ordering::Relaxed);
    let in_making = folder.join(format!("{IN_MAKING}{}-{number}", std::process::id()));
    // Nothing that was ever used: left by a process of this number that did not come to its end.
    let _ = std::fs::remove_file(&in_making);
    let database = builder.create(&in_making).map_err(|error| unusable(error.to_string()))?;
    bring_to_format(&database, path, MIGRATIONS)?;
    drop(database);
    if std::fs::metadata(path).is_ok_and(|data| data.len() == 0) {
        std::fs::remove_file(path).map_err(|error| unusable(error.to_string()))?;
    }
    // A link fails where the file is there already; filesystems without links get a rename.
    match std::fs::hard_link(&in_making, path) {
        Ok(()) => {}
        // Another server was first, and may have cleared away what this one was making.
        Err(_) if path.exists() => {}
        Err(_) => std::fs::rename(&in_making, path).map_err(|error| unusable(error.to_string()))?,
    }
    std::fs::File::open(folder).and_then(|folder| folder.sync_all()).map_err(|error| unusable(error.to_string()))?;
    remove_unfinished(folder);
    Ok(())
}

/// Files that were being made when their process ended. One that another process is making just now is no loss either: it
/// finds the file that is in place by now.
fn remove_unfinished(folder: &Path) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with(IN_MAKING)
            && let Err(error) = std::fs::remove_file(entry.path())
        {
            tracing::warn!(path = %entry.path().display(), %error, "a file that was left behind cannot be removed");
        }
    }
}

/// redb takes a backend by type, a disk gives a boxed one.
#[derive(Debug)]
pub(crate) struct ErasedBackend(pub(crate) Box<dyn StorageBackend>);

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
    fn what_a_first_start_left_half_made_is_cleared_away_and_an_empty_file_is_no_store_yet() {
        let folder = folder();
        std::fs::write(folder.path().join(format!("{IN_MAKING}4194305")), [0; 4096]).expect("writes");
        std::fs::write(folder.path().join(FILE_NAME), "").expect("writes");
        drop(Place::Folder(folder.path().into()).open(1 << 20).expect("opens"));
        let names: Vec<_> =
            std::fs::read_dir(folder.path()).expect("reads").flatten().map(|entry| entry.file_name()).collect();
        assert_eq!(names, [FILE_NAME], "nothing is left beside the store");
    }

    #[test]
    fn of_two_that_start_at_once_one_has_the_store_and_the_other_is_told() {
        let folder = folder();
        for _ in 0..20 {
            let path = folder.path().to_owned();
            let open = move || Place::Folder(path.clone()).open(1 << 20);
            let other = std::thread::spawn(open.clone());
            let (mine, other) = (open(), other.join().expect("no panic"));
            let opened = [&mine, &other].into_iter().filter(|opened| opened.is_ok()).count();
            let told = [&mine, &other].into_iter().filter(|o| matches!(o, Err(OpenError::Locked { .. }))).count();
            assert!(opened >= 1 && opened + told == 2, "{:?} {:?}", mine.err(), other.err());
            drop(std::fs::remove_file(folder.path().join(FILE_NAME)));
        }
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

    #[test]
    fn records_of_format_5_are_found_in_leaves() {
        let folder = folder();
        let place = Place::Folder(folder.path().into());
        let database = place.open(1 << 20).expect("opens");
        let transaction = database.begin_write().expect("writes");
        let record =
            |number: u64| format!("\u{1}node_filesystem_avail_bytes of the disk /dev/sd{number}, {}", number * 7);
        for name in IN_LEAVES_SINCE_6 {
            let name = format!("record/{name}");
            let mut rows = transaction.open_table(raw(&name)).expect("opens");
            for number in 0..1_000 {
                let row = crate::packing::pack(&name, record(number).as_bytes()).into_owned();
                rows.insert(number.to_be_bytes().as_slice(), row.as_slice()).expect("inserts");
            }
        }
        transaction.open_table(META).expect("meta").insert("format", 5).expect("inserts");
        transaction.commit().expect("commits");
        drop(database);
        let database = place.open(1 << 20).expect("opens");
        let read = database.begin_read().expect("reads");
        let tables: Vec<String> = read.list_tables().expect("reads").map(|table| table.name().to_owned()).collect();
        assert!(!tables.iter().any(|table| table.starts_with("record/")), "{tables:?}");
        let expected: Vec<_> =
            (0..1_000_u64).map(|number| (number.to_be_bytes().to_vec(), record(number).into_bytes())).collect();
        for name in IN_LEAVES_SINCE_6.map(leaves::table_of) {
            let rows = read.open_table(raw(&name)).expect("opens");
            let all = (std::ops::Bound::Unbounded, std::ops::Bound::Unbounded);
            assert_eq!(leaves::range(&rows, &name, &all, usize::MAX, false).expect("reads"), expected);
        }
    }
}
