//! `collector-network`: reads this machine's interfaces, protocol counters and InfiniBand ports from kernel files, and gives
//! the network series of node_exporter and of snmp_exporter's `if_mib` their meaning.

mod ask;
mod infiniband;
mod interfaces;
mod meaning;
mod protocols;
mod snmp;

use tandem_sdk::{
    about::Description,
    collector::{CollectRequest, Collection, Collector, Host},
    gathering::Gathering,
    host::failure,
    machine::read_machine,
    mapper::{Mapping, Target},
    types::{Failure, FailureCode, Series},
};

/// The plugin.
pub struct Network;

impl Collector for Network {
    fn describe() -> Description {
        ask::description()
    }

    fn interpret(target: &Target, series: &[Series]) -> Result<Mapping, Failure> {
        Ok(meaning::interpret(target, series))
    }

    fn collect(request: CollectRequest, host: &dyn Host) -> Result<Collection, Failure> {
        if !request.target.is_empty() {
            let message = format!(
                "collector-network reads the machine it runs on and takes no target, but was given {:?}: leave the target empty",
                request.target
            );
            return Err(failure(FailureCode::Misconfigured, message));
        }
        let files = host.files();
        let mut gathering = Gathering::at(request.now);
        let machine = read_machine(files);
        if !machine.is_empty() {
            let labels: Vec<(&str, &str)> = machine.iter().map(|(name, value)| (*name, value.as_str())).collect();
            gathering.info("tandem_host_info", &labels);
        }
        gathering.part("netdev", |g| interfaces::collect(files, g));
        gathering.part("netstat", |g| protocols::netstat(files, g));
        gathering.part("softnet", |g| protocols::softnet(files, g));
        gathering.part("conntrack", |g| protocols::connection_tracking(files, g));
        gathering.part("infiniband", |g| infiniband::collect(files, g));
        gathering.finish(Vec::new())
    }
}

tandem_sdk::collector!(Network);

#[cfg(test)]
mod tests;
