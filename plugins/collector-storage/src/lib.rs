//! `collector-storage`: reads this machine's disks, filesystems and arrays from kernel files, and gives the storage series of
//! node_exporter and smartctl_exporter their meaning.

mod arrays;
mod ask;
mod device;
mod disk_meaning;
mod disks;
mod filesystems;
mod meaning;
mod smartctl;

use tandem_sdk::{
    about::Description,
    collector::{CollectRequest, Collection, Collector, Host},
    gathering::Gathering,
    machine::read_machine,
    mapper::{Mapping, Target},
    types::{Failure, FailureCode, Series},
};

/// The plugin.
pub struct Storage;

impl Collector for Storage {
    fn describe() -> Description {
        ask::description()
    }

    fn interpret(target: &Target, series: &[Series]) -> Result<Mapping, Failure> {
        Ok(meaning::interpret(target, series))
    }

    fn collect(request: CollectRequest, host: &dyn Host) -> Result<Collection, Failure> {
        if !request.target.is_empty() {
            return Err(Failure {
                code: FailureCode::Misconfigured,
                message: format!(
                    "collector-storage reads the machine it runs on and takes no target, but was given {:?}: leave the target empty",
                    request.target
                ),
                retry: false,
            });
        }
        let files = host.files();
        let mut gathering = Gathering::at(request.now);
        let machine = read_machine(files);
        if !machine.is_empty() {
            let labels: Vec<(&str, &str)> = machine.iter().map(|(name, value)| (*name, value.as_str())).collect();
            gathering.info("tandem_host_info", &labels);
        }
        gathering.part("diskstats", |g| disks::collect(files, g));
        gathering.part("filesystem", |g| filesystems::collect(files, g));
        gathering.part("mdadm", |g| arrays::collect(files, g));
        gathering.part("nvme", |g| disks::nvme(files, g));
        gathering.finish(Vec::new())
    }
}

tandem_sdk::collector!(Storage);

#[cfg(test)]
mod tests;
