//! Puts the stories and fleets of `tests/stories/` into the crate, so that adding one needs no code.

use std::{env, fmt::Write as _, fs, path::Path};

fn main() {
    let folder = Path::new(&env::var("CARGO_MANIFEST_DIR").unwrap_or_default()).join("../../tests/stories");
    list(&folder, "stories.rs");
    list(&folder.join("fleets"), "fleets.rs");
}

/// Writes the list of a folder's files.
fn list(folder: &Path, name: &str) {
    println!("cargo:rerun-if-changed={}", folder.display());
    let entries = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut files: Vec<_> = entries.filter(|path| path.extension().is_some_and(|e| e == "toml")).collect();
    files.sort();
    let mut list = String::from("&[\n");
    for path in files {
        println!("cargo:rerun-if-changed={}", path.display());
        let path = fs::canonicalize(&path).expect("a file that was just listed");
        let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        writeln!(list, "    ({stem:?}, include_str!({:?})),", path.display().to_string()).expect("text grows");
    }
    list.push(']');
    let out = env::var_os("OUT_DIR").expect("cargo sets OUT_DIR");
    fs::write(Path::new(&out).join(name), list).expect("OUT_DIR can be written");
}
