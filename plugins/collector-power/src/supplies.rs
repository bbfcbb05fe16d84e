//! Power of this machine: supplies and batteries, energy counters of processors (RAPL), and power sensors, under
//! node_exporter's names. Hardware that is not there is nothing to report.

use tandem_sdk::{gathering::Gathering, host::Files, hwmon::chip_name, types::Failure};

/// Bound of names looked at in one folder.
const MAXIMUM_NAMES: usize = 512;
/// sysfs tells micro-units: µW, µV, µA, µWh, µJ.
const MICRO: f64 = 1e-6;

/// File of a power supply, metric, scale.
const SUPPLY: [(&str, &str, f64); 7] = [
    ("online", "node_power_supply_online", 1.0),
    ("present", "node_power_supply_present", 1.0),
    ("capacity", "node_power_supply_capacity", 1.0),
    ("energy_now", "node_power_supply_energy_watthour", MICRO),
    ("power_now", "node_power_supply_power_watt", MICRO),
    ("voltage_now", "node_power_supply_voltage_volt", MICRO),
    ("current_now", "node_power_supply_current_ampere", MICRO),
];

/// `/sys/class/power_supply`.
pub(crate) fn power_supplies(files: &dyn Files, g: &mut Gathering) -> Result<(), Failure> {
    for supply in names(files, "/sys/class/power_supply") {
        let path = format!("/sys/class/power_supply/{supply}");
        let label = |file: &str| text(files, &format!("{path}/{file}")).unwrap_or_default();
        let [kind, status, maker, model, serial] =
            ["type", "status", "manufacturer", "model_name", "serial_number"].map(label);
        g.info(
            "node_power_supply_info",
            &[
                ("manufacturer", &maker),
                ("model_name", &model),
                ("power_supply", &supply),
                ("serial_number", &serial),
                ("status", &status),
                ("type", &kind),
            ],
        );
        for (file, metric, scale) in SUPPLY {
            if let Some(value) = number(files, &format!("{path}/{file}")) {
                g.gauge(metric, &[("power_supply", &supply)], value * scale);
            }
        }
    }
    Ok(())
}

/// `/sys/class/powercap`: energy by package, and by core, uncore and memory within it. Most systems let root alone read it.
pub(crate) fn processor_energy(files: &dyn Files, g: &mut Gathering) -> Result<(), Failure> {
    for zone in names(files, "/sys/class/powercap") {
        let Some(numbers) = zone.strip_prefix("intel-rapl:") else { continue };
        let path = format!("/sys/class/powercap/{zone}");
        let (Some(name), Some(energy)) =
            (text(files, &format!("{path}/name")), number(files, &format!("{path}/energy_uj")))
        else {
            continue;
        };
        // `package-0` names its package; `core` lies in the package that the folder's first number tells.
        let package = numbers.split(':').next().unwrap_or("0");
        let (domain, index) = name.split_once('-').unwrap_or((&name, package));
        let domain = domain.replace(' ', "_");
        g.counter(&format!("node_rapl_{domain}_joules_total"), &[("index", index), ("path", &path)], energy * MICRO);
    }
    Ok(())
}

/// Power and energy sensors of `/sys/class/hwmon`.
pub(crate) fn power_sensors(files: &dyn Files, g: &mut Gathering) -> Result<(), Failure> {
    for folder in names(files, "/sys/class/hwmon") {
        let path = format!("/sys/class/hwmon/{folder}");
        let chip = chip_name(files, &folder);
        for file in names(files, &path) {
            let Some((sensor, ending)) = file.split_once('_') else { continue };
            let kind = sensor.trim_end_matches(|c: char| c.is_ascii_digit());
            let metric = match (kind, ending) {
                ("power", "input") => "node_hwmon_power_watt",
                ("power", "average") => "node_hwmon_power_average_watt",
                ("energy", "input") => "node_hwmon_energy_joule_total",
                _ => continue,
            };
            let Some(value) = number(files, &format!("{path}/{file}")) else { continue };
            let labels = [("chip", chip.as_str()), ("sensor", sensor)];
            if kind == "energy" {
                g.counter(metric, &labels, value * MICRO);
            } else {
                g.gauge(metric, &labels, value * MICRO);
            }
        }
    }
    Ok(())
}

fn names(files: &dyn Files, path: &str) -> Vec<String> {
    let mut names = files.names(path).unwrap_or_default();
    names.truncate(MAXIMUM_NAMES);
    names
}

fn text(files: &dyn Files, path: &str) -> Option<String> {
    let text = files.read_text(path).ok()?;
    Some(text.trim().to_owned()).filter(|text| !text.is_empty())
}

fn number(files: &dyn Files, path: &str) -> Option<f64> {
    text(files, path)?.parse().ok()
}
