//! Pages of UPS, BMC and energy exporters.

use super::*;
use tandem_sdk::{page::read_series, types::label};

fn mapped(instance: &str, page: &str) -> (Vec<Series>, Mapping) {
    let series = read_series(page);
    let mapping = Power::interpret(&target(instance), &series).expect("understood");
    assert_unambiguous(&mapping);
    (series, mapping)
}

fn scale(read: &(Vec<Series>, Mapping), metric: &str) -> f64 {
    meaning(&read.1, &read.0, metric, &[]).unwrap_or_else(|| panic!("{metric} has no meaning")).0.scale
}

#[test]
fn the_three_conventions_of_nut_are_told_apart_by_companions() {
    let druggeri = mapped(
        "nut:9199",
        "network_ups_tools_battery_charge{ups=\"rack1\"} 1\nnetwork_ups_tools_ups_load{ups=\"rack1\"} 1\n\
         network_ups_tools_battery_runtime{ups=\"rack1\"} 1185\n",
    );
    assert_eq!(
        (scale(&druggeri, "network_ups_tools_battery_charge"), scale(&druggeri, "network_ups_tools_ups_load")),
        (0.01, 0.01)
    );
    assert_eq!(scale(&druggeri, "network_ups_tools_battery_runtime"), 1.0);
    // The same value of 1 is the whole battery for one exporter and one per cent for the other.
    let hon95 = mapped("nut:9995", "nut_battery_charge{ups=\"rack1\"} 1\nnut_load{ups=\"rack1\"} 0.4\n");
    assert_eq!((scale(&hon95, "nut_battery_charge"), scale(&hon95, "nut_load")), (1.0, 1.0));
    let maveonair = mapped("nut:9199", "nut_battery_charge{ups=\"rack1\"} 1\nnut_ups_load{ups=\"rack1\"} 40\n");
    assert_eq!((scale(&maveonair, "nut_battery_charge"), scale(&maveonair, "nut_ups_load")), (0.01, 0.01));
    let unknown = mapped("nut:9199", "nut_battery_charge{ups=\"rack1\"} 1\n");
    assert_eq!(scale(&unknown, "nut_battery_charge"), 1.0, "what cannot be told is left as it was sent");
}

#[test]
fn what_a_ups_says_of_itself_becomes_faults() {
    let page = "up 1\n\
        network_ups_tools_ups_status{flag=\"OL\",ups=\"rack1\"} 0\nnetwork_ups_tools_ups_status{flag=\"OB\",ups=\"rack1\"} 1\n\
        network_ups_tools_ups_status{flag=\"LB\",ups=\"rack1\"} 1\nnetwork_ups_tools_ups_status{flag=\"RB\",ups=\"rack1\"} 0\n\
        network_ups_tools_ups_status{flag=\"OVER\",ups=\"rack1\"} 0\n";
    let (series, mapping) = mapped("nut:9199", page);
    let on = |flag| {
        codes(meaning(&mapping, &series, "network_ups_tools_ups_status", &[("flag", flag)]).expect("meant").0, 1.0)
    };
    assert_eq!(on("OB"), ["ups.on-battery"]);
    assert_eq!(on("LB"), ["ups.low-battery"]);
    assert_eq!(on("RB"), ["ups.replace-battery"]);
    assert_eq!(on("OVER"), ["ups.overload"]);
    assert!(on("OL").is_empty());
    let (up, ups) = meaning(&mapping, &series, "up", &[]).expect("meant");
    assert_eq!(codes(up, 0.0), ["ups.telemetry.down"]);
    let keys: Vec<(&str, &str)> = ups.keys.iter().map(|key| (key.scheme.as_str(), key.value.as_str())).collect();
    assert_eq!(keys, [("ups", "nut/rack1"), ("name", "rack1")], "`powered_by` labels find it by its name");
    let (series, mapping) =
        mapped("nut:9995", "nut_ups_status{ups=\"rack2\",status=\"OB\"} 1\nnut_load{ups=\"rack2\"} 0.2\n");
    assert_eq!(codes(meaning(&mapping, &series, "nut_ups_status", &[]).expect("meant").0, 1.0), ["ups.on-battery"]);
}

#[test]
fn ups_mibs_are_scaled_and_judged() {
    let rfc = mapped(
        "10.1.1.9",
        "upsOutputSource 5\nupsBatteryStatus 3\nupsEstimatedChargeRemaining 96\nupsEstimatedMinutesRemaining 42\n\
         upsBatteryVoltage 274\nupsOutputPercentLoad{upsOutputLineIndex=\"1\"} 33\nupsOutputPercentLoad{upsOutputLineIndex=\"2\"} 31\n\
         upsSecondsOnBattery 12\n",
    );
    assert_eq!(scale(&rfc, "upsEstimatedMinutesRemaining") * 42.0, 2520.0);
    assert!((scale(&rfc, "upsBatteryVoltage") * 274.0 - 27.4).abs() < 1e-9);
    let on = |read: &(Vec<Series>, Mapping), metric: &str, sent: f64| -> Vec<String> {
        let (meaning, _) = meaning(&read.1, &read.0, metric, &[]).expect("meant");
        codes(meaning, sent).into_iter().map(str::to_owned).collect()
    };
    assert_eq!(on(&rfc, "upsOutputSource", 5.0), ["ups.on-battery"]);
    assert!(on(&rfc, "upsOutputSource", 3.0).is_empty());
    assert_eq!(on(&rfc, "upsBatteryStatus", 3.0), ["ups.low-battery"]);
    assert!(on(&rfc, "upsSecondsOnBattery", 12.0).is_empty(), "told once, by the source");
    let apc = mapped(
        "10.1.1.10",
        "upsBasicOutputStatus 3\nupsAdvBatteryCapacity 80\nupsAdvBatteryRunTimeRemaining 360000\nupsAdvBatteryReplaceIndicator 2\n\
         upsEstimatedChargeRemaining 80\n",
    );
    assert_eq!(on(&apc, "upsBasicOutputStatus", 3.0), ["ups.on-battery"]);
    assert_eq!(on(&apc, "upsAdvBatteryReplaceIndicator", 2.0), ["ups.replace-battery"]);
    assert_eq!(scale(&apc, "upsAdvBatteryRunTimeRemaining") * 360_000.0, 3600.0);
    assert!(meaning(&apc.1, &apc.0, "upsEstimatedChargeRemaining", &[]).is_none(), "the card answers both MIBs");
}

#[test]
fn ipmi_states_are_judged_and_a_supply_is_a_supply() {
    let page = "up 1\nipmi_up{collector=\"ipmi\"} 1\nipmi_temperature_celsius{id=\"18\",name=\"Inlet Temp\"} 24\n\
        ipmi_temperature_state{id=\"18\",name=\"Inlet Temp\"} 2\nipmi_fan_speed_rpm{id=\"12\",name=\"Fan1A\"} 4560\n\
        ipmi_fan_speed_state{id=\"12\",name=\"Fan1A\"} 0\nipmi_sensor_state{id=\"99\",name=\"PS1 Status\",type=\"Power Supply\"} 2\n\
        ipmi_dcmi_power_consumption_current_watts 228\nipmi_dcmi_power_consumption_watts 226\nipmi_chassis_cooling_fault_state 1\n";
    let series = read_series(page);
    let mut at = target("10.0.9.7");
    at.labels.push(label("hostname", "Rack1-N3"));
    let mapping = Power::interpret(&at, &series).expect("understood");
    assert_unambiguous(&mapping);
    let state = |metric: &str| meaning(&mapping, &series, metric, &[]).expect("meant");
    assert_eq!(codes(state("ipmi_temperature_state").0, 2.0), ["sensor.critical"]);
    assert_eq!(codes(state("ipmi_fan_speed_state").0, 2.0), ["sensor.fan.failed"]);
    assert!(codes(state("ipmi_fan_speed_state").0, f64::NAN).is_empty());
    let (failed, supply) = state("ipmi_sensor_state");
    assert_eq!((codes(failed, 2.0), supply.kind.as_str()), (vec!["power-supply.failed"], "power-supply"));
    assert_eq!(state("ipmi_temperature_celsius").0.entity, state("ipmi_temperature_state").0.entity);
    assert!(
        (
            codes(state("ipmi_chassis_cooling_fault_state").0, 1.0).len(),
            codes(state("ipmi_chassis_cooling_fault_state").0, 0.0).len()
        ) == (0, 1)
    );
    assert!(
        meaning(&mapping, &series, "ipmi_dcmi_power_consumption_watts", &[]).is_none(),
        "the current value is told"
    );
    let host = mapping.entities.iter().find(|e| e.kind == "host").expect("the label names it");
    assert_eq!(host.keys[0].value, "rack1-n3");
}

#[test]
fn idrac_and_redfish_exporter_number_health_differently() {
    let (series, mapping) = mapped(
        "bmc-3",
        "idrac_system_machine_info{manufacturer=\"Dell Inc.\",model=\"PowerEdge C6420\",serial=\"CN123\",sku=\"7N62AI2\"} 1\n\
         idrac_system_health{status=\"OK\"} 0\nidrac_power_supply_health{id=\"0\",status=\"OK\"} 0\nidrac_power_supply_efficiency_percent{id=\"0\"} 91\n\
         idrac_sensors_fan_speed{id=\"0\",name=\"FAN1A\",units=\"rpm\"} 7912\nidrac_sensors_fan_health{id=\"0\",name=\"FAN1A\",status=\"OK\"} 0\n\
         idrac_power_control_consumed_watts{id=\"0\",name=\"System Power Control\"} 166\nidrac_storage_drive_health{id=\"Disk.0\",status=\"OK\"} 0\n",
    );
    let health = |metric: &str| meaning(&mapping, &series, metric, &[]).expect("meant").0;
    assert_eq!(codes(health("idrac_power_supply_health"), 2.0), ["power-supply.failed"]);
    assert_eq!(codes(health("idrac_storage_drive_health"), 2.0), ["disk.failed"]);
    assert!(codes(health("idrac_system_health"), 0.0).is_empty());
    let host = mapping.entities.iter().find(|e| e.kind == "host").expect("known by its service tag");
    assert_eq!(host.keys[0].value, "7N62AI2");
    let (series, mapping) = mapped(
        "bmc-4",
        "redfish_chassis_health{chassis_id=\"1\",resource=\"chassis\"} 1\n\
         redfish_chassis_power_powersupply_health{chassis_id=\"1\",power_supply=\"PSU1\",power_supply_id=\"0\",resource=\"power_supply\"} 3\n\
         redfish_chassis_power_powersupply_power_input_watts{chassis_id=\"1\",power_supply=\"PSU1\",power_supply_id=\"0\"} 205\n\
         redfish_chassis_temperature_celsius{chassis_id=\"1\",sensor=\"Inlet\",sensor_id=\"0\"} 24\n\
         redfish_system_health_state{system_id=\"1\",hostname=\"a\"} 1\n",
    );
    let (failed, supply) = meaning(&mapping, &series, "redfish_chassis_power_powersupply_health", &[]).expect("meant");
    assert_eq!(
        (codes(failed, 3.0), codes(failed, 2.0), codes(failed, 1.0).len()),
        (vec!["power-supply.failed"], vec!["power-supply.degraded"], 0)
    );
    let (input, same) =
        meaning(&mapping, &series, "redfish_chassis_power_powersupply_power_input_watts", &[]).expect("meant");
    assert_eq!((supply.name.as_str(), input.unit.as_str()), (same.name.as_str(), "W"));
    assert!(codes(meaning(&mapping, &series, "redfish_chassis_health", &[]).expect("meant").0, 1.0).is_empty());
}

#[test]
fn kepler_tells_of_its_node_and_pods() {
    let (series, mapping) = mapped(
        "10.42.0.7:28282",
        "kepler_node_cpu_watts{zone=\"package\",node_name=\"worker-1\"} 125.2\nkepler_node_cpu_watts{zone=\"dram\",node_name=\"worker-1\"} 9\n\
         kepler_pod_cpu_watts{pod_namespace=\"ml\",pod_name=\"llm-0\",zone=\"package\",state=\"running\"} 40\n\
         kepler_container_cpu_watts{container_name=\"x\",zone=\"package\"} 4\n",
    );
    let (watts, host) = meaning(&mapping, &series, "kepler_node_cpu_watts", &[]).expect("meant");
    assert_eq!((host.name.as_str(), watts.name.as_str(), watts.unit.as_str()), ("worker-1", "host.power.cpu", "W"));
    let (_, pod) = meaning(&mapping, &series, "kepler_pod_cpu_watts", &[]).expect("meant");
    assert_eq!((pod.kind.as_str(), pod.keys[0].value.as_str()), ("pod", "ml/llm-0"));
    assert!(meaning(&mapping, &series, "kepler_container_cpu_watts", &[]).is_none());
}

/// Reads a real page when it is at hand; the project's own tests do not need it.
#[test]
fn a_real_node_exporter_page_is_understood() {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    let shared = std::env::var("TANDEM_SHARED").map_or_else(|_| beside(), PathBuf::from);
    let page = shared.join("data/node-exporter-fixtures/collector/fixtures/e2e-output.txt");
    let Ok(text) = std::fs::read_to_string(&page) else {
        println!("{} is not at hand (TANDEM_SHARED): this real page was not tested", page.display());
        return;
    };
    let (series, mapping) = mapped("10.0.0.7:9100", &text);
    let (energy, _) = meaning(&mapping, &series, "node_rapl_package_joules_total", &[]).expect("meant");
    assert_eq!((energy.name.as_str(), energy.unit.as_str()), ("host.energy", "J"));
    let (charge, supply) = meaning(&mapping, &series, "node_power_supply_capacity", &[]).expect("meant");
    assert_eq!((charge.scale, supply.kind.as_str()), (0.01, "power-supply"));
}
