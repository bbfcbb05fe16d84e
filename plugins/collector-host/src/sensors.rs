//! What the machine's sensors tell under `/sys`: hwmon chips, thermal zones, memory error counts. Hardware that is not
//! there is nothing to report.

use tandem_sdk::{gathering::Gathering, host::Files, hwmon::chip_name, types::Failure};

/// Bound of names looked at in one folder; the largest chips have some two hundred files, the largest machines some dozens
/// of chips.
const MAXIMUM_NAMES: usize = 512;

/// One kind of file of a hwmon chip: sensor kind, its ending, the metric, and the scale to the metric's unit
/// (Documentation/hwmon/sysfs-interface.rst: millidegrees, millivolts, milliamperes). Alarms are scaled like what they watch,
/// as node_exporter does it, so that an alarm reads 0.001.
const HWMON: [(&str, &str, &str, f64); 9] = [
    ("temp", "input", "node_hwmon_temp_celsius", 0.001),
    ("temp", "crit", "node_hwmon_temp_crit_celsius", 0.001),
    ("temp", "crit_alarm", "node_hwmon_temp_crit_alarm_celsius", 0.001),
    ("fan", "input", "node_hwmon_fan_rpm", 1.0),
    ("in", "input", "node_hwmon_in_volts", 0.001),
    ("curr", "input", "node_hwmon_curr_amps", 0.001),
    ("humidity", "input", "node_hwmon_humidity", 0.001),
    ("in", "crit_alarm", "node_hwmon_in_crit_alarm_volts", 0.001),
    ("curr", "crit_alarm", "node_hwmon_curr_crit_alarm_amps", 0.001),
];

/// `/sys/class/hwmon`. Power sensors are left to `collector-power`.
pub(crate) fn hwmon(files: &dyn Files, g: &mut Gathering) -> Result<(), Failure> {
    for folder in names(files, "/sys/class/hwmon") {
        let path = format!("/sys/class/hwmon/{folder}");
        let kernel_name = text(files, &format!("{path}/name"));
        let chip = chip_name(files, &folder);
        if let Some(name) = &kernel_name {
            g.info("node_hwmon_chip_names", &[("chip", &chip), ("chip_name", name)]);
        }
        for file in names(files, &path) {
            let Some((sensor, ending)) = file.split_once('_') else { continue };
            let kind = sensor.trim_end_matches(|c: char| c.is_ascii_digit());
            let place = [("chip", chip.as_str()), ("sensor", sensor)];
            if ending == "label" && HWMON.iter().any(|(known, ..)| *known == kind) {
                if let Some(label) = text(files, &format!("{path}/{file}")) {
                    g.info("node_hwmon_sensor_label", &[place[0], ("label", &label), place[1]]);
                }
                continue;
            }
            let known = HWMON.iter().find(|(known, known_ending, ..)| *known == kind && *known_ending == ending);
            let Some((.., metric, scale)) = known else { continue };
            if let Some(value) = number(files, &format!("{path}/{file}")) {
                g.gauge(metric, &place, value * *scale);
            }
        }
    }
    Ok(())
}

/// `/sys/class/thermal`: zones in degrees, cooling devices in steps.
pub(crate) fn thermal_zones(files: &dyn Files, g: &mut Gathering) -> Result<(), Failure> {
    for folder in names(files, "/sys/class/thermal") {
        let path = format!("/sys/class/thermal/{folder}");
        let Some(kind) = text(files, &format!("{path}/type")) else { continue };
        if let Some(zone) = folder.strip_prefix("thermal_zone") {
            if let Some(millidegrees) = number(files, &format!("{path}/temp")) {
                g.gauge("node_thermal_zone_temp", &[("type", &kind), ("zone", zone)], millidegrees / 1000.0);
            }
        } else if let Some(device) = folder.strip_prefix("cooling_device") {
            for (file, metric) in
                [("cur_state", "node_cooling_device_cur_state"), ("max_state", "node_cooling_device_max_state")]
            {
                if let Some(step) = number(files, &format!("{path}/{file}")) {
                    g.gauge(metric, &[("name", device), ("type", &kind)], step);
                }
            }
        }
    }
    Ok(())
}

/// `/sys/devices/system/edac/mc`: corrected and uncorrected errors by controller and row.
pub(crate) fn edac(files: &dyn Files, g: &mut Gathering) -> Result<(), Failure> {
    for folder in names(files, "/sys/devices/system/edac/mc") {
        let Some(controller) = folder.strip_prefix("mc").filter(|rest| rest.parse::<u32>().is_ok()) else { continue };
        let path = format!("/sys/devices/system/edac/mc/{folder}");
        for (file, what) in [("ce_count", "correctable"), ("ue_count", "uncorrectable")] {
            if let Some(count) = number(files, &format!("{path}/{file}")) {
                g.counter(&format!("node_edac_{what}_errors_total"), &[("controller", controller)], count);
            }
        }
        for row in names(files, &path) {
            let Some(csrow) = row.strip_prefix("csrow") else { continue };
            for (file, what) in [("ce_count", "correctable"), ("ue_count", "uncorrectable")] {
                if let Some(count) = number(files, &format!("{path}/{row}/{file}")) {
                    let labels = [("controller", controller), ("csrow", csrow)];
                    g.counter(&format!("node_edac_csrow_{what}_errors_total"), &labels, count);
                }
            }
        }
    }
    Ok(())
}

/// The names in a folder; a folder that is not there has none.
fn names(files: &dyn Files, path: &str) -> Vec<String> {
    let mut names = files.names(path).unwrap_or_default();
    names.truncate(MAXIMUM_NAMES);
    names
}

fn text(files: &dyn Files, path: &str) -> Option<String> {
    let text = files.read_text(path).ok()?;
    Some(text.trim().to_owned()).filter(|text| !text.is_empty())
}

/// A number, unless the sensor gives none at the moment (a read that fails with EIO or EAGAIN is common).
fn number(files: &dyn Files, path: &str) -> Option<f64> {
    text(files, path)?.parse().ok()
}
