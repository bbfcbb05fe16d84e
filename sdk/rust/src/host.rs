//! What a plugin may reach, as traits, so that its rules are tested natively against fixtures.

use crate::types::Failure;

pub use crate::bindings::imports::tandem::plugin::files::FilesystemSpace;
pub use crate::failure::{failure, passing_failure};
pub use crate::http::{Http, HttpRequest, HttpResponse};

/// What a collector may reach.
pub trait Host {
    /// The machine's own files.
    fn files(&self) -> &dyn Files;
    /// Other machines.
    fn http(&self) -> &dyn Http;
}

/// The machine's own files, read-only; only paths that were both asked for and granted.
pub trait Files {
    /// The file whole, at most 4 MiB.
    fn read(&self, path: &str) -> Result<Vec<u8>, Failure>;

    /// The file whole as text; bytes that are no UTF-8 become the replacement character.
    fn read_text(&self, path: &str) -> Result<String, Failure> {
        let bytes = self.read(path)?;
        Ok(String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
    }

    /// The names in a folder, sorted.
    fn names(&self, path: &str) -> Result<Vec<String>, Failure>;

    /// Where a symbolic link leads, as written in the link.
    fn link(&self, path: &str) -> Result<String, Failure>;

    /// The space of the filesystem mounted here.
    fn space(&self, path: &str) -> Result<FilesystemSpace, Failure>;
}

/// The host outside the sandbox; what is not imported cannot be reached.
pub(crate) struct Outside<const FILES: bool, const HTTP: bool>;

impl<const FILES: bool, const HTTP: bool> Host for Outside<FILES, HTTP> {
    fn files(&self) -> &dyn Files {
        if FILES { &OutsideFiles } else { &NotImported }
    }

    fn http(&self) -> &dyn Http {
        if HTTP { &crate::http::WasiHttp } else { &NotImported }
    }
}

struct OutsideFiles;

impl Files for OutsideFiles {
    fn read(&self, path: &str) -> Result<Vec<u8>, Failure> {
        crate::bindings::imports::tandem::plugin::files::read(path)
    }

    fn names(&self, path: &str) -> Result<Vec<String>, Failure> {
        crate::bindings::imports::tandem::plugin::files::names(path)
    }

    fn link(&self, path: &str) -> Result<String, Failure> {
        crate::bindings::imports::tandem::plugin::files::link(path)
    }

    fn space(&self, path: &str) -> Result<FilesystemSpace, Failure> {
        crate::bindings::imports::tandem::plugin::files::space(path)
    }
}

struct NotImported;

fn not_imported(what: &str) -> Failure {
    Failure::unsupported(format!("this plugin imports no {what}: name it in the `collector!` macro"))
}

impl Files for NotImported {
    fn read(&self, _: &str) -> Result<Vec<u8>, Failure> {
        Err(not_imported("files"))
    }

    fn names(&self, _: &str) -> Result<Vec<String>, Failure> {
        Err(not_imported("files"))
    }

    fn link(&self, _: &str) -> Result<String, Failure> {
        Err(not_imported("files"))
    }

    fn space(&self, _: &str) -> Result<FilesystemSpace, Failure> {
        Err(not_imported("files"))
    }
}

impl Http for NotImported {
    fn send(&self, _: HttpRequest) -> Result<HttpResponse, Failure> {
        Err(not_imported("http"))
    }
}
