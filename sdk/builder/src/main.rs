//! `tandem-builder`: builds plugin crates into components.

use clap::Parser;
use std::path::{Path, PathBuf};
use tandem_builder::Builder;

/// Builds plugin crates into components.
#[derive(Debug, Parser)]
#[command(after_help = "Example:\n  tandem-builder plugins/detector-robust --out target/components")]
struct Arguments {
    /// Folders of plugin crates.
    crates: Vec<PathBuf>,
    /// Builds every folder under this one that has a Cargo.toml.
    #[arg(long, value_name = "FOLDER")]
    all_in: Option<PathBuf>,
    /// Where the components go.
    #[arg(long, default_value = "target/components")]
    out: PathBuf,
    /// Where the compiler keeps its own files.
    #[arg(long, default_value = "target/guests")]
    guests: PathBuf,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let mut folders = arguments.crates;
    if let Some(parent) = &arguments.all_in {
        folders.extend(crates_in(parent)?);
    }
    anyhow::ensure!(!folders.is_empty(), "nothing to build: name a crate's folder, or give --all-in");
    let guests = std::path::absolute(&arguments.guests)?;
    let mut builder = Builder::new(guests);
    for folder in folders {
        let built = builder.build(&folder, &arguments.out)?;
        let bytes = std::fs::metadata(&built.path)?.len();
        let what = if built.compiled { "built" } else { "unchanged" };
        println!("{what} {} ({} KiB)", built.path.display(), bytes >> 10);
    }
    Ok(())
}

fn crates_in(parent: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut found: Vec<PathBuf> = std::fs::read_dir(parent)?
        .flatten()
        .map(|entry| entry.path())
        .filter(|folder| folder.join("Cargo.toml").is_file())
        .collect();
    found.sort();
    Ok(found)
}
