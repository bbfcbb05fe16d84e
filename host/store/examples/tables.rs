//! What fills the file of a store, table by table: `cargo run --release --workspace --example tables -- DATA_FOLDER`. The server
//! that owns it must not be running.

use redb::{Database, ReadableDatabase, ReadableTableMetadata, TableDefinition, TableHandle};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = std::env::args().nth(1).ok_or("give the data folder")?;
    let path = std::path::Path::new(&folder).join("tandem.redb");
    let database = Database::open(&path)?;
    let transaction = database.begin_read()?;
    println!("{:44} {:>9} {:>12} {:>12} {:>12}", "table", "rows", "stored", "keeping", "unused");
    let (mut rows, mut total) = (Vec::new(), 0);
    for table in transaction.list_tables()? {
        let name = table.name().to_owned();
        // A table of facts about the file has other types of keys.
        let definition: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new(&name);
        let Ok(table) = transaction.open_table(definition) else { continue };
        let (count, stats) = (table.len()?, table.stats()?);
        let all = stats.stored_bytes() + stats.metadata_bytes() + stats.fragmented_bytes();
        total += all;
        rows.push((all, name, count, stats));
    }
    rows.sort_by_key(|row| std::cmp::Reverse(row.0));
    for (_, name, count, stats) in rows {
        println!(
            "{name:44} {count:>9} {:>12} {:>12} {:>12}",
            stats.stored_bytes(),
            stats.metadata_bytes(),
            stats.fragmented_bytes()
        );
    }
    println!("in tables {total}, in the file {}", std::fs::metadata(&path)?.len());
    Ok(())
}
