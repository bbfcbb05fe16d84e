//! Finding the wasm toolchain, in one fixed order, and saying in one sentence what was chosen.

use anyhow::{Context, bail};
use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

/// What components are compiled for: no operating system, so that a component imports only what its code asks for.
pub(crate) const TARGET: &str = "wasm32-unknown-unknown";
/// Debian's packages with a Rust that can compile for wasm, its sources, and the linker.
const DEBIAN_PACKAGES: [&str; 4] = ["rustc-web", "cargo-web", "rust-web-src", "lld-19"];
/// Where those packages put their programs.
const DEBIAN_RUSTC: &str = "/usr/bin/rustc";
const DEBIAN_CARGO: &str = "/usr/bin/cargo";
const DEBIAN_LINKER: &str = "/usr/bin/wasm-ld-19";
/// How long rustup may take: the target is 20 MB, and a server out of reach may not even refuse.
const RUSTUP_TIMEOUT: Duration = Duration::from_secs(120);
/// How often it is looked at.
const RUSTUP_POLL: Duration = Duration::from_millis(100);
/// Where the choice is remembered, so that a server out of reach is asked only once.
const REMEMBERED: &str = "toolchain";

/// A way to compile for wasm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Toolchain {
    /// The active Rust has the target.
    Active,
    /// The active Rust got the target from rustup.
    Added,
    /// Debian's Rust, which builds the standard library from source.
    Debian,
}

impl Toolchain {
    /// Finds one, installing what is missing where that is possible.
    ///
    /// # Errors
    /// When there is none and none can be installed; says what to install.
    pub fn find(guests: &Path) -> anyhow::Result<Self> {
        if active_has_target() {
            return Ok(Self::Active);
        }
        let remembered: PathBuf = guests.join(REMEMBERED);
        if std::fs::read_to_string(&remembered).is_ok_and(|text| text == "debian") && debian_is_there() {
            return Ok(Self::Debian);
        }
        if rustup_adds_target() && active_has_target() {
            return Ok(Self::Added);
        }
        if !debian_is_there() {
            install_from_debian()?;
        }
        std::fs::create_dir_all(guests).with_context(|| format!("{} cannot be made", guests.display()))?;
        std::fs::write(&remembered, "debian").with_context(|| format!("{} cannot be written", remembered.display()))?;
        Ok(Self::Debian)
    }

    /// What was chosen, for people.
    pub fn sentence(&self) -> &'static str {
        match self {
            Self::Active => "Compiling plugins with the active Rust, which has the target wasm32-unknown-unknown.",
            Self::Added => {
                "Compiling plugins with the active Rust, to which rustup added the target wasm32-unknown-unknown."
            }
            Self::Debian => "Compiling plugins with Debian's rustc-web, which builds the standard library from source.",
        }
    }

    pub(crate) fn cargo(&self) -> Command {
        match self {
            Self::Active | Self::Added => Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into())),
            Self::Debian => {
                let mut cargo = Command::new(DEBIAN_CARGO);
                cargo
                    .env("RUSTC", DEBIAN_RUSTC)
                    .env("RUSTC_BOOTSTRAP", "1")
                    .env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", DEBIAN_LINKER)
                    // Set by a cargo that called us, and meant for that cargo's own Rust.
                    .env_remove("RUSTUP_TOOLCHAIN")
                    .env_remove("RUSTDOC")
                    .env_remove("RUSTFLAGS")
                    .env_remove("CARGO_ENCODED_RUSTFLAGS");
                cargo
            }
        }
    }

    pub(crate) fn cargo_arguments(&self) -> &'static [&'static str] {
        match self {
            Self::Active | Self::Added => &[],
            Self::Debian => &["-Zbuild-std=std,panic_abort"],
        }
    }
}

fn active_has_target() -> bool {
    let asked =
        Command::new("rustc").args(["--print", "target-libdir", "--target", TARGET]).stderr(Stdio::null()).output();
    let Ok(answer) = asked else { return false };
    let folder = PathBuf::from(String::from_utf8_lossy(&answer.stdout).trim());
    answer.status.success() && std::fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some())
}

/// Asks rustup, and gives up on a server that does not answer.
fn rustup_adds_target() -> bool {
    let asked =
        Command::new("rustup").args(["target", "add", TARGET]).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    let Ok(mut adding) = asked else { return false };
    let started = Instant::now();
    while started.elapsed() < RUSTUP_TIMEOUT {
        match adding.try_wait() {
            Ok(Some(status)) => return status.success(),
            Ok(None) => std::thread::sleep(RUSTUP_POLL),
            Err(_) => break,
        }
    }
    // It may have ended by itself in between; then there is nothing to stop.
    let _ = adding.kill();
    let _ = adding.wait();
    false
}

fn debian_is_there() -> bool {
    let programs = [DEBIAN_RUSTC, DEBIAN_CARGO, DEBIAN_LINKER].iter().all(|program| Path::new(program).exists());
    programs && DEBIAN_PACKAGES.iter().all(|package| is_installed(package))
}

fn is_installed(package: &str) -> bool {
    let asked = Command::new("dpkg-query")
        .args(["--show", "--showformat=${db:Status-Status}", package])
        .stderr(Stdio::null())
        .output();
    asked.is_ok_and(|answer| answer.stdout == b"installed")
}

fn install_from_debian() -> anyhow::Result<()> {
    let what = DEBIAN_PACKAGES.join(" ");
    let hint = format!(
        "plugins need a Rust that can compile for {TARGET}: run `rustup target add {TARGET}`, or, on Debian, \
         `apt-get update && apt-get install --no-install-recommends {what}` as root"
    );
    if !Path::new("/usr/bin/apt-get").exists() {
        bail!("{hint}");
    }
    eprintln!("Installing {what} with apt-get, because rustup cannot give the target {TARGET} here.");
    let apt = |arguments: &[&str]| {
        Command::new("/usr/bin/apt-get")
            .env("DEBIAN_FRONTEND", "noninteractive")
            .args(arguments)
            .stdout(Stdio::null())
            .status()
    };
    // An update that fails in part may still leave lists that suffice; the install tells.
    let _ = apt(&["update", "-qq"]);
    let mut arguments = vec!["install", "-y", "-qq", "--no-install-recommends"];
    arguments.extend(DEBIAN_PACKAGES);
    match apt(&arguments) {
        Ok(status) if status.success() && debian_is_there() => Ok(()),
        Ok(_) => bail!("apt-get could not install them (are you root?): {hint}"),
        Err(error) => bail!("apt-get could not be started ({error}): {hint}"),
    }
}
