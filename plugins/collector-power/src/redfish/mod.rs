//! Reads a BMC by Redfish (DMTF DSP0266): service root, each chassis with its power and temperatures, each system's health.

mod client;
mod resources;

use crate::ask::Config;
use client::Client;
use serde_json::Value;
use tandem_sdk::{gathering::Gathering, host::Http, types::Failure};

/// Bound of chassis that are read; blade enclosures have some sixteen.
const MAXIMUM_CHASSIS: usize = 16;
/// Bound of systems that are read.
const MAXIMUM_SYSTEMS: usize = 16;
/// Bound of power supplies and fans that are asked for one by one.
const MAXIMUM_PARTS: usize = 24;

/// Reads everything behind one service root. Fails when the root itself cannot be read; a chassis or system that cannot is
/// told as failed, and the others go on.
pub(crate) fn collect(target: &str, config: &Config, http: &dyn Http, g: &mut Gathering) -> Result<(), Failure> {
    let client = Client::new(target, &config.authorization, http)?;
    let root = client.root()?;
    for path in client.members(&root["Chassis"], MAXIMUM_CHASSIS)? {
        g.part(&path, |g| chassis(&client, &path, g));
    }
    // A BMC of a bare enclosure has no systems.
    if root["Systems"].is_object() {
        for path in client.members(&root["Systems"], MAXIMUM_SYSTEMS)? {
            g.part(&path, |g| {
                resources::system(&client.get(&path)?, g);
                Ok(())
            });
        }
    }
    Ok(())
}

fn chassis(client: &Client, path: &str, g: &mut Gathering) -> Result<(), Failure> {
    let chassis = client.get(path)?;
    let id = resources::chassis(&chassis, path, g);
    // The older `Power` and `Thermal` answer in one request each what the newer subsystems spread over dozens; BMCs are slow.
    match link(&chassis["Power"]) {
        Some(power) => resources::power(&client.get(power)?, &id, g),
        None => power_subsystem(client, &chassis, &id, g)?,
    }
    match link(&chassis["Thermal"]) {
        Some(thermal) => resources::thermal(&client.get(thermal)?, &id, g),
        None => thermal_subsystem(client, &chassis, &id, g)?,
    }
    Ok(())
}

fn power_subsystem(client: &Client, chassis: &Value, id: &str, g: &mut Gathering) -> Result<(), Failure> {
    if let Some(environment) = link(&chassis["EnvironmentMetrics"]) {
        resources::environment(&client.get(environment)?, id, g);
    }
    let Some(subsystem) = link(&chassis["PowerSubsystem"]) else { return Ok(()) };
    let subsystem = client.get(subsystem)?;
    if link(&subsystem["PowerSupplies"]).is_none() {
        return Ok(());
    }
    for path in client.members(&subsystem["PowerSupplies"], MAXIMUM_PARTS)? {
        let supply = client.get(&path)?;
        let metrics = link(&supply["Metrics"]).map(|path| client.get(path)).transpose()?.unwrap_or_default();
        resources::power_supply(&supply, &metrics, id, g);
    }
    Ok(())
}

fn thermal_subsystem(client: &Client, chassis: &Value, id: &str, g: &mut Gathering) -> Result<(), Failure> {
    let Some(subsystem) = link(&chassis["ThermalSubsystem"]) else { return Ok(()) };
    let subsystem = client.get(subsystem)?;
    if let Some(metrics) = link(&subsystem["ThermalMetrics"]) {
        resources::thermal_metrics(&client.get(metrics)?, id, g);
    }
    if link(&subsystem["Fans"]).is_some() {
        for path in client.members(&subsystem["Fans"], MAXIMUM_PARTS)? {
            resources::fan(&client.get(&path)?, id, g);
        }
    }
    Ok(())
}

/// Where a property leads.
fn link(property: &Value) -> Option<&str> {
    property["@odata.id"].as_str()
}
