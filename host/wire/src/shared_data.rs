//! Where tests find the recordings beside the repository; they say plainly when those are absent.

use std::path::PathBuf;

/// A folder or file of `shared/data`, when it is there. `TANDEM_SHARED` names another `shared`.
pub(crate) fn path(part: &str) -> Option<PathBuf> {
    let beside = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared").to_owned();
    let shared = std::env::var("TANDEM_SHARED").unwrap_or(beside);
    let path = PathBuf::from(shared).join("data").join(part);
    if path.exists() {
        return Some(path);
    }
    eprintln!("skipped: {} is absent; set TANDEM_SHARED to the folder that holds data/", path.display());
    None
}

/// The files of a folder whose names end so, by name.
pub(crate) fn files(part: &str, ending: &str) -> Vec<(String, Vec<u8>)> {
    let Some(folder) = path(part) else { return Vec::new() };
    let mut files: Vec<(String, Vec<u8>)> = std::fs::read_dir(&folder)
        .expect("a folder")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.is_file() && path.to_string_lossy().ends_with(ending))
        .map(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            (name, std::fs::read(&path).expect("readable"))
        })
        .collect();
    files.sort();
    files
}
