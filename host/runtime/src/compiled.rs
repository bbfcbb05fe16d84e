//! The cache of compiled components in the data directory. It is a derived artefact, never a root of trust: what is in it
//! was compiled here, lies under a key that names everything the code depends on, and is checked before it is mapped; a
//! file that does not check out is a miss. Compiled code is never taken from a plugin folder.

use sha2::{Digest, Sha256};
use std::{
    fs,
    hash::{Hash, Hasher},
    io::{Read, Write},
    path::{Path, PathBuf},
};
use wasmtime::{Engine, component::Component};

/// Raised when the layout of the cache changes.
const LAYOUT_VERSION: &str = "1";

/// Read at a time while a cached file is checked, so that a 60 MB file never lies in memory.
const CHECK_CHUNK_BYTES: usize = 256 << 10;

/// Files kept; older ones are removed when a new one is written. Twelve bundled plugins in a few versions, and a team's own.
const MAX_CACHED_COMPONENTS: usize = 128;

/// Where compiled components lie.
#[derive(Debug, Clone)]
pub(crate) struct CompiledCache {
    folder: PathBuf,
}

/// How a component came to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// From the cache.
    Cache,
    /// Compiled now.
    Compiled,
}

impl CompiledCache {
    /// `<data>/cache/aot`.
    pub(crate) fn new(data_dir: &Path) -> Self {
        Self { folder: data_dir.join("cache").join("aot") }
    }

    /// The component, from the cache or compiled now. Blocking: compiling takes up to ten seconds for the largest.
    pub(crate) fn component(
        &self,
        engine: &Engine,
        digest: &str,
        bytes: &[u8],
    ) -> Result<(Component, Origin), wasmtime::Error> {
        let path = self.folder.join(format!("{}.cwasm", key(engine, digest)));
        if let Some(component) = self.load(engine, &path) {
            return Ok((component, Origin::Cache));
        }
        let compiled = engine.precompile_component(bytes)?;
        give_back_freed_memory();
        if let Err(error) = self.keep(&path, &compiled) {
            // A full or read-only disk costs the next start some time, nothing more.
            tracing::warn!(path = %path.display(), %error, "the compiled component could not be kept for the next start");
        }
        let component = match self.load(engine, &path) {
            // Mapped from the file its pages are shared with the page cache and need no memory of their own.
            Some(component) => component,
            // SAFETY: these bytes were made by this engine's compiler a moment ago and have not left this process.
            None => unsafe { Component::deserialize(engine, &compiled)? },
        };
        Ok((component, Origin::Compiled))
    }

    fn load(&self, engine: &Engine, path: &Path) -> Option<Component> {
        let expected = fs::read_to_string(sum_path(path)).ok()?;
        let found = file_digest(path).ok()?;
        if expected.trim() != found {
            tracing::warn!(path = %path.display(), "a cached component is damaged and will be compiled again");
            return None;
        }
        // SAFETY: the file lies in our own data directory, under a key that names the engine, and has the digest it had
        // when this server wrote it. wasmtime checks version and settings again.
        match unsafe { Component::deserialize_file(engine, path) } {
            Ok(component) => Some(component),
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "a cached component does not load and will be compiled again");
                None
            }
        }
    }

    fn keep(&self, path: &Path, compiled: &[u8]) -> std::io::Result<()> {
        fs::create_dir_all(&self.folder)?;
        self.make_room()?;
        write_whole(path, compiled)?;
        write_whole(&sum_path(path), hex::encode(Sha256::digest(compiled)).as_bytes())
    }

    /// Removes the files written longest ago until one more fits.
    fn make_room(&self) -> std::io::Result<()> {
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let entry = entry?;
            if entry.path().extension().is_some_and(|extension| extension == "cwasm") {
                files.push((entry.metadata()?.modified()?, entry.path()));
            }
        }
        files.sort();
        let surplus = (files.len() + 1).saturating_sub(MAX_CACHED_COMPONENTS);
        for (_, path) in files.into_iter().take(surplus) {
            fs::remove_file(sum_path(&path)).ok();
            fs::remove_file(&path)?;
        }
        Ok(())
    }
}

/// Compiling a large component takes hundreds of megabytes for seconds, which glibc's allocator keeps for later; nothing of
/// the kind comes later.
fn give_back_freed_memory() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: `malloc_trim` may be called at any time from any thread; it only returns free pages to the system.
    unsafe {
        libc::malloc_trim(0);
    }
}

fn sum_path(path: &Path) -> PathBuf {
    path.with_extension("sha256")
}

/// Names the content, wasmtime with its full version, target, CPU features and every setting that code depends on:
/// wasmtime's own hash covers all but the content.
fn key(engine: &Engine, digest: &str) -> String {
    let mut hasher = ShaHasher(Sha256::new());
    engine.precompile_compatibility_hash().hash(&mut hasher);
    LAYOUT_VERSION.hash(&mut hasher);
    digest.hash(&mut hasher);
    hex::encode(hasher.0.finalize())
}

/// Lets SHA-256 be fed through `Hash`, which is the only way wasmtime gives its settings out.
struct ShaHasher(Sha256);

impl Hasher for ShaHasher {
    fn finish(&self) -> u64 {
        let digest = self.0.clone().finalize();
        digest.iter().take(8).fold(0, |sum, byte| sum << 8 | u64::from(*byte))
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }
}

fn file_digest(path: &Path) -> std::io::Result<String> {
    let mut file = fs::File::open(path)?;
    let mut hasher = Sha256::new();
    let mut chunk = vec![0; CHECK_CHUNK_BYTES];
    loop {
        let read = file.read(&mut chunk)?;
        if read == 0 {
            return Ok(hex::encode(hasher.finalize()));
        }
        hasher.update(&chunk[..read]);
    }
}

/// Writes beside the file and renames, so that a reader sees all or nothing.
fn write_whole(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let temporary = path.with_extension(format!("{}.new", std::process::id()));
    let written = fs::File::create(&temporary).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    written.and_then(|()| fs::rename(&temporary, path)).inspect_err(|_| {
        fs::remove_file(&temporary).ok();
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::make_engine;

    fn small() -> Vec<u8> {
        wat::parse_str("(component (core module (func (export \"f\") (result i32) i32.const 7)))").expect("valid text")
    }

    #[test]
    fn a_component_is_compiled_once_and_a_damaged_file_is_a_miss() {
        let data = tempfile::tempdir().expect("a folder");
        let cache = CompiledCache::new(data.path());
        let (engine, _) = make_engine(16).expect("an engine");
        let bytes = small();
        let origin = |cache: &CompiledCache| cache.component(&engine, "digest", &bytes).expect("compiles").1;
        assert_eq!(origin(&cache), Origin::Compiled);
        assert_eq!(origin(&cache), Origin::Cache);
        let file = fs::read_dir(&cache.folder)
            .expect("folder")
            .map(|entry| entry.expect("entry").path())
            .find(|path| path.extension().is_some_and(|extension| extension == "cwasm"))
            .expect("a cached file");
        let mut damaged = fs::read(&file).expect("read");
        let middle = damaged.len() / 2;
        damaged[middle] ^= 1;
        fs::write(&file, &damaged).expect("write");
        assert_eq!(origin(&cache), Origin::Compiled);
        assert_eq!(origin(&cache), Origin::Cache);
    }

    #[test]
    fn a_folder_that_cannot_be_written_only_costs_time() {
        let data = tempfile::tempdir().expect("a folder");
        fs::write(data.path().join("cache"), "a file in the way").expect("write");
        let cache = CompiledCache::new(data.path());
        let (engine, _) = make_engine(16).expect("an engine");
        let (_, origin) = cache.component(&engine, "digest", &small()).expect("compiles");
        assert_eq!(origin, Origin::Compiled);
    }

    #[test]
    fn the_key_depends_on_content_and_settings() {
        let (pooled, _) = make_engine(16).expect("an engine");
        let mut config = wasmtime::Config::new();
        config.epoch_interruption(false);
        let other = Engine::new(&config).expect("an engine");
        assert_ne!(key(&pooled, "a"), key(&pooled, "b"));
        assert_ne!(key(&pooled, "a"), key(&other, "a"));
        assert_eq!(key(&pooled, "a"), key(&make_engine(16).expect("an engine").0, "a"));
    }
}
