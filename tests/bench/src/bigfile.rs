//! A store of many gigabytes: how large its file is, how long it takes to open after it was closed and after its process was
//! killed, with redb's quick repair and without, and what a small commit costs in both.
//!
//! The file is made by the store and filled below it, in the shape in which the store keeps samples: tables of blocks by time
//! window, keys in order, values of nearly a page that do not compress. Filling by way of samples would take hours.

use crate::{peers::Process, timing::median};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use redb::{Database, Durability, TableDefinition};
use std::{
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};
use tandem_store::{Store, StoreOptions};

/// Blocks of a commit while it fills: some 100 MB.
const BLOCKS_PER_COMMIT: u64 = 6_400;
/// Rows of a commit as rooms make them.
const ROWS_PER_SMALL_COMMIT: u64 = 32;
/// Bytes of such a row.
const ROW_BYTES: usize = 300;
/// Small commits that are timed.
const SMALL_COMMITS: usize = 200;
/// Blocks of a table, as a window of 200,000 series has them.
const BLOCKS_PER_TABLE: u64 = 6_400;
/// Shortest and longest block, in bytes: a block ends before the series that would make it longer than a page of 16 KiB.
const BLOCK_BYTES: std::ops::Range<usize> = 15_000..16_200;
/// What the child says when the file is as large as was asked.
const FULL: &str = "full";
/// How long a store that is dropped may keep its file.
const LETTING_GO: Duration = Duration::from_secs(5);
/// How long small commits go on before the kill.
const BEFORE_KILL: Duration = Duration::from_millis(700);

/// Fills a file, kills who fills it, opens it.
#[derive(Debug, Clone, clap::Args)]
pub struct Bigfile {
    /// Sizes at which it is opened, in gigabytes (10^9 bytes), ascending.
    #[arg(long, value_delimiter = ',', default_values_t = [1_u64, 5, 20])]
    gigabytes: Vec<u64>,
    /// With quick repair, without, or both one after the other.
    #[arg(long, value_delimiter = ',', default_values_t = [false, true], action = clap::ArgAction::Set)]
    quick_repair: Vec<bool>,
}

/// Fills a file until it is killed. Started by [`Bigfile`].
#[derive(Debug, Clone, clap::Args)]
pub struct Fill {
    folder: PathBuf,
    bytes: u64,
    #[arg(action = clap::ArgAction::Set)]
    quick_repair: bool,
}

/// Opens a store once and says what that took. Started by [`Bigfile`].
#[derive(Debug, Clone, clap::Args)]
pub struct Open {
    folder: PathBuf,
}

impl Bigfile {
    /// Measures and prints.
    pub fn run(&self, folder: &Path) {
        for quick_repair in &self.quick_repair {
            let folder = folder.join(format!("quick-repair-{quick_repair}"));
            std::fs::create_dir_all(&folder).expect("a folder");
            println!("\nquick repair {}", if *quick_repair { "on" } else { "off" });
            for gigabytes in &self.gigabytes {
                at_size(&folder, gigabytes * 1_000_000_000, *quick_repair);
            }
            std::fs::remove_dir_all(&folder).expect("removed");
        }
    }
}

fn at_size(folder: &Path, bytes: u64, quick_repair: bool) {
    let (program, log) = (std::env::current_exe().expect("a program has a path"), folder.join("log"));
    let _ = std::fs::remove_file(&log);
    let arguments = ["bigfile-fill".into(), folder.display().to_string(), bytes.to_string(), quick_repair.to_string()];
    let mut filling = Process::start(&program, &arguments, folder);
    let told = loop {
        let told = std::fs::read_to_string(&log).unwrap_or_default();
        if told.lines().any(|line| line.starts_with(FULL)) {
            break told;
        }
        assert!(filling.ended().is_none(), "filling failed: {told}");
        std::thread::sleep(Duration::from_millis(50));
    };
    std::thread::sleep(BEFORE_KILL);
    filling.kill();
    let known = std::fs::metadata(file(folder)).expect("the file");
    println!(
        "  file {:.2} GB, {:.2} GB on disk; {}",
        known.len() as f64 / 1e9,
        known.blocks() as f64 * 512.0 / 1e9,
        told.lines().next_back().unwrap_or_default().trim_start_matches(FULL)
    );
    println!("    after kill -9:            {}", opened(folder));
    println!("    after it was closed:      {}", opened(folder));
    forget_cached(folder);
    println!("    closed, out of the cache: {}", opened(folder));
}

fn file(folder: &Path) -> PathBuf {
    folder.join("tandem.redb")
}

/// Lets a child open the store; what it says.
fn opened(folder: &Path) -> String {
    let program = std::env::current_exe().expect("a program has a path");
    let mut command = std::process::Command::new(program);
    let done = command.arg("bigfile-open").arg(folder).output().expect("it runs");
    assert!(done.status.success(), "it does not open: {}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8_lossy(&done.stdout).trim().to_owned()
}

/// Drops the file's pages from the machine's cache, as after a start of the machine.
fn forget_cached(folder: &Path) {
    let file = std::fs::File::open(file(folder)).expect("the file");
    file.sync_all().expect("synced");
    rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed).expect("advice is taken");
}

impl Open {
    /// Opens, tells, closes.
    pub fn run(&self) {
        let began = Instant::now();
        let store = Store::open(&self.folder, StoreOptions::default()).expect("it opens");
        let took = began.elapsed();
        println!("{:.3} s, peak memory {:.0} MB", took.as_secs_f64(), crate::peers::own_megabytes("VmHWM"));
        drop(store);
    }
}

impl Fill {
    /// Fills, says so, and goes on with small commits until it is killed.
    pub fn run(&self) {
        let options = StoreOptions::default();
        // Makes the file with all that the store wants to find in it.
        drop(Store::open(&self.folder, options.clone()).expect("it opens"));
        let path = file(&self.folder);
        let open = || redb::Builder::new().set_cache_size(options.cache_bytes).open(&path);
        // The store's writer thread lets go of the file a moment after the store is dropped.
        let began = Instant::now();
        let database = loop {
            match open() {
                Ok(database) => break database,
                Err(error) => assert!(began.elapsed() < LETTING_GO, "it does not open: {error}"),
            }
            std::thread::sleep(Duration::from_millis(5));
        };
        // Blocks are numbered from the size on, which is a number that no earlier and smaller filler came to.
        let mut filler = Filler {
            database,
            quick_repair: self.quick_repair,
            next: self.bytes,
            random: ChaCha8Rng::seed_from_u64(1),
        };
        let (began, mut written) = (Instant::now(), 0);
        while std::fs::metadata(&path).expect("the file").blocks() * 512 < self.bytes {
            written += filler.commit_blocks();
        }
        let rate = written as f64 / 1e6 / began.elapsed().as_secs_f64();
        let millis: Vec<f64> = (0..SMALL_COMMITS)
            .map(|_| {
                let began = Instant::now();
                filler.commit_rows();
                began.elapsed().as_secs_f64() * 1e3
            })
            .collect();
        println!("{FULL} filled at {rate:.0} MB/s; a small commit takes {:.2} ms in the median", median(millis));
        loop {
            filler.commit_rows();
        }
    }
}

struct Filler {
    database: Database,
    quick_repair: bool,
    next: u64,
    random: ChaCha8Rng,
}

impl Filler {
    /// Commits some blocks; answers their bytes.
    fn commit_blocks(&mut self) -> u64 {
        let name = format!("blocks/{}/0", self.next / BLOCKS_PER_TABLE);
        self.commit(&name, BLOCKS_PER_COMMIT, BLOCK_BYTES)
    }

    /// Commits some rows as a room does.
    fn commit_rows(&mut self) -> u64 {
        self.commit("log/bench", ROWS_PER_SMALL_COMMIT, ROW_BYTES..ROW_BYTES + 1)
    }

    fn commit(&mut self, name: &str, count: u64, lengths: std::ops::Range<usize>) -> u64 {
        let mut transaction = self.database.begin_write().expect("a transaction");
        transaction.set_durability(Durability::Immediate).expect("before anything is written");
        transaction.set_quick_repair(self.quick_repair);
        let (mut bytes, mut value) = (0, vec![0; lengths.end]);
        self.random.fill_bytes(&mut value);
        let definition: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new(name);
        let mut table = transaction.open_table(definition).expect("a table");
        for _ in 0..count {
            let length = lengths.start + self.random.next_u64() as usize % lengths.len();
            // A new beginning is enough: redb does not look at what it keeps.
            value[..8].copy_from_slice(&self.random.next_u64().to_le_bytes());
            table.insert(self.next.to_be_bytes().as_slice(), &value[..length]).expect("inserted");
            (self.next, bytes) = (self.next + 1, bytes + length as u64);
        }
        drop(table);
        transaction.commit().expect("committed");
        bytes
    }
}
