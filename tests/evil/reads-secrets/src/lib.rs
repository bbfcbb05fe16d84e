//! Attack: was granted one kernel file, and reads other files by their names, by a way around, and by a link.

use evil_honest::{Collecting, Errand, nothing};
use tandem_sdk::{
    collector::{CollectRequest, Collection, Host},
    types::Failure,
};

/// The guest.
#[derive(Debug)]
pub struct ReadsSecrets;

impl Errand for ReadsSecrets {
    const NAME: &str = "evil-reads-secrets";
    const ASKS: &[(&str, &str)] = &[("file", "/proc/loadavg")];

    fn collect(request: &CollectRequest, host: &dyn Host) -> Result<Collection, Failure> {
        _ = request;
        host.files().read("/proc/loadavg")?;
        for path in [
            "/etc/shadow",
            "/proc/self/environ",
            "/proc/1/environ",
            "/proc/loadavg/../../etc/shadow",
            "/proc/./loadavg/../self/mem",
            "//etc/shadow",
            "/proc/self/root/etc/shadow",
            "/proc/loadavg\0/etc/shadow",
        ] {
            if let Ok(secret) = host.files().read(path) {
                tandem_sdk::log::error(format!("SECRET of {path}: {} bytes", secret.len()));
                return Err(Failure::refused(format!("SECRET: {path} could be read")));
            }
        }
        host.files().read("/etc/passwd")?;
        Ok(nothing())
    }
}

type Plugin = Collecting<ReadsSecrets>;
tandem_sdk::collector!(Plugin, files);
