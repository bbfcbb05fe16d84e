//! The rules of the house as a test: which crate may know which, which library lives where, and the shape of files.

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};
use syn::{spanned::Spanned, visit::Visit};

/// Longest source file, in lines: what one sitting can hold.
const MAX_FILE_LINES: usize = 520;
/// Longest function, in lines: what one screen can hold.
const MAX_FUNCTION_LINES: usize = 75;
/// Functions that are long on purpose: the wiring is one straight line, which reads better whole.
const LONG_ON_PURPOSE: [&str; 1] = ["host/server/src/serve.rs: wire"];
/// Names that say nothing of what is inside.
const EMPTY_NAMES: [&str; 6] = ["utils", "util", "helpers", "common", "misc", "stuff"];

/// Which house crates a crate may name (design, section 3). `server` may name all and none may name `server`.
const EDGES: [(&str, &[&str]); 13] = [
    ("tandem-domain", &[]),
    ("tandem-wire", &["tandem-domain"]),
    ("tandem-store", &["tandem-domain"]),
    // Stories are played by the command line and the benchmarks, over the doors that everybody has (adr/0015).
    ("tandem-story", &["tandem-domain", "tandem-wire"]),
    ("tandem-query", &["tandem-domain", "tandem-store"]),
    ("tandem-runtime", &["tandem-domain"]),
    ("tandem-gather", &["tandem-domain", "tandem-wire", "tandem-store"]),
    // Forwarding reads the store by cursor and decides what is sent, which egress must not: a crate between them (adr/0013).
    ("tandem-forward", &["tandem-domain", "tandem-wire", "tandem-store", "tandem-query"]),
    ("tandem-aiops", &["tandem-domain", "tandem-store", "tandem-query"]),
    ("tandem-mlops", &["tandem-domain", "tandem-store"]),
    ("tandem-verdict", &["tandem-domain", "tandem-store"]),
    ("tandem-egress", &["tandem-domain", "tandem-wire"]),
    (
        "tandem-api",
        &[
            "tandem-domain",
            "tandem-wire",
            "tandem-store",
            "tandem-gather",
            "tandem-forward",
            "tandem-aiops",
            "tandem-mlops",
            "tandem-verdict",
            "tandem-query",
            "tandem-egress",
        ],
    ),
];

/// Foreign libraries that only one crate under `host/` may name.
const OWNED: [(&str, &str); 11] = [
    ("redb", "tandem-store"),
    ("pco", "tandem-store"),
    ("zstd", "tandem-store"),
    ("parquet", "tandem-wire"),
    ("promql-parser", "tandem-query"),
    ("wasmtime", "tandem-runtime"),
    ("wasmtime-wasi", "tandem-runtime"),
    ("axum", "tandem-api"),
    ("reqwest", "tandem-egress"),
    ("snap", "tandem-wire"),
    ("twox-hash", "tandem-wire"),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ lies in the workspace").to_path_buf()
}

fn metadata() -> Metadata {
    MetadataCommand::new()
        .manifest_path(root().join("Cargo.toml"))
        .no_deps()
        .other_options(vec!["--locked".into()])
        .exec()
        .expect("cargo metadata answers")
}

/// Normal dependencies of every crate of the workspace.
fn dependencies() -> BTreeMap<String, BTreeSet<String>> {
    metadata()
        .packages
        .into_iter()
        .map(|package| {
            let names = package
                .dependencies
                .into_iter()
                .filter(|dependency| dependency.kind == DependencyKind::Normal)
                .map(|dependency| dependency.name)
                .collect();
            (package.name.to_string(), names)
        })
        .collect()
}

#[test]
fn crates_know_only_what_the_design_lets_them_know() {
    let dependencies = dependencies();
    let mut broken = Vec::new();
    for (name, allowed) in EDGES {
        let named =
            dependencies.get(name).unwrap_or_else(|| panic!("crate {name} is gone: change the design and this list"));
        for edge in named.iter().filter(|edge| edge.starts_with("tandem-") && !allowed.contains(&edge.as_str())) {
            broken.push(format!("{name} names {edge}, which the design does not allow"));
        }
    }
    for (name, named) in &dependencies {
        if named.contains("tandem-server") && !name.starts_with("tandem-tests") && name != "tandem-bench" {
            broken.push(format!("{name} names tandem-server; nobody but the tests may"));
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn foreign_libraries_live_in_one_crate() {
    let mut broken = Vec::new();
    for (name, named) in
        dependencies().iter().filter(|(name, _)| name.starts_with("tandem-") && !name.contains("tests"))
    {
        for (library, owner) in OWNED {
            if named.contains(library) && name != owner && !name.ends_with("-bench") {
                broken.push(format!("{name} names {library}, which belongs to {owner}"));
            }
        }
        if name == "tandem-domain" {
            broken.extend(
                named
                    .iter()
                    .filter(|n| !["serde", "thiserror"].contains(&n.as_str()))
                    .map(|n| format!("domain names {n}")),
            );
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn every_plugin_has_its_furniture() {
    let mut broken = Vec::new();
    let mut plugins = 0;
    for folder in std::fs::read_dir(root().join("plugins")).expect("plugins/").flatten().map(|entry| entry.path()) {
        let name = folder.file_name().expect("a name").to_string_lossy().into_owned();
        plugins += 1;
        for file in ["Cargo.toml", "README.md", "src/lib.rs"] {
            if !folder.join(file).is_file() {
                broken.push(format!("plugins/{name} has no {file}"));
            }
        }
        let kinds = ["collector-", "detector-", "correlator-", "root-cause-", "drift-", "target-"];
        if !kinds.iter().any(|kind| name.starts_with(kind)) {
            broken.push(format!("plugins/{name} does not begin with its kind"));
        }
    }
    assert!(plugins > 0, "no plugin was found");
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

/// All Rust sources of the project.
fn sources() -> Vec<PathBuf> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        for path in std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()) {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if path.is_dir() && !["target", "node_modules", "data"].contains(&name.as_str()) && !name.starts_with('.') {
                walk(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    let mut found = Vec::new();
    for part in ["host", "plugins", "sdk", "tests"] {
        walk(&root().join(part), &mut found);
    }
    found
}

struct LongFunctions {
    file: String,
    found: Vec<String>,
}

impl LongFunctions {
    fn look(&mut self, name: &syn::Ident, block: &syn::Block) {
        let lines = block.span().end().line.saturating_sub(block.span().start().line);
        let on_purpose = LONG_ON_PURPOSE.contains(&format!("{}: {name}", self.file).as_str());
        if lines > MAX_FUNCTION_LINES && !on_purpose {
            self.found.push(format!("{}: {name} is {lines} lines long", self.file));
        }
    }
}

impl<'ast> Visit<'ast> for LongFunctions {
    fn visit_item_fn(&mut self, function: &'ast syn::ItemFn) {
        self.look(&function.sig.ident, &function.block);
        syn::visit::visit_item_fn(self, function);
    }
    fn visit_impl_item_fn(&mut self, function: &'ast syn::ImplItemFn) {
        self.look(&function.sig.ident, &function.block);
        syn::visit::visit_impl_item_fn(self, function);
    }
}

#[test]
fn files_say_what_they_are_and_stay_small() {
    let mut broken = Vec::new();
    let sources = sources();
    assert!(sources.len() > 50, "only {} sources were found", sources.len());
    for path in sources {
        let text = std::fs::read_to_string(&path).expect("a source is text");
        let shown = path.strip_prefix(root()).expect("inside the workspace").display().to_string();
        let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let lines = text.lines().count();
        if lines > MAX_FILE_LINES {
            broken.push(format!("{shown} has {lines} lines: split it by meaning"));
        }
        if !text.starts_with("//!") {
            broken.push(format!("{shown} does not begin by saying what it is (//!)"));
        }
        if EMPTY_NAMES.contains(&stem.as_str()) {
            broken.push(format!("{shown}: the name says nothing"));
        }
        let parsed = syn::parse_file(&text).unwrap_or_else(|error| panic!("{shown}: {error}"));
        let mut functions = LongFunctions { file: shown, found: Vec::new() };
        functions.visit_file(&parsed);
        broken.append(&mut functions.found);
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}
