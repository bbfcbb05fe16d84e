//! Which machine series speak of: told once for every mapper of host metrics, so that they all meet on one host entity.

use crate::{
    host::Files,
    mapper::Target,
    mapping::{MappingBuilder, host_of, is_loopback, label_of, local, unique, value_of},
    types::{IdentityKey, RelationKind, Series},
};

/// Series in which identity sits; a mapper that asks for its metrics asks for these too.
pub const MACHINE_METRICS: [&str; 3] = ["tandem_host_info", "node_uname_info", "node_dmi_info"];

/// What firmware writes where nobody filled in a serial number; they name no machine.
const PLACEHOLDERS: [&str; 16] = [
    "",
    "0",
    "none",
    "n/a",
    "na",
    "empty",
    "unknown",
    "default string",
    "not specified",
    "not applicable",
    "not available",
    "system serial number",
    "chassis serial number",
    "0123456789",
    "123456789",
    "03000200-0400-0500-0006-000700080009",
];

/// Whether a serial number or UUID of the firmware names a thing, and is no placeholder.
pub fn is_real_serial(value: &str) -> bool {
    let value = value.trim().to_lowercase();
    let mut signs = value.chars().filter(|c| c.is_ascii_alphanumeric());
    let first = signs.next();
    let all_the_same = first.is_some_and(|first| signs.all(|sign| sign == first));
    first.is_some() && !all_the_same && !value.starts_with("to be filled") && !PLACEHOLDERS.contains(&value.as_str())
}

/// The machine behind the series of one target.
#[derive(Debug, Clone, PartialEq)]
pub struct Machine {
    /// How its parts name it in their local keys: the node name, else the host part of the instance. Lower case.
    pub name: String,
    keys: Vec<(String, String, bool)>,
    attributes: Vec<(&'static str, String)>,
    powered_by: Option<String>,
}

impl Machine {
    /// Reads the info series, the target's labels `hostname`, `node` and `powered_by`, and the instance.
    pub fn of(target: &Target, series: &[Series]) -> Self {
        let info = |metric: &str, label: &str| {
            series.iter().rev().filter(|s| s.metric == metric).find_map(|s| label_of(s, label)).map(str::to_owned)
        };
        let address = host_of(&target.instance).to_lowercase();
        let labelled = ["hostname", "node", "nodename"].iter().find_map(|name| value_of(&target.labels, name));
        let node_name = info("tandem_host_info", "nodename")
            .or_else(|| info("node_uname_info", "nodename"))
            .or_else(|| labelled.map(str::to_owned))
            .map(|name| name.to_lowercase());
        let mut keys = Vec::new();
        if let Some(id) = info("tandem_host_info", "machine_id") {
            keys.push(("machine-id".to_owned(), id.to_lowercase(), true));
        }
        for (label, scheme) in [("product_uuid", "dmi-uuid"), ("product_serial", "dmi-serial")] {
            let told = info("tandem_host_info", label).or_else(|| info("node_dmi_info", label));
            if let Some(value) = told.filter(|value| is_real_serial(value)) {
                let value = if scheme == "dmi-uuid" { value.to_lowercase() } else { value };
                keys.push((scheme.to_owned(), value.trim().to_owned(), true));
            }
        }
        let tells_a_machine = !is_loopback(&address);
        let is_name = tells_a_machine && address.parse::<std::net::IpAddr>().is_err();
        match &node_name {
            Some(name) => keys.push(("hostname".to_owned(), name.clone(), false)),
            None if is_name => keys.push(("hostname".to_owned(), address.clone(), false)),
            None => {}
        }
        if tells_a_machine {
            keys.push(("address".to_owned(), address.clone(), false));
        }
        let name = node_name.unwrap_or(if tells_a_machine { address } else { target.instance.to_lowercase() });
        if keys.is_empty() {
            keys.push(("address".to_owned(), name.clone(), false));
        }
        let mut attributes = Vec::new();
        for (label, attribute) in [("system_vendor", "vendor"), ("product_name", "product"), ("release", "kernel")] {
            let told = ["tandem_host_info", "node_dmi_info", "node_uname_info"].iter().find_map(|m| info(m, label));
            attributes.extend(told.map(|value| (attribute, value)));
        }
        Self { name, keys, attributes, powered_by: value_of(&target.labels, "powered_by").map(str::to_owned) }
    }

    /// The host's index in the mapping, with all its keys; the UPS that the target's label names hangs above it.
    pub fn entity(&self, mapping: &mut MappingBuilder) -> u32 {
        let keys: Vec<IdentityKey> = self
            .keys
            .iter()
            .map(|(scheme, value, is_unique)| if *is_unique { unique(scheme, value) } else { local(scheme, value) })
            .collect();
        let host = mapping.entity("host", keys, &self.name);
        for (name, value) in &self.attributes {
            mapping.attribute(host, name, value);
        }
        if let Some(ups) = &self.powered_by {
            let ups = mapping.entity("ups", vec![local("name", ups)], ups);
            mapping.relation(host, ups, RelationKind::PoweredBy);
        }
        host
    }

    /// A part's local key: `<host>/<part>`.
    pub fn part(&self, part: &str) -> String {
        format!("{}/{part}", self.name)
    }

    /// What people call a part: `<part> on <host>`.
    pub fn part_name(&self, part: &str) -> String {
        format!("{part} on {}", self.name)
    }
}

/// Files that name this machine, each with the reason for asking; the UUID and the serial number are readable for root alone.
pub const MACHINE_FILES: [(&str, &str); 6] = [
    ("/etc/machine-id", "names this machine for good, so that its series and other doors' series meet on one host"),
    ("/proc/sys/kernel/hostname", "the name people call this machine"),
    ("/sys/devices/virtual/dmi/id/product_uuid", "tells that a BMC's system and this machine are one"),
    ("/sys/devices/virtual/dmi/id/product_serial", "tells that a BMC's system and this machine are one"),
    ("/sys/devices/virtual/dmi/id/sys_vendor", "the maker, shown beside the machine"),
    ("/sys/devices/virtual/dmi/id/product_name", "the model, shown beside the machine"),
];

/// The labels of `tandem_host_info` for this machine; what cannot be read is left out.
pub fn read_machine(files: &dyn Files) -> Vec<(&'static str, String)> {
    let names = ["machine_id", "nodename", "product_uuid", "product_serial", "system_vendor", "product_name"];
    names
        .into_iter()
        .zip(MACHINE_FILES)
        .filter_map(|(name, (path, _))| Some((name, files.read_text(path).ok()?.trim().to_owned())))
        .filter(|(_, value)| !value.is_empty())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{Label, MetricType};

    fn info(metric: &str, labels: &[(&str, &str)]) -> Series {
        let labels = labels.iter().map(|(n, v)| Label { name: (*n).into(), value: (*v).into() }).collect();
        Series { metric: metric.into(), metric_type: MetricType::Gauge, unit: String::new(), labels }
    }

    fn target(instance: &str) -> Target {
        Target { job: "node".into(), instance: instance.into(), labels: Vec::new() }
    }

    #[test]
    fn placeholders_of_firmware_name_no_machine() {
        for placeholder in [
            "None",
            "To Be Filled By O.E.M.",
            "0",
            "00000000-0000-0000-0000-000000000000",
            "FFFFFFFF",
            "Default string",
        ] {
            assert!(!is_real_serial(placeholder), "{placeholder}");
        }
        assert!(is_real_serial("7N62AI2"));
        assert!(is_real_serial("83340ca8-cb49-4474-8c29-d2088ca84dd9"));
    }

    #[test]
    fn a_scraped_and_a_collected_machine_share_their_keys() {
        let scraped = [
            info("node_uname_info", &[("nodename", "Rack1-N3")]),
            info(
                "node_dmi_info",
                &[("product_uuid", "83340CA8-cb49-4474-8c29-d2088ca84dd9"), ("product_serial", "None")],
            ),
        ];
        let collected = [info(
            "tandem_host_info",
            &[
                ("nodename", "rack1-n3"),
                ("machine_id", "abc1"),
                ("product_uuid", "83340ca8-cb49-4474-8c29-d2088ca84dd9"),
            ],
        )];
        let scraped = Machine::of(&target("10.0.0.7:9100"), &scraped);
        let collected = Machine::of(&target("localhost"), &collected);
        assert_eq!(scraped.name, "rack1-n3");
        assert_eq!(scraped.name, collected.name);
        let shared = scraped.keys.iter().filter(|key| collected.keys.contains(key)).count();
        assert_eq!(shared, 2, "dmi-uuid and hostname: {scraped:?} {collected:?}");
        assert!(!scraped.keys.iter().any(|(scheme, ..)| scheme == "dmi-serial"));
        assert!(!collected.keys.iter().any(|(scheme, ..)| scheme == "address"), "loopback names no machine");
    }

    #[test]
    fn without_info_series_the_instance_names_the_machine() {
        let machine = Machine::of(&target("disk-box:9633"), &[]);
        assert_eq!(machine.name, "disk-box");
        assert_eq!(machine.part("sda"), "disk-box/sda");
        let mut mapping = MappingBuilder::default();
        let host = machine.entity(&mut mapping);
        let keys = &mapping.finish().entities[host as usize].keys;
        assert_eq!(keys.iter().map(|k| k.scheme.as_str()).collect::<Vec<_>>(), ["hostname", "address"]);
    }
}
