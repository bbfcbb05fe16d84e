//! What the tables of Tandem's file take: rows, their bytes, and what its pages hold beside them.

use redb::{Database, ReadableDatabase, ReadableTableMetadata, TableHandle};
use std::path::Path;

/// Tables that are told one by one: those behind them are a hundredth of the file together.
const TOLD: usize = 12;

/// One table.
struct Table {
    name: String,
    rows: u64,
    /// Keys and values.
    stored: u64,
    /// What redb knows of them.
    about: u64,
    /// Unused parts of its pages.
    unused: u64,
}

impl Table {
    fn all(&self) -> u64 {
        self.stored + self.about + self.unused
    }

    fn print(&self, samples: u64) {
        let megabytes = |bytes: u64| bytes as f64 / 1e6;
        println!(
            "  {:30} {:>9} {:>8.1} {:>8.2} {:>9.1} {:>9.1} {:>9.1}",
            self.name,
            self.rows,
            megabytes(self.all()),
            self.all() as f64 / samples as f64,
            megabytes(self.stored),
            megabytes(self.unused),
            self.stored as f64 / self.rows.max(1) as f64,
        );
    }
}

/// Prints the tables of a file that no server has open, the largest first.
pub fn print(file: &Path, samples: u64) {
    let mut tables = read(file).expect("a store's file that nobody has open");
    tables.sort_by_key(|table| std::cmp::Reverse(table.all()));
    println!(
        "  {:30} {:>9} {:>8} {:>8} {:>9} {:>9} {:>9}",
        "table", "rows", "MB", "B/sample", "stored MB", "unused MB", "B/row"
    );
    let others = tables.split_off(TOLD.min(tables.len()));
    tables.iter().for_each(|table| table.print(samples));
    let sum = |of: fn(&Table) -> u64, tables: &[Table]| tables.iter().map(of).sum::<u64>();
    let together = |name: &str, of: &[Table]| Table {
        name: name.into(),
        rows: sum(|table| table.rows, of),
        stored: sum(|table| table.stored, of),
        about: sum(|table| table.about, of),
        unused: sum(|table| table.unused, of),
    };
    together("others", &others).print(samples);
    tables.extend(others);
    together("all", &tables).print(samples);
}

fn read(file: &Path) -> Result<Vec<Table>, redb::Error> {
    let database = Database::open(file)?;
    let read = database.begin_read()?;
    let mut tables = Vec::new();
    for handle in read.list_tables()? {
        let name = handle.name().to_owned();
        let table = read.open_untyped_table(handle)?;
        let stats = table.stats()?;
        let (stored, about, unused) = (stats.stored_bytes(), stats.metadata_bytes(), stats.fragmented_bytes());
        tables.push(Table { name, rows: table.len()?, stored, about, unused });
    }
    Ok(tables)
}
