//! The machine's own files, read-only: only paths that are granted, only where they truly lead, and never what belongs to a
//! process.

use super::HostState;
use crate::{
    bindings::{
        wit,
        wit_files::{FilesystemSpace, Host},
    },
    grants::PathGrant,
};
use std::{
    io::Read,
    path::{Component, Path},
};

/// Longest file, in bytes.
const MAX_FILE_BYTES: u64 = 4 << 20;
/// Most names in one folder.
const MAX_NAMES: usize = 10_000;
/// Links of the kernel's that lead through `/proc/self` to things that are the machine's, not a process's.
const MACHINE_WIDE: [&str; 2] = ["/proc/mounts", "/proc/net"];

fn failure(code: wit::FailureCode, message: String) -> wit::Failure {
    wit::Failure { code, message, retry: code == wit::FailureCode::Unreachable }
}

fn denied(path: &str, why: &str) -> wit::Failure {
    failure(
        wit::FailureCode::Refused,
        format!(
            "{path}: {why}; to allow it, the plugin must ask for it and tandem.toml must hold allow_files = [\"{path}\"] in the plugin's table"
        ),
    )
}

fn broken(path: &str, error: &std::io::Error) -> wit::Failure {
    failure(wit::FailureCode::Unreachable, format!("{path}: {error}"))
}

fn is_machine_wide(path: &str) -> bool {
    MACHINE_WIDE
        .iter()
        .any(|known| path == *known || path.strip_prefix(known).is_some_and(|rest| rest.starts_with('/')))
}

/// What no grant opens: everything of a process, whoever's it is.
fn belongs_to_a_process(path: &str) -> bool {
    let Some(rest) = path.strip_prefix("/proc/") else { return false };
    let first = rest.split('/').next().unwrap_or_default();
    first == "self" || first == "thread-self" || (!first.is_empty() && first.bytes().all(|byte| byte.is_ascii_digit()))
}

/// The place a path truly leads to, when both ends are granted.
fn resolve(path: &str, allows: impl Fn(&str) -> bool) -> Result<String, wit::Failure> {
    let plain = path.starts_with('/')
        && Path::new(path).components().all(|part| matches!(part, Component::RootDir | Component::Normal(_)))
        && !path.contains("//")
        && (path == "/" || !path.ends_with('/'));
    if !plain {
        return Err(failure(wit::FailureCode::Malformed, format!("{path:?} is not a plain absolute path")));
    }
    if belongs_to_a_process(path) {
        return Err(denied(path, "what belongs to a process is never readable"));
    }
    if !allows(path) {
        return Err(denied(path, "this path is not granted"));
    }
    if is_machine_wide(path) {
        return Ok(path.to_owned());
    }
    let real = std::fs::canonicalize(path).map_err(|error| broken(path, &error))?;
    let real = real
        .to_str()
        .ok_or_else(|| failure(wit::FailureCode::Malformed, format!("{path} leads to a name that is not text")))?;
    if belongs_to_a_process(real) {
        return Err(denied(path, "it leads to what belongs to a process"));
    }
    if real != path && !allows(real) {
        return Err(denied(real, &format!("{path} leads there, and that is not granted")));
    }
    Ok(real.to_owned())
}

fn read(grant: &PathGrant, path: &str) -> Result<Vec<u8>, wit::Failure> {
    let real = resolve(path, |path| grant.allows(path))?;
    let file = std::fs::File::open(&real).map_err(|error| broken(path, &error))?;
    let data = file.metadata().map_err(|error| broken(path, &error))?;
    if !data.is_file() {
        return Err(failure(wit::FailureCode::Refused, format!("{path} is no plain file")));
    }
    // Files of the kernel's say they are empty, so the length is held to while reading.
    let mut bytes = Vec::new();
    file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes).map_err(|error| broken(path, &error))?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(failure(wit::FailureCode::Refused, format!("{path} is longer than {MAX_FILE_BYTES} bytes")));
    }
    Ok(bytes)
}

fn names(grant: &PathGrant, path: &str) -> Result<Vec<String>, wit::Failure> {
    let real = resolve(path, |path| grant.allows_listing(path))?;
    let entries = std::fs::read_dir(&real).map_err(|error| broken(path, &error))?;
    let mut names: Vec<String> =
        entries.flatten().take(MAX_NAMES + 1).map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    if names.len() > MAX_NAMES {
        return Err(failure(wit::FailureCode::Refused, format!("{path} holds more than {MAX_NAMES} names")));
    }
    names.retain(|name| !belongs_to_a_process(&format!("{}/{name}", real.trim_end_matches('/'))));
    names.sort();
    Ok(names)
}

/// Where a link leads, as written in it; the link must lie on a granted path.
fn link(grant: &PathGrant, path: &str) -> Result<String, wit::Failure> {
    let parent = path.rsplit_once('/').map_or("/", |(parent, _)| if parent.is_empty() { "/" } else { parent });
    if belongs_to_a_process(path) || !(grant.allows(path) || grant.allows_listing(path)) {
        return Err(denied(path, "this path is not granted"));
    }
    resolve(parent, |path| grant.allows_listing(path) || grant.allows(path))?;
    let target = std::fs::read_link(path).map_err(|error| broken(path, &error))?;
    Ok(target.to_string_lossy().into_owned())
}

fn space(grant: &PathGrant, spaces: &PathGrant, path: &str) -> Result<FilesystemSpace, wit::Failure> {
    if !grant.allows(path) && !spaces.allows(path) {
        return Err(denied(path, "this mount point is not granted"));
    }
    let stat = rustix::fs::statvfs(path).map_err(|error| broken(path, &error.into()))?;
    Ok(FilesystemSpace {
        total_bytes: stat.f_blocks.saturating_mul(stat.f_frsize),
        free_bytes: stat.f_bfree.saturating_mul(stat.f_frsize),
        available_bytes: stat.f_bavail.saturating_mul(stat.f_frsize),
        total_files: stat.f_files,
        free_files: stat.f_ffree,
        read_only: stat.f_flag.contains(rustix::fs::StatVfsMountFlags::RDONLY),
    })
}

impl HostState {
    /// Reads off the async threads; counts what was refused.
    async fn off_thread<T: Send + 'static>(
        &mut self,
        work: impl FnOnce(&PathGrant, &PathGrant) -> Result<T, wit::Failure> + Send + 'static,
    ) -> Result<T, wit::Failure> {
        let (files, spaces) = (self.grants.files.clone(), self.grants.spaces.clone());
        let done = tokio::task::spawn_blocking(move || work(&files, &spaces)).await;
        let answer = done.unwrap_or_else(|error| Err(failure(wit::FailureCode::Internal, error.to_string())));
        if let Err(wit::Failure { code: wit::FailureCode::Refused, .. }) = &answer {
            self.context.usage.count_denial();
        }
        answer
    }
}

impl Host for HostState {
    async fn read(&mut self, path: String) -> Result<Vec<u8>, wit::Failure> {
        self.off_thread(move |files, _| read(files, &path)).await
    }

    async fn names(&mut self, path: String) -> Result<Vec<String>, wit::Failure> {
        self.off_thread(move |files, _| names(files, &path)).await
    }

    async fn link(&mut self, path: String) -> Result<String, wit::Failure> {
        self.off_thread(move |files, _| link(files, &path)).await
    }

    async fn space(&mut self, path: String) -> Result<FilesystemSpace, wit::Failure> {
        self.off_thread(move |files, spaces| space(files, spaces, &path)).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grants::{OperatorGrants, for_call, granted};
    use tandem_domain::plugin::Capability;

    fn grant(patterns: &[&str]) -> PathGrant {
        let asked: Vec<Capability> = patterns
            .iter()
            .map(|p| Capability { name: "file".into(), value: (*p).into(), reason: "test".into() })
            .collect();
        let operator = OperatorGrants { trusts_declared_files: true, ..OperatorGrants::default() };
        for_call(&asked, &granted(&asked, &operator), &operator, "").expect("fine").files
    }

    #[test]
    fn granted_kernel_files_are_read_and_others_are_not() {
        let grant = grant(&["/proc/stat", "/proc/mounts", "/proc/net/dev", "/sys/class/net/*/operstate"]);
        assert!(read(&grant, "/proc/stat").expect("reads").starts_with(b"cpu"));
        assert!(!read(&grant, "/proc/mounts").expect("reads").is_empty());
        assert!(!read(&grant, "/proc/net/dev").expect("reads").is_empty());
        let refused = read(&grant, "/etc/passwd").expect_err("refused");
        assert!(refused.message.contains("allow_files = [\"/etc/passwd\"]"), "{}", refused.message);
        assert!(names(&grant, "/sys/class/net").expect("lists").contains(&"lo".to_owned()));
        assert!(names(&grant, "/etc").is_err());
    }

    #[test]
    fn what_belongs_to_a_process_is_never_readable() {
        let grant = grant(&["/proc/*/environ", "/proc/self/environ", "/proc/*", "/proc/*/*"]);
        for path in ["/proc/1/environ", "/proc/self/environ", "/proc/thread-self/environ", "/proc/self"] {
            assert!(matches!(read(&grant, path), Err(wit::Failure { code: wit::FailureCode::Refused, .. })), "{path}");
        }
        let listed = names(&grant, "/proc").expect("lists");
        assert!(listed.iter().all(|name| name.parse::<u32>().is_err() && name != "self"), "{listed:?}");
    }

    #[test]
    fn links_that_lead_out_and_crooked_paths_are_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path().canonicalize().expect("a path");
        std::fs::create_dir_all(root.join("open")).expect("made");
        std::fs::write(root.join("secret"), "secret").expect("written");
        std::fs::write(root.join("open/plain"), "plain").expect("written");
        std::os::unix::fs::symlink(root.join("secret"), root.join("open/escape")).expect("linked");
        std::os::unix::fs::symlink("plain", root.join("open/inside")).expect("linked");
        std::os::unix::fs::symlink("/proc/self/environ", root.join("open/process")).expect("linked");
        let path = |name: &str| root.join("open").join(name).to_string_lossy().into_owned();
        let grant = grant(&[&path("*")]);
        assert_eq!(read(&grant, &path("plain")).expect("reads"), b"plain");
        assert_eq!(read(&grant, &path("inside")).expect("reads"), b"plain");
        assert_eq!(link(&grant, &path("inside")).expect("reads"), "plain");
        for crooked in
            [path("escape"), path("process"), path("../secret"), format!("{}/", path("plain")), "open/plain".into()]
        {
            assert!(read(&grant, &crooked).is_err(), "{crooked}");
        }
    }
}
