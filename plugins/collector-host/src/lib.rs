//! `collector-host`: reads this machine's processor, memory, pressure and sensors from kernel files, and gives the host
//! series of node_exporter their meaning, whichever door they came by.

mod ask;
mod kernel;
mod meaning;
mod sensor_meaning;
mod sensors;

use tandem_sdk::{
    about::Description,
    collector::{CollectRequest, Collection, Collector, Host as Reach},
    gathering::Gathering,
    machine::read_machine,
    mapper::{Mapping, Target},
    types::{Failure, FailureCode, Series},
};

/// The plugin.
pub struct Host;

impl Collector for Host {
    fn describe() -> Description {
        ask::description()
    }

    fn interpret(target: &Target, series: &[Series]) -> Result<Mapping, Failure> {
        Ok(meaning::interpret(target, series))
    }

    fn collect(request: CollectRequest, reach: &dyn Reach) -> Result<Collection, Failure> {
        if !request.target.is_empty() {
            return Err(Failure {
                code: FailureCode::Misconfigured,
                message: format!(
                    "collector-host reads the machine it runs on and takes no target, but was given {:?}: leave the target empty",
                    request.target
                ),
                retry: false,
            });
        }
        let files = reach.files();
        let mut gathering = Gathering::at(request.now);
        let machine = read_machine(files);
        if !machine.is_empty() {
            let labels: Vec<(&str, &str)> = machine.iter().map(|(name, value)| (*name, value.as_str())).collect();
            gathering.info("tandem_host_info", &labels);
        }
        gathering.part("stat", |g| kernel::stat(files, g));
        gathering.part("loadavg", |g| kernel::load(files, g));
        gathering.part("meminfo", |g| kernel::memory(files, g));
        gathering.part("vmstat", |g| kernel::vmstat(files, g));
        gathering.part("pressure", |g| kernel::pressure(files, g));
        gathering.part("hwmon", |g| sensors::hwmon(files, g));
        gathering.part("thermal_zone", |g| sensors::thermal_zones(files, g));
        gathering.part("edac", |g| sensors::edac(files, g));
        gathering.finish(Vec::new())
    }
}

tandem_sdk::collector!(Host);

#[cfg(test)]
mod tests;
