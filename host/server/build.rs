//! Puts the components of a folder into the binary. It builds none: `make` builds them first, with `tandem-builder`.

use std::{
    env,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

fn main() {
    println!("cargo:rerun-if-env-changed=TANDEM_COMPONENTS");
    let beside = || Path::new(&env::var("CARGO_MANIFEST_DIR").unwrap_or_default()).join("../../target/components");
    let folder = env::var_os("TANDEM_COMPONENTS").map_or_else(beside, PathBuf::from);
    println!("cargo:rerun-if-changed={}", folder.display());
    let entries = fs::read_dir(&folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut components: Vec<PathBuf> = entries.filter(|path| path.extension().is_some_and(|e| e == "wasm")).collect();
    components.sort();
    if components.is_empty() {
        println!(
            "cargo:warning=no components in {}: this server will have no bundled plugins; run `make build`",
            folder.display()
        );
    }
    let mut list = String::from("&[\n");
    for path in components {
        println!("cargo:rerun-if-changed={}", path.display());
        let path = fs::canonicalize(&path).expect("a component that was just listed");
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        writeln!(list, "    ({name:?}, include_bytes!({:?})),", path.display().to_string()).expect("text grows");
    }
    list.push(']');
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    fs::write(out.join("bundled.rs"), list).expect("OUT_DIR can be written");
}
