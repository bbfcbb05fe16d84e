//! `collector-gpu`: gives the series of DCGM exporter and nvidia_gpu_exporter their meaning. It reads nothing itself.

mod dcgm;
mod nvidia_smi;
mod xid;

use tandem_sdk::{
    about::{Description, Interest, Scope, Selector},
    collector::Collector,
    mapper::{Mapping, Target},
    mapping::MappingBuilder,
    types::{Failure, Series},
};

/// The plugin.
pub struct Gpu;

impl Collector for Gpu {
    fn describe() -> Description {
        Description {
            name: "collector-gpu".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            summary: "Gives GPU telemetry of DCGM exporter and nvidia_gpu_exporter its meaning, XID faults included."
                .into(),
            config_schema: String::new(),
            interests: vec![Interest {
                selector: Selector {
                    metrics: vec!["DCGM_*".into(), "nvidia_smi_*".into(), "up".into()],
                    entity_kinds: Vec::new(),
                    labels: Vec::new(),
                    with_fault_rules: false,
                },
                scope: Scope::Target,
                history_seconds: 0,
            }],
            capabilities: Vec::new(),
        }
    }

    fn interpret(target: &Target, series: &[Series]) -> Result<Mapping, Failure> {
        Ok(interpret(target, series))
    }
}

/// The meaning of a target's GPU series; `up` is this mapper's only where GPU series stand beside it.
fn interpret(target: &Target, series: &[Series]) -> Mapping {
    let mut mapping = MappingBuilder::default();
    if series.iter().any(|s| s.metric.starts_with("DCGM_")) {
        dcgm::interpret(target, series, &mut mapping);
    } else if series.iter().any(|s| s.metric.starts_with("nvidia_smi_")) {
        nvidia_smi::interpret(target, series, &mut mapping);
    }
    mapping.finish()
}

tandem_sdk::collector!(Gpu);

#[cfg(test)]
mod tests;
