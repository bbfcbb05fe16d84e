//! `collector-power`: reads power supplies, processor energy and power sensors of this machine, or a BMC by Redfish, and gives
//! the series of UPS, BMC and energy exporters their meaning.

mod ask;
mod chassis;
mod energy;
mod idrac;
mod ipmi;
mod meaning;
mod nut;
mod redfish;
mod redfish_meaning;
mod supplies;
mod ups;
mod ups_snmp;

use tandem_sdk::{
    about::Description,
    collector::{CollectRequest, Collection, Collector, Host},
    gathering::Gathering,
    machine::read_machine,
    mapper::{Mapping, Target},
    types::{Failure, Series},
};

/// The plugin.
pub struct Power;

impl Collector for Power {
    fn describe() -> Description {
        ask::description()
    }

    fn interpret(target: &Target, series: &[Series]) -> Result<Mapping, Failure> {
        Ok(meaning::interpret(target, series))
    }

    fn collect(request: CollectRequest, host: &dyn Host) -> Result<Collection, Failure> {
        let config = ask::Config::parse(&request.config)?;
        let mut gathering = Gathering::at(request.now);
        if !request.target.is_empty() {
            redfish::collect(&request.target, &config, host.http(), &mut gathering)?;
            return gathering.finish(Vec::new());
        }
        let files = host.files();
        let machine = read_machine(files);
        if !machine.is_empty() {
            let labels: Vec<(&str, &str)> = machine.iter().map(|(name, value)| (*name, value.as_str())).collect();
            gathering.info("tandem_host_info", &labels);
        }
        gathering.part("powersupplyclass", |g| supplies::power_supplies(files, g));
        gathering.part("rapl", |g| supplies::processor_energy(files, g));
        gathering.part("hwmon_power", |g| supplies::power_sensors(files, g));
        gathering.finish(Vec::new())
    }
}

tandem_sdk::collector!(Power);

#[cfg(test)]
mod tests;
