//! What a file is before anything of it runs: a component or not, of which kind, and how its imports and exports differ
//! from what its kind is offered, in plain words.

use tandem_domain::plugin::PluginKind;
use wasmparser::{Parser, Payload};

/// The version of `tandem:plugin` that this host speaks.
pub(crate) const CONTRACT_VERSION: &str = "1.0.0";

/// Largest component accepted: a Python component with its interpreter is 18 MB, JavaScript 12 MB.
pub(crate) const MAX_COMPONENT_BYTES: usize = 128 << 20;

/// Why a file is no plugin.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ShapeError {
    /// Larger than accepted.
    #[error(
        "the file has {bytes} bytes, more than the {MAX_COMPONENT_BYTES} a plugin may have; leave out debug information and data"
    )]
    TooLarge {
        /// Its length.
        bytes: usize,
    },
    /// Does not begin as WebAssembly does.
    #[error(
        "the file is not WebAssembly (it begins with {begins}); put the `.wasm` component there that `tandem plugin build` made"
    )]
    NotWasm {
        /// Its first bytes.
        begins: String,
    },
    /// A core module.
    #[error(
        "the file is a core WebAssembly module, not a component; build it with `tandem plugin build`, or wrap it with `wasm-tools component new`"
    )]
    CoreModule,
    /// Ends in the middle.
    #[error(
        "the file ends in the middle (of {bytes} bytes, in the section that begins at byte {at}); it is half written or cut off, copy it again"
    )]
    CutOff {
        /// Its length.
        bytes: usize,
        /// Where the last section begins.
        at: usize,
    },
    /// Cannot be read as a component.
    #[error("the file is not a valid component: {what} at byte {at}; build it again with `tandem plugin build`")]
    Broken {
        /// What the parser said.
        what: String,
        /// Where.
        at: usize,
    },
    /// Exports nothing of the contract.
    #[error(
        "the component exports no plugin interface (it exports {exports}); a plugin exports `tandem:plugin/about@{CONTRACT_VERSION}` and the interface of its kind"
    )]
    NoPlugin {
        /// What it exports.
        exports: String,
    },
    /// Exports interfaces of several kinds.
    #[error("the component exports the interfaces of several kinds ({kinds}); make one plugin per kind")]
    SeveralKinds {
        /// Their names.
        kinds: String,
    },
    /// Imports and exports that do not fit, one sentence each.
    #[error("the component does not fit: {}", differences.join("; "))]
    DoesNotFit {
        /// The sentences.
        differences: Vec<String>,
    },
}

/// A component as its outside shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Shape {
    /// Of which kind it is.
    pub(crate) kind: PluginKind,
    /// Names of what it imports.
    pub(crate) imports: Vec<String>,
    /// Whether it brings an interpreter, told by its size.
    pub(crate) carries_interpreter: bool,
}

/// A component this large brings an interpreter with it (Rust and C components stay below a megabyte or two).
const INTERPRETER_FROM_BYTES: usize = 4 << 20;

/// Reads the whole file and holds it against the contract.
pub(crate) fn read_shape(bytes: &[u8]) -> Result<Shape, ShapeError> {
    if bytes.len() > MAX_COMPONENT_BYTES {
        return Err(ShapeError::TooLarge { bytes: bytes.len() });
    }
    let (imports, exports) = outside_of(bytes)?;
    let kind = kind_of(&exports)?;
    let differences = differences(kind, &imports, &exports);
    if !differences.is_empty() {
        return Err(ShapeError::DoesNotFit { differences });
    }
    Ok(Shape { kind, imports, carries_interpreter: bytes.len() >= INTERPRETER_FROM_BYTES })
}

/// Walks the top level of a component, skipping what is nested, and gives the names of its imports and exports.
fn outside_of(bytes: &[u8]) -> Result<(Vec<String>, Vec<String>), ShapeError> {
    check_header(bytes)?;
    let (mut imports, mut exports) = (Vec::new(), Vec::new());
    let mut parser = Parser::new(0);
    let mut rest = bytes;
    let mut at = 0;
    loop {
        let broken = |error: wasmparser::BinaryReaderError| {
            // The parser says "unexpected end" both for a cut file and for a lying length; with the whole file at hand
            // they are the same thing.
            if error.message().contains("unexpected end") {
                ShapeError::CutOff { bytes: bytes.len(), at }
            } else {
                ShapeError::Broken { what: error.message().to_owned(), at: error.offset() }
            }
        };
        let (consumed, payload) = match parser.parse(rest, true).map_err(broken)? {
            wasmparser::Chunk::Parsed { consumed, payload } => (consumed, payload),
            wasmparser::Chunk::NeedMoreData(_) => return Err(ShapeError::CutOff { bytes: bytes.len(), at }),
        };
        let mut skip = 0;
        match payload {
            Payload::ComponentImportSection(section) => {
                for import in section {
                    imports.push(import.map_err(broken)?.name.name.to_owned());
                }
            }
            Payload::ComponentExportSection(section) => {
                for export in section {
                    exports.push(export.map_err(broken)?.name.name.to_owned());
                }
            }
            Payload::ModuleSection { unchecked_range, .. } | Payload::ComponentSection { unchecked_range, .. } => {
                skip = unchecked_range.len();
            }
            Payload::End(_) => return Ok((imports, exports)),
            _ => {}
        }
        let step = consumed.checked_add(skip).filter(|step| *step <= rest.len());
        let Some(step) = step else { return Err(ShapeError::CutOff { bytes: bytes.len(), at }) };
        rest = &rest[step..];
        at += step;
    }
}

fn check_header(bytes: &[u8]) -> Result<(), ShapeError> {
    const MAGIC: &[u8] = b"\0asm";
    if !bytes.starts_with(&MAGIC[..bytes.len().min(MAGIC.len())]) {
        let begins = String::from_utf8_lossy(&bytes[..bytes.len().min(8)]).escape_debug().to_string();
        return Err(ShapeError::NotWasm { begins: format!("`{begins}`") });
    }
    if bytes.len() < 8 {
        return Err(ShapeError::CutOff { bytes: bytes.len(), at: 0 });
    }
    if Parser::is_core_wasm(bytes) {
        return Err(ShapeError::CoreModule);
    }
    Ok(())
}

/// Interfaces of `tandem:plugin` that a kind must export beside `about`, and those of ours it may import.
pub(crate) fn interfaces_of(kind: PluginKind) -> (&'static [&'static str], &'static [&'static str]) {
    match kind {
        PluginKind::Collector => (&["mapper", "collector"], &["log", "files"]),
        PluginKind::Detector => (&["detector"], &["log", "assets"]),
        PluginKind::Correlator => (&["correlator"], &["log", "query"]),
        PluginKind::RootCause => (&["root-cause"], &["log", "assets"]),
        PluginKind::DriftMetric => (&["drift-metric"], &["log", "assets"]),
        PluginKind::DeploymentTarget => (&["deployment-target"], &["log"]),
    }
}

const ALL_KINDS: [PluginKind; 6] = [
    PluginKind::Collector,
    PluginKind::Detector,
    PluginKind::Correlator,
    PluginKind::RootCause,
    PluginKind::DriftMetric,
    PluginKind::DeploymentTarget,
];

/// Interfaces that hold only records; everybody may import them.
const RECORD_INTERFACES: [&str; 3] = ["types", "meaning-types", "description-types"];

/// Whether a kind does IO, and so may import HTTP.
pub(crate) fn does_io(kind: PluginKind) -> bool {
    matches!(kind, PluginKind::Collector | PluginKind::DeploymentTarget)
}

fn kind_of(exports: &[String]) -> Result<PluginKind, ShapeError> {
    let has = |interface: &str| exports.iter().any(|export| InterfaceName::parse(export).is_ours(interface));
    let kinds: Vec<PluginKind> =
        ALL_KINDS.into_iter().filter(|kind| interfaces_of(*kind).0.iter().any(|i| has(i))).collect();
    match kinds.as_slice() {
        [kind] => Ok(*kind),
        [] => Err(ShapeError::NoPlugin {
            exports: if exports.is_empty() { "nothing".into() } else { format!("`{}`", exports.join("`, `")) },
        }),
        several => Err(ShapeError::SeveralKinds {
            kinds: several.iter().map(|kind| kind.as_str()).collect::<Vec<_>>().join(", "),
        }),
    }
}

/// `namespace:package/interface@version` in its parts; empty where a part is missing.
struct InterfaceName<'a> {
    package: &'a str,
    interface: &'a str,
    version: &'a str,
}

impl<'a> InterfaceName<'a> {
    fn parse(name: &'a str) -> Self {
        let (path, version) = name.split_once('@').unwrap_or((name, ""));
        let (package, interface) = path.split_once('/').unwrap_or(("", path));
        Self { package, interface, version }
    }

    fn is_ours(&self, interface: &str) -> bool {
        self.package == "tandem:plugin" && self.interface == interface
    }

    /// Whether the version goes with this host's: the same major, no pre-release.
    fn fits_contract(&self) -> bool {
        semver::Version::parse(self.version).is_ok_and(|version| version.major == 1 && version.pre.is_empty())
    }
}

fn differences(kind: PluginKind, imports: &[String], exports: &[String]) -> Vec<String> {
    let (must_export, may_import) = interfaces_of(kind);
    let mut differences = Vec::new();
    for interface in must_export.iter().chain(&["about"]) {
        match exports.iter().map(|export| InterfaceName::parse(export)).find(|name| name.is_ours(interface)) {
            None => differences.push(format!(
                "it exports no `tandem:plugin/{interface}@{CONTRACT_VERSION}`, which a {} must; use world `{}-plugin`",
                kind.as_str(),
                kind.as_str()
            )),
            Some(name) if !name.fits_contract() => differences.push(wrong_version(&name, "exports")),
            Some(_) => {}
        }
    }
    for import in imports {
        let name = InterfaceName::parse(import);
        if let Some(difference) = import_difference(kind, import, &name, may_import) {
            differences.push(difference);
        }
    }
    differences
}

fn wrong_version(name: &InterfaceName<'_>, verb: &str) -> String {
    let version = if name.version.is_empty() { "no version" } else { name.version };
    format!(
        "it {verb} `tandem:plugin/{}` in {version}, this server speaks {CONTRACT_VERSION}; build it against the `wit` \
         folder of this server",
        name.interface
    )
}

/// Why an import cannot be offered, or nothing when it can.
fn import_difference(kind: PluginKind, import: &str, name: &InterfaceName<'_>, may_import: &[&str]) -> Option<String> {
    let kind_name = kind.as_str();
    match name.package {
        "tandem:plugin" => {
            if RECORD_INTERFACES.contains(&name.interface) || may_import.contains(&name.interface) {
                return (!name.fits_contract()).then(|| wrong_version(name, "imports"));
            }
            let known = ALL_KINDS.iter().any(|kind| interfaces_of(*kind).1.contains(&name.interface));
            Some(if known {
                format!("it imports `{import}`, which a {kind_name} is not offered; a {kind_name} may import {}", listed(may_import))
            } else {
                format!("it imports `{import}`, which this server does not know; a {kind_name} may import {}", listed(may_import))
            })
        }
        "wasi:http" if !does_io(kind) => Some(format!(
            "it imports `{import}`, but a {kind_name} is pure and reaches no network; move the request into a collector"
        )),
        "wasi:cli" | "wasi:io" | "wasi:clocks" | "wasi:random" | "wasi:filesystem" | "wasi:sockets" | "wasi:http" => {
            (!name.version.starts_with("0.2.")).then(|| {
                format!("it imports `{import}`, this server offers WASI 0.2; build it for `wasm32-wasip2` or with WASI 0.2 adapters")
            })
        }
        _ => Some(format!(
            "it imports `{import}`, which this server does not offer; build it without this import (a {kind_name} may import {} and WASI 0.2)",
            listed(may_import)
        )),
    }
}

fn listed(interfaces: &[&str]) -> String {
    interfaces.iter().map(|interface| format!("`tandem:plugin/{interface}`")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONTRACT: &str = "1.0.0";

    /// A component with empty instances under the given names: enough for its outside.
    fn component(imports: &[&str], exports: &[&str]) -> Vec<u8> {
        let mut text = String::from("(component ");
        for import in imports {
            text += &format!("(import \"{import}\" (instance)) ");
        }
        text += "(instance $empty) ";
        for export in exports {
            text += &format!("(export \"{export}\" (instance $empty)) ");
        }
        text += ")";
        wat::parse_str(&text).expect("valid text")
    }

    fn ours(interface: &str) -> String {
        format!("tandem:plugin/{interface}@{CONTRACT}")
    }

    #[test]
    fn the_kind_is_told_by_the_exports() {
        let bytes =
            component(&[&ours("log"), &ours("types"), "wasi:io/poll@0.2.3"], &[&ours("about"), &ours("detector")]);
        let shape = read_shape(&bytes).expect("fits");
        assert_eq!(shape.kind, PluginKind::Detector);
        assert_eq!(shape.imports.len(), 3);
        assert!(!shape.carries_interpreter);
    }

    #[test]
    fn a_core_module_and_other_files_get_their_own_errors() {
        let module = wat::parse_str("(module)").expect("valid text");
        assert_eq!(read_shape(&module), Err(ShapeError::CoreModule));
        assert!(matches!(read_shape(b"\x7fELF\x02\x01\x01\x00"), Err(ShapeError::NotWasm { .. })));
        assert!(matches!(read_shape(b"\0asm"), Err(ShapeError::CutOff { .. })));
        assert!(matches!(read_shape(b""), Err(ShapeError::CutOff { .. })));
    }

    #[test]
    fn a_component_cut_anywhere_is_never_taken_for_whole() {
        let whole = wat::parse_str(format!(
            "(component (core module (func (export \"f\") nop) (memory 1) (data (i32.const 0) \"some data\"))
               (instance) (export \"{}\" (instance 0)) (export \"{}\" (instance 0)))",
            ours("about"),
            ours("detector")
        ))
        .expect("valid text");
        assert!(read_shape(&whole).is_ok());
        for length in 0..whole.len() {
            assert!(read_shape(&whole[..length]).is_err(), "cut at {length} of {}", whole.len());
        }
        assert!(matches!(read_shape(&whole[..whole.len() / 2]), Err(ShapeError::CutOff { .. })));
    }

    fn sentences(imports: &[&str], exports: &[&str]) -> String {
        match read_shape(&component(imports, exports)) {
            Err(error @ ShapeError::DoesNotFit { .. }) => error.to_string(),
            other => panic!("expected a difference, got {other:?}"),
        }
    }

    #[test]
    fn what_does_not_fit_is_said_in_plain_words_all_at_once() {
        let text = sentences(&["wasi:http/outgoing-handler@0.2.12", "acme:gpu/device@1.0.0"], &[&ours("detector")]);
        assert!(text.contains("exports no `tandem:plugin/about@1.0.0`"), "{text}");
        assert!(text.contains("`wasi:http/outgoing-handler@0.2.12`, but a detector is pure"), "{text}");
        assert!(text.contains("`acme:gpu/device@1.0.0`, which this server does not offer"), "{text}");
    }

    #[test]
    fn another_version_of_the_contract_is_named_with_what_to_do() {
        let text = sentences(&[], &["tandem:plugin/about@2.0.0", "tandem:plugin/detector@2.0.0"]);
        assert!(text.contains("in 2.0.0, this server speaks 1.0.0"), "{text}");
        let text = sentences(&[], &[&ours("about"), "tandem:plugin/detector@1.0.0-rc.1"]);
        assert!(text.contains("1.0.0-rc.1"), "{text}");
    }

    #[test]
    fn an_interface_of_another_kind_is_not_offered() {
        let text = sentences(&[&ours("files")], &[&ours("about"), &ours("detector")]);
        assert!(text.contains("which a detector is not offered; a detector may import `tandem:plugin/log`"), "{text}");
        let text = sentences(&["wasi:io/poll@0.3.0"], &[&ours("about"), &ours("detector")]);
        assert!(text.contains("offers WASI 0.2"), "{text}");
    }

    #[test]
    fn no_kind_and_two_kinds_are_errors() {
        assert!(matches!(read_shape(&component(&[], &["acme:thing/run@1.0.0"])), Err(ShapeError::NoPlugin { .. })));
        let both = component(&[], &[&ours("about"), &ours("detector"), &ours("correlator")]);
        assert!(matches!(read_shape(&both), Err(ShapeError::SeveralKinds { .. })));
    }
}
