//! What a component is made of: its crate, the crates beside it that it names by path, the contract, the lock file.

use anyhow::{Context, bail};
use sha2::{Digest, Sha256};
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

/// A crate to build.
#[derive(Debug, Clone)]
pub(crate) struct Package {
    pub name: String,
    pub version: String,
    pub description: Option<String>,
    /// Absolute.
    pub folder: PathBuf,
    /// The workspace's folder, or the crate's own.
    pub root: PathBuf,
    pub has_guest_profile: bool,
}

/// Reads the crate in a folder.
pub(crate) fn package(folder: &Path) -> anyhow::Result<Package> {
    let folder = folder.canonicalize().with_context(|| format!("there is no folder {}", folder.display()))?;
    let manifest = manifest(&folder)?;
    let table = manifest.get("package").with_context(|| format!("{} is not a package", folder.display()))?;
    let text = |key: &str| table.get(key).and_then(toml::Value::as_str).map(str::to_owned);
    let Some(name) = text("name") else { bail!("{}/Cargo.toml gives no name", folder.display()) };
    let root = folder.ancestors().find(|above| manifest_of(above).is_some_and(|m| m.get("workspace").is_some()));
    let root = root.map_or_else(|| folder.clone(), Path::to_path_buf);
    let has_guest_profile = manifest_of(&root).is_some_and(|m| m.get("profile").and_then(|p| p.get("guest")).is_some());
    let inherited = |key: &str| {
        table.get(key)?.get("workspace")?;
        manifest_of(&root)?.get("workspace")?.get("package")?.get(key)?.as_str().map(str::to_owned)
    };
    let version = text("version").or_else(|| inherited("version")).unwrap_or_else(|| "0.0.0".into());
    let description = text("description").or_else(|| inherited("description"));
    Ok(Package { name, version, description, folder, root, has_guest_profile })
}

fn manifest(folder: &Path) -> anyhow::Result<toml::Table> {
    let path = folder.join("Cargo.toml");
    let text = std::fs::read_to_string(&path).with_context(|| format!("{} cannot be read", path.display()))?;
    text.parse().with_context(|| format!("{} is not understood", path.display()))
}

fn manifest_of(folder: &Path) -> Option<toml::Table> {
    manifest(folder).ok()
}

/// A digest over everything that goes into the component.
pub(crate) fn digest(package: &Package) -> anyhow::Result<String> {
    let mut folders = BTreeSet::new();
    gather_folders(&package.folder, &package.root, &mut folders)?;
    // The contract lies beside the crates that are compiled against it, in this workspace or in the SDK's.
    let contracts: Vec<PathBuf> =
        folders.iter().flat_map(|folder| folder.ancestors()).map(|above| above.join("wit")).collect();
    folders.extend(contracts.into_iter().filter(|contract| contract.join("worlds.wit").is_file()));
    let mut hash = Sha256::new();
    hash.update(env!("CARGO_PKG_VERSION"));
    for folder in folders {
        let mut files = Vec::new();
        gather_files(&folder, &mut files);
        files.sort();
        for file in files {
            add(&mut hash, &file)?;
        }
    }
    for file in ["Cargo.lock", "Cargo.toml"] {
        let path = package.root.join(file);
        if path.is_file() {
            add(&mut hash, &path)?;
        }
    }
    Ok(hex::encode(hash.finalize()))
}

fn add(hash: &mut Sha256, file: &Path) -> anyhow::Result<()> {
    let bytes = std::fs::read(file).with_context(|| format!("{} cannot be read", file.display()))?;
    let name = file.to_string_lossy();
    for part in [name.as_bytes(), bytes.as_slice()] {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    Ok(())
}

/// The crate's folder and those of the crates it names by path, its own or the workspace's.
fn gather_folders(folder: &Path, root: &Path, found: &mut BTreeSet<PathBuf>) -> anyhow::Result<()> {
    if !found.insert(folder.to_path_buf()) {
        return Ok(());
    }
    let shared = manifest_of(root)
        .and_then(|m| m.get("workspace")?.get("dependencies")?.as_table().cloned())
        .unwrap_or_default();
    let dependencies =
        manifest(folder)?.get("dependencies").and_then(toml::Value::as_table).cloned().unwrap_or_default();
    for (name, value) in dependencies {
        let own = value.get("path").and_then(toml::Value::as_str).map(|path| folder.join(path));
        let inherited =
            value.get("workspace").and_then(|_| shared.get(&name)?.get("path")?.as_str()).map(|path| root.join(path));
        if let Some(path) = own.or(inherited) {
            let path =
                path.canonicalize().with_context(|| format!("{name} lies at {}, where nothing is", path.display()))?;
            gather_folders(&path, root, found)?;
        }
    }
    Ok(())
}

fn gather_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for path in std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()) {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() {
            if !["target", "tests", "examples", "node_modules"].contains(&name.as_str()) && !name.starts_with('.') {
                gather_files(&path, found);
            }
        } else if !name.ends_with(".md") {
            found.push(path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    /// A workspace with a plugin that names a crate beside it.
    fn workspace() -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        let shared = "[workspace]\n[workspace.package]\nversion = \"2.1.0\"\n[workspace.dependencies]\nsdk = { path = \"sdk\" }\n";
        write("Cargo.toml", &format!("{shared}[profile.guest]\ninherits = \"release\"\n"));
        write("sdk/Cargo.toml", "[package]\nname = \"sdk\"\n");
        write("sdk/src/lib.rs", "//! SDK\n");
        write("wit/worlds.wit", "package a:b;\n");
        let plugin =
            "[package]\nname = \"detector-x\"\nversion.workspace = true\n[dependencies]\nsdk.workspace = true\n";
        write("plugins/x/Cargo.toml", plugin);
        write("plugins/x/src/lib.rs", "//! X\n");
        write("plugins/x/README.md", "X\n");
        root
    }

    #[test]
    fn a_package_takes_what_its_workspace_gives() {
        let root = workspace();
        let package = package(&root.path().join("plugins/x")).unwrap();
        assert_eq!((package.name.as_str(), package.version.as_str()), ("detector-x", "2.1.0"));
        assert_eq!(package.root, root.path().canonicalize().unwrap());
        assert!(package.has_guest_profile);
    }

    #[test]
    fn the_digest_changes_with_what_is_compiled_and_with_nothing_else() {
        let root = workspace();
        let package = package(&root.path().join("plugins/x")).unwrap();
        let before = digest(&package).unwrap();
        fs::write(root.path().join("plugins/x/README.md"), "changed").unwrap();
        assert_eq!(digest(&package).unwrap(), before);
        let mut last = before;
        for path in ["plugins/x/src/lib.rs", "sdk/src/lib.rs", "wit/worlds.wit", "Cargo.lock"] {
            fs::write(root.path().join(path), "// changed\n").unwrap();
            let now = digest(&package).unwrap();
            assert_ne!(now, last, "{path}");
            last = now;
        }
    }
}
