//! Plugins written in C: bindings by wit-bindgen, Debian's or any other clang and wasm-ld, and no C library but a small one
//! that needs no operating system, so that the component imports nothing its code does not ask for.

use crate::{Built, Identity, encode, imports, write_whole};
use anyhow::{Context, bail, ensure};
use std::{
    path::{Path, PathBuf},
    process::Command,
};
use wit_bindgen_core::{Files, wit_parser::Resolve};

/// Compilers that can compile for wasm, the ones that lie beside `LINKERS` first.
const COMPILERS: [&str; 5] = ["clang-19", "clang", "clang-20", "clang-18", "clang-17"];
/// LLVM's linker for wasm.
const LINKERS: [&str; 5] = ["wasm-ld-19", "wasm-ld", "wasm-ld-20", "wasm-ld-18", "wasm-ld-17"];
/// The stack of a plugin, in bytes: deep enough for parsing, small beside the sandbox's memory.
const STACK_BYTES: u32 = 256 << 10;

/// A plugin in C.
#[derive(Debug)]
pub struct Plugin {
    /// Its sources; every `.c` file of the folder is compiled.
    pub folder: PathBuf,
    /// The world of its kind.
    pub world: String,
    /// Its name and version.
    pub identity: Identity,
}

/// Where things lie and go.
#[derive(Debug)]
pub struct Places {
    /// The contract.
    pub wit: PathBuf,
    /// The small C library.
    pub library: PathBuf,
    /// Bindings and objects, in a folder for each plugin.
    pub objects: PathBuf,
    /// The component.
    pub out: PathBuf,
}

/// Builds a plugin.
///
/// # Errors
/// When there is no clang or wasm-ld, the contract has no such world, or the sources do not compile.
pub fn build(plugin: &Plugin, places: &Places) -> anyhow::Result<Built> {
    let name = &plugin.identity.name;
    let compiler = first_that_runs("clang", &COMPILERS)?;
    let linker = first_that_runs("lld", &LINKERS)?;
    let objects = places.objects.join(name);
    std::fs::create_dir_all(&objects).with_context(|| format!("{} cannot be made", objects.display()))?;
    let type_object = write_bindings(plugin, &places.wit, &objects)?;
    let mut link = Command::new(linker);
    link.args(["--no-entry", "--gc-sections", "--strip-debug", "--export=cabi_realloc"])
        .args(["-z", &format!("stack-size={STACK_BYTES}"), "--stack-first", "-o"])
        .arg(objects.join("module.wasm"))
        .arg(type_object);
    for folder in [&plugin.folder, &places.library, &objects] {
        for source in sources_in(folder)? {
            link.arg(compile(compiler, &source, &objects, &places.library, &plugin.folder)?);
        }
    }
    run(&mut link, &format!("{name} cannot be linked"))?;
    let module = std::fs::read(objects.join("module.wasm")).context("the linker left no module")?;
    let component = encode(&module, &plugin.identity)?;
    if let Some(parent) = places.out.parent() {
        std::fs::create_dir_all(parent).with_context(|| format!("{} cannot be made", parent.display()))?;
    }
    write_whole(&places.out, &component)?;
    let imports = imports(&component)?;
    Ok(Built { name: name.clone(), path: places.out.clone(), bytes: component.len() as u64, imports, compiled: true })
}

/// Writes header, source, and the object that carries the description of the world; answers the object.
fn write_bindings(plugin: &Plugin, wit: &Path, objects: &Path) -> anyhow::Result<PathBuf> {
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_path(wit).with_context(|| format!("{} is no contract", wit.display()))?;
    let world = resolve
        .select_world(&[package], Some(&plugin.world))
        .with_context(|| format!("the contract has no world {:?}", plugin.world))?;
    let mut files = Files::default();
    wit_bindgen_c::Opts::default().build().generate(&mut resolve, world, &mut files)?;
    let mut type_object = None;
    for (name, contents) in files.iter() {
        let path = objects.join(name);
        std::fs::write(&path, contents).with_context(|| format!("{} cannot be written", path.display()))?;
        if name.ends_with(".o") {
            type_object = Some(path);
        }
    }
    type_object.context("the bindings have no object for the world")
}

fn sources_in(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(folder).with_context(|| format!("{} cannot be read", folder.display()))?;
    let paths = entries.flatten().map(|entry| entry.path());
    let mut sources: Vec<PathBuf> = paths.filter(|path| path.extension().is_some_and(|end| end == "c")).collect();
    sources.sort();
    Ok(sources)
}

fn compile(compiler: &str, source: &Path, objects: &Path, library: &Path, folder: &Path) -> anyhow::Result<PathBuf> {
    let stem = source.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let owner = source.parent().and_then(Path::file_name).unwrap_or_default().to_string_lossy().into_owned();
    let object = objects.join(format!("{owner}-{stem}.o"));
    let is_generated = source.parent() == Some(objects);
    let mut command = Command::new(compiler);
    command
        .args([
            "--target=wasm32-unknown-unknown",
            "-std=c17",
            "-O2",
            "-fno-builtin-malloc",
            "-ffunction-sections",
            "-nostdlibinc",
        ])
        .args(["-mbulk-memory", "-mnontrapping-fptoint", "-c", "-o"])
        .arg(&object)
        .arg("-isystem")
        .arg(library)
        .arg("-I")
        .arg(objects)
        .arg("-I")
        .arg(folder);
    if is_generated {
        command.arg("-w");
    } else {
        command.args(["-Wall", "-Wextra", "-Werror"]);
    }
    run(command.arg(source), &format!("{} does not compile", source.display()))?;
    Ok(object)
}

fn run(command: &mut Command, otherwise: &str) -> anyhow::Result<()> {
    let program = command.get_program().to_string_lossy().into_owned();
    let status = command.status().with_context(|| format!("{program} could not be started"))?;
    ensure!(status.success(), "{otherwise}; the messages above say why");
    Ok(())
}

fn first_that_runs(package: &str, programs: &[&'static str]) -> anyhow::Result<&'static str> {
    for program in programs {
        if Command::new(program).arg("--version").output().is_ok_and(|answer| answer.status.success()) {
            return Ok(program);
        }
    }
    bail!(
        "plugins in C need {package}, and none of {} is there: on Debian, run \
         `apt-get install --no-install-recommends clang-19 lld-19` as root",
        programs.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_absent_tool_is_told_with_what_to_install() {
        let error = first_that_runs("clang", &["no-such-compiler"]).expect_err("there is none").to_string();
        assert!(error.contains("apt-get install") && error.contains("no-such-compiler"), "{error}");
    }
}
