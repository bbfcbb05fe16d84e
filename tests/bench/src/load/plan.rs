//! How much is sent, and in what shape.

use super::{
    Bodies,
    fleet::{SERIES_PER_HOST, STEP_MILLIS},
};
use std::time::{SystemTime, UNIX_EPOCH};
use tandem_domain::Timestamp;

/// The load that is asked for.
#[derive(Debug, Clone, clap::Args)]
pub struct LoadArguments {
    /// Series, in machines of 200 each.
    #[arg(long, default_value_t = 20_000)]
    pub series: usize,
    /// Samples of each series, 15 s apart; the newest is of now.
    #[arg(long, default_value_t = 960)]
    pub steps: usize,
    /// Connections, each with one body under way.
    #[arg(long, default_value_t = 4)]
    pub connections: usize,
    /// Samples in a body.
    #[arg(long, default_value_t = 5_000)]
    pub body: usize,
    /// Samples of one series in a body: 1 as a sender has them that has just scraped, more as one that catches up.
    #[arg(long, default_value_t = 1)]
    pub steps_per_body: usize,
}

impl Default for LoadArguments {
    fn default() -> Self {
        Self { series: 20_000, steps: 960, connections: 4, body: 5_000, steps_per_body: 1 }
    }
}

impl LoadArguments {
    /// The load, ending with the last full step that has begun.
    pub fn plan(&self) -> Plan {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_millis() as i64;
        Plan {
            hosts: (self.series / SERIES_PER_HOST).max(self.connections),
            steps: self.steps,
            connections: self.connections,
            samples_per_body: self.body,
            steps_per_body: self.steps_per_body,
            end: Timestamp(now - now % STEP_MILLIS),
        }
    }
}

/// The shape of the load.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// Machines, of [`SERIES_PER_HOST`] series each.
    pub hosts: usize,
    /// Samples of each series.
    pub steps: usize,
    /// Connections, each with machines of its own and one body under way.
    pub connections: usize,
    /// Samples in a body.
    pub samples_per_body: usize,
    /// How many steps of a series stand in one body.
    pub steps_per_body: usize,
    /// The moment of the newest samples.
    pub end: Timestamp,
}

impl Plan {
    /// All samples.
    pub fn samples(&self) -> u64 {
        (self.hosts * SERIES_PER_HOST * self.steps) as u64
    }

    /// The moment of a step, the first being 0.
    pub fn at(&self, step: usize) -> Timestamp {
        self.end.plus_millis(-((self.steps - 1 - step) as i64) * STEP_MILLIS)
    }

    /// In words.
    pub fn told(&self, bodies: &[Bodies]) -> String {
        let count: usize = bodies.iter().map(|one| one.list.len()).sum();
        let bytes: u64 = bodies.iter().map(Bodies::bytes).sum();
        format!(
            "{} series x {} steps = {} samples in {count} bodies of up to {}, {} of each series; {:.1} bytes a sample as \
             sent, {} connections",
            self.hosts * SERIES_PER_HOST,
            self.steps,
            self.samples(),
            self.samples_per_body,
            self.steps_per_body,
            bytes as f64 / self.samples() as f64,
            self.connections,
        )
    }
}
