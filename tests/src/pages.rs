//! Pages that targets of the tests show.

/// A DCGM exporter's page of one GPU; its frame buffer is blank, as where the driver has no value.
pub fn dcgm(uuid: &str, xid: u32) -> String {
    let gpu = format!(r#"gpu="3",UUID="{uuid}",device="nvidia3",modelName="NVIDIA H100",Hostname="node-7""#);
    format!(
        "# TYPE DCGM_FI_DEV_GPU_TEMP gauge\nDCGM_FI_DEV_GPU_TEMP{{{gpu}}} 41\n\
         # TYPE DCGM_FI_DEV_FB_USED gauge\nDCGM_FI_DEV_FB_USED{{{gpu}}} 9223372036854775794\n\
         # TYPE DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION counter\nDCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION{{{gpu}}} 91000\n\
         # TYPE DCGM_FI_DEV_XID_ERRORS gauge\nDCGM_FI_DEV_XID_ERRORS{{{gpu}}} {xid}\n"
    )
}

/// A node_exporter's page of one host with a load.
pub fn host(name: &str, load: f64) -> String {
    format!(
        "# TYPE node_uname_info gauge\nnode_uname_info{{nodename=\"{name}\"}} 1\n\
         # TYPE node_load1 gauge\nnode_load1 {load}\n"
    )
}

/// Predictions as JSON lines, one for each number.
pub fn predictions(service: &str, numbers: std::ops::Range<u64>) -> String {
    let line = |id: u64| {
        format!("{{\"service\":\"{service}\",\"id\":\"{id}\",\"features\":{{\"x\":{id}}},\"prediction\":\"yes\"}}\n")
    };
    numbers.map(line).collect()
}
