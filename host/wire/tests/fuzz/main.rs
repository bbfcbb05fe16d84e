//! Every decoder against bytes that were bent, cut and spliced from good ones (see `driver`).

mod decoders;
mod driver;
mod memory;
mod mutate;
mod operators_files;
mod seeds;

use driver::{FREE_BYTES, Target, fuzz};

macro_rules! targets {
    ($($room:ident: $($name:ident),* $(,)?;)*) => {
        $($(#[test]
        fn $name() {
            fuzz(&$room::$name());
        })*)*
    };
}

targets!(
    decoders: exposition_text, exposition_openmetrics, remote_write_1, remote_write_2, snappy, gzip, otlp_metrics_protobuf,
        otlp_metrics_json, otlp_logs_protobuf, otlp_logs_json, influx, statsd, syslog, alertmanager_post, alertmanager_webhook,
        predictions;
    operators_files: rule_file, relabeling, target_list_json, target_list_yaml;
);
