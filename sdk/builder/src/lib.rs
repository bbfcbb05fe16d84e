//! Builds plugins into components: finds or installs the wasm toolchain, compiles a crate to a core module, and makes a
//! component of it. Used by `make`, and by `tandem plugin build` as a separate program, so that the server holds no compiler.

pub mod c;
mod component;
mod inputs;
mod toolchain;

pub use component::{Identity, encode, imports};
pub use toolchain::Toolchain;

use anyhow::{Context, bail};
use inputs::Package;
use std::path::{Path, PathBuf};

/// The cargo profile that components are compiled with; a workspace without it gets `release`.
const GUEST_PROFILE: &str = "guest";

/// What became of one plugin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Built {
    /// The plugin's name.
    pub name: String,
    /// The component.
    pub path: PathBuf,
    /// Its size.
    pub bytes: u64,
    /// What it imports.
    pub imports: Vec<String>,
    /// Whether it was compiled, or found unchanged.
    pub compiled: bool,
}

/// Builds plugins.
#[derive(Debug)]
pub struct Builder {
    toolchain: Option<Toolchain>,
    guests: PathBuf,
    locked: bool,
}

impl Builder {
    /// A builder that keeps its own target folder, and looks for a toolchain when it first needs one.
    pub fn new(guests: impl Into<PathBuf>) -> Self {
        Self { toolchain: None, guests: guests.into(), locked: false }
    }

    /// Whether a lock file that no longer fits is an error, as a build that must be repeatable wants it.
    #[must_use]
    pub fn locked(mut self, locked: bool) -> Self {
        self.locked = locked;
        self
    }

    /// Builds the crate in a folder into `<out>/<package>.wasm`, unless it is there and nothing it is made of has changed.
    ///
    /// # Errors
    /// When the folder holds no library crate, the toolchain is missing, or the crate does not compile.
    pub fn build_plugin(&mut self, folder: &Path, out: &Path) -> anyhow::Result<Built> {
        let package = inputs::package(folder)?;
        let digest = inputs::digest(&package)?;
        let path = out.join(format!("{}.wasm", package.name));
        let digest_path = out.join(format!("{}.wasm.inputs", package.name));
        let compiled = !(path.is_file() && std::fs::read_to_string(&digest_path).is_ok_and(|known| known == digest));
        let component = if compiled {
            let module = self.compile(&package)?;
            let Package { name, version, description, .. } = package.clone();
            let component = encode(&module, &Identity { name, version, description })?;
            std::fs::create_dir_all(out).with_context(|| format!("{} cannot be made", out.display()))?;
            write_whole(&path, &component)?;
            write_whole(&digest_path, digest.as_bytes())?;
            component
        } else {
            std::fs::read(&path).with_context(|| format!("{} cannot be read", path.display()))?
        };
        let imports = imports(&component)?;
        Ok(Built { name: package.name, path, bytes: component.len() as u64, imports, compiled })
    }

    fn compile(&mut self, package: &Package) -> anyhow::Result<Vec<u8>> {
        if self.toolchain.is_none() {
            let found = Toolchain::find(&self.guests)?;
            eprintln!("{}", found.sentence());
            self.toolchain = Some(found);
        }
        let Some(toolchain) = &self.toolchain else { bail!("no toolchain was found") };
        let profile = if package.has_guest_profile { GUEST_PROFILE } else { "release" };
        let status = toolchain
            .cargo()
            .current_dir(&package.folder)
            .env("CARGO_TARGET_DIR", &self.guests)
            .args([
                "rustc",
                "--quiet",
                "--lib",
                "--crate-type",
                "cdylib",
                "--target",
                toolchain::TARGET,
                "--profile",
                profile,
            ])
            .args(toolchain.cargo_arguments())
            .args(self.locked.then_some("--locked"))
            .status()
            .with_context(|| format!("{} could not be started", toolchain.cargo().get_program().display()))?;
        if !status.success() {
            bail!("{} does not compile; the messages above say why", package.name);
        }
        let file = format!("{}.wasm", package.name.replace('-', "_"));
        let module = self.guests.join(toolchain::TARGET).join(profile).join(file);
        std::fs::read(&module).with_context(|| format!("cargo left no module at {}", module.display()))
    }
}

/// The folders of crates right below a folder, in order.
///
/// # Errors
/// When the folder cannot be read.
pub fn crates_in(parent: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(parent).with_context(|| format!("{} cannot be read", parent.display()))?;
    let folders = entries.flatten().map(|entry| entry.path());
    let mut found: Vec<PathBuf> = folders.filter(|folder| folder.join("Cargo.toml").is_file()).collect();
    found.sort();
    Ok(found)
}

/// Writes beside and renames, so that nobody sees half a file.
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let beside = path.with_extension("writing");
    std::fs::write(&beside, bytes).with_context(|| format!("{} cannot be written", beside.display()))?;
    std::fs::rename(&beside, path).with_context(|| format!("{} cannot be written", path.display()))
}
