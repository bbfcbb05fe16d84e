//! `tandem-builder`: builds plugins into components.

use anyhow::Context;
use clap::{Parser, Subcommand};
use std::path::{Path, PathBuf};
use tandem_builder::{Builder, Built, Identity, Toolchain, c, crates_in, encode, imports};

/// Where the bundled plugins lie.
const BUNDLED: &str = "plugins";

/// Builds plugins into components.
#[derive(Debug, Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Builds crates; one that has not changed is left as it is.
    #[command(after_help = "Example:\n  tandem-builder build plugins/detector-robust --out target/components")]
    Build {
        /// Folders of plugin crates.
        crates: Vec<PathBuf>,
        /// Builds every crate under `plugins/`.
        #[arg(long)]
        bundled: bool,
        /// Where the components go.
        #[arg(long, default_value = "target/components")]
        out: PathBuf,
        /// Where the compiler keeps its own files.
        #[arg(long, default_value = "target/guests")]
        guests: PathBuf,
        /// Fails when Cargo.lock no longer fits.
        #[arg(long)]
        locked: bool,
    },
    /// Builds a plugin from C sources, with clang and lld and without a C library of WASI.
    #[command(
        after_help = "Example:\n  tandem-builder build-c sdk/c/examples/detector-mean --world detector-plugin --name detector-mean-c \
                      --out target/sdk-examples/c/detector-mean.wasm"
    )]
    BuildC {
        /// The folder of the C sources.
        folder: PathBuf,
        /// The world of the plugin's kind.
        #[arg(long)]
        world: String,
        /// The plugin's name.
        #[arg(long)]
        name: String,
        /// The plugin's version.
        #[arg(long, default_value = "1.0.0")]
        version: String,
        /// The contract.
        #[arg(long, default_value = "wit")]
        wit: PathBuf,
        /// The small C library to link, beside the plugin's own sources.
        #[arg(long, default_value = "sdk/c/freestanding")]
        library: PathBuf,
        /// Where bindings and objects go.
        #[arg(long, default_value = "target/guests/c")]
        objects: PathBuf,
        /// The component to write.
        #[arg(long)]
        out: PathBuf,
    },
    /// Makes a component of a core module that another compiler wrote.
    Component {
        /// The core module.
        module: PathBuf,
        /// The plugin's name.
        #[arg(long)]
        name: String,
        /// The plugin's version.
        #[arg(long, default_value = "1.0.0")]
        version: String,
        /// The component to write.
        #[arg(long)]
        out: PathBuf,
    },
    /// Says which toolchain crates are built with, after installing one where that is needed and possible.
    Toolchain {
        /// Where the compiler keeps its own files.
        #[arg(long, default_value = "target/guests")]
        guests: PathBuf,
    },
}

fn main() -> anyhow::Result<()> {
    match Arguments::parse().command {
        Command::Build { mut crates, bundled, out, guests, locked } => {
            if bundled {
                crates.extend(crates_in(Path::new(BUNDLED))?);
            }
            anyhow::ensure!(!crates.is_empty(), "nothing to build: name a crate's folder, or give --bundled");
            let mut builder = Builder::new(std::path::absolute(guests)?).locked(locked);
            for folder in crates {
                report(&builder.build_plugin(&folder, &out)?);
            }
        }
        Command::BuildC { folder, world, name, version, wit, library, objects, out } => {
            let plugin = c::Plugin { folder, world, identity: Identity { name, version, description: None } };
            report(&c::build(&plugin, &c::Places { wit, library, objects, out })?);
        }
        Command::Component { module, name, version, out } => {
            let bytes = std::fs::read(&module).with_context(|| format!("{} cannot be read", module.display()))?;
            let component = encode(&bytes, &Identity { name: name.clone(), version, description: None })?;
            std::fs::write(&out, &component).with_context(|| format!("{} cannot be written", out.display()))?;
            let imports = imports(&component)?;
            report(&Built { name, path: out, bytes: component.len() as u64, imports, compiled: true });
        }
        Command::Toolchain { guests } => println!("{}", Toolchain::find(&std::path::absolute(guests)?)?.sentence()),
    }
    Ok(())
}

fn report(built: &Built) {
    let what = if built.compiled { "built" } else { "unchanged" };
    let imports = if built.imports.is_empty() { "nothing".to_owned() } else { built.imports.join(", ") };
    println!("{what} {} ({} KiB; imports {imports})", built.path.display(), built.bytes >> 10);
}
