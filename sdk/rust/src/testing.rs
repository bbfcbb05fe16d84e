//! Doubles for native tests: a folder of fixtures that stands for the machine's files, and prepared HTTP answers.

use crate::{
    host::{Files, FilesystemSpace, Host, Http, HttpRequest, HttpResponse, failure, passing_failure},
    types::{Failure, FailureCode},
};
use std::{
    cell::RefCell,
    collections::BTreeMap,
    path::{Path, PathBuf},
};

/// A host that serves the files below a folder under their absolute paths, and the HTTP answers it was given.
#[derive(Debug, Default)]
pub struct FixtureHost {
    root: PathBuf,
    spaces: BTreeMap<String, FilesystemSpace>,
    answers: BTreeMap<(String, String), HttpResponse>,
    requests: RefCell<Vec<HttpRequest>>,
}

impl FixtureHost {
    /// A host whose `/` is this folder.
    pub fn from_folder(root: impl AsRef<Path>) -> Self {
        Self { root: root.as_ref().into(), ..Self::default() }
    }

    /// Says how full a filesystem is.
    #[must_use]
    pub fn space(mut self, path: &str, space: FilesystemSpace) -> Self {
        self.spaces.insert(path.into(), space);
        self
    }

    /// Prepares the answer to a request.
    #[must_use]
    pub fn http(mut self, method: &str, url: &str, status: u16, body: impl Into<Vec<u8>>) -> Self {
        let answer = HttpResponse { status, headers: Vec::new(), body: body.into() };
        self.answers.insert((method.into(), url.into()), answer);
        self
    }

    /// The requests that were made so far.
    pub fn requests(&self) -> Vec<HttpRequest> {
        self.requests.borrow().clone()
    }

    fn place(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }
}

fn absent(path: &str, error: &std::io::Error) -> Failure {
    passing_failure(FailureCode::Unreachable, format!("{path}: {error}"))
}

impl Host for FixtureHost {
    fn files(&self) -> &dyn Files {
        self
    }
    fn http(&self) -> &dyn Http {
        self
    }
}

impl Files for FixtureHost {
    fn read(&self, path: &str) -> Result<Vec<u8>, Failure> {
        std::fs::read(self.place(path)).map_err(|error| absent(path, &error))
    }

    fn names(&self, path: &str) -> Result<Vec<String>, Failure> {
        let entries = std::fs::read_dir(self.place(path)).map_err(|error| absent(path, &error))?;
        let mut names: Vec<String> =
            entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        Ok(names)
    }

    fn link(&self, path: &str) -> Result<String, Failure> {
        let target = std::fs::read_link(self.place(path)).map_err(|error| absent(path, &error))?;
        Ok(target.to_string_lossy().into_owned())
    }

    fn space(&self, path: &str) -> Result<FilesystemSpace, Failure> {
        self.spaces
            .get(path)
            .copied()
            .ok_or_else(|| failure(FailureCode::Refused, format!("{path} is no known mount point")))
    }
}

impl Http for FixtureHost {
    fn send(&self, request: HttpRequest) -> Result<HttpResponse, Failure> {
        let key = (request.method.clone(), request.url.clone());
        self.requests.borrow_mut().push(request);
        let missing = || passing_failure(FailureCode::Unreachable, format!("{} {}: nothing answers", key.0, key.1));
        self.answers.get(&key).cloned().ok_or_else(missing)
    }
}
