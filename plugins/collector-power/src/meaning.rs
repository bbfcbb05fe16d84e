//! Sends the series of a target to the part that knows their exporter.

use crate::{energy, idrac, ipmi, nut, redfish_meaning, ups_snmp};
use tandem_sdk::{
    mapper::{Mapping, Target},
    mapping::MappingBuilder,
    types::Series,
};

/// The mapping of one target.
pub(crate) fn interpret(target: &Target, series: &[Series]) -> Mapping {
    let mut mapping = MappingBuilder::default();
    let has = |beginnings: &[&str]| series.iter().any(|s| beginnings.iter().any(|b| s.metric.starts_with(b)));
    // One exporter answers at one target; `up` belongs to the first that is known here.
    if has(&["network_ups_tools_", "nut_"]) {
        nut::interpret(target, series, &mut mapping);
    } else if has(&["ups"]) {
        ups_snmp::interpret(target, series, &mut mapping);
    } else if has(&["ipmi_"]) {
        ipmi::interpret(target, series, &mut mapping);
    } else if has(&["idrac_"]) {
        idrac::interpret(target, series, &mut mapping);
    } else if has(&["redfish_", "tandem_redfish_"]) {
        redfish_meaning::interpret(target, series, &mut mapping);
    } else {
        energy::interpret(target, series, &mut mapping);
    }
    mapping.finish()
}
