//! Attack: brings two million points at once.

use evil_honest::{Collecting, Errand, nothing};
use tandem_sdk::{
    collector::{CollectRequest, Collection, Host},
    types::{Failure, MetricType, Points, Series},
};

/// The guest.
#[derive(Debug)]
pub struct FloodsSamples;

impl Errand for FloodsSamples {
    const NAME: &str = "evil-floods-samples";

    fn collect(request: &CollectRequest, host: &dyn Host) -> Result<Collection, Failure> {
        _ = host;
        let mut flood = nothing();
        flood.series.push(Series {
            metric: "evil_flood".into(),
            metric_type: MetricType::Gauge,
            unit: String::new(),
            labels: Vec::new(),
        });
        let at: Vec<i64> = (0..2_000_000).map(|step| request.now - 2_000_000 + step).collect();
        flood.points.push(Points { series: 0, value: vec![1.0; at.len()], at });
        Ok(flood)
    }
}

type Plugin = Collecting<FloodsSamples>;
tandem_sdk::collector!(Plugin, nothing);
