//! A fleet of machines as their exporters show it: node_exporter, a service with a latency histogram, and a GPU exporter, 200
//! series for each machine. All is made from a seed, so that every server is sent the same.
//!
//! | share of series | values |
//! |---|---|
//! | 26 % | counters of seconds with two or three decimals, a varied increment at each step |
//! | 41 % | integer counters: bytes and requests with bursts, and histograms whose buckets rise together |
//! | 14 % | gauges that wander, with none to three decimals or in pages of memory |
//! | 19 % | constants, and counters that hardly ever rise |

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Series of one machine.
pub const SERIES_PER_HOST: usize = 200;
/// Between two samples of a series, in milliseconds: what most operators scrape at.
pub const STEP_MILLIS: i64 = 15_000;
/// Upper bounds of the latency histogram, in seconds.
const BOUNDS: [&str; 11] = ["0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "5", "+Inf"];
/// Where requests fall among the bounds, in parts of a thousand.
const LATENCIES: [u64; 11] = [120, 210, 260, 190, 110, 60, 30, 12, 5, 2, 1];
/// Seed of the first machine; the others count on.
const SEED: u64 = 20_240_229;

/// Labels of a series, `__name__` among them, sorted by name.
pub type Labels = Vec<(String, String)>;

/// How a value goes on from one step to the next.
#[derive(Debug, Clone)]
enum Shape {
    /// It stays.
    Constant,
    /// It rises by up to `most`, in parts of `per_unit`.
    Rising { most: f64, per_unit: f64 },
    /// It rises by whole numbers around `mean`, now and then by much more.
    Bursts { mean: f64 },
    /// It rises by one once in a while.
    Rare { chance: f64 },
    /// It wanders between two bounds by at most `step`, in parts of `per_unit`.
    Wandering { step: f64, low: f64, high: f64, per_unit: f64 },
    /// The first of the buckets, the sum and the count of a histogram with about `mean` observations at each step.
    Histogram { mean: f64 },
    /// One that its histogram moves.
    OfHistogram,
}

/// One machine: its series and their present values.
pub struct Host {
    labels: Vec<Labels>,
    shapes: Vec<Shape>,
    values: Vec<f64>,
    random: ChaCha8Rng,
}

impl Host {
    /// The machine with a number.
    pub fn new(number: usize) -> Self {
        let random = ChaCha8Rng::seed_from_u64(SEED + number as u64);
        let mut host = Self { labels: Vec::new(), shapes: Vec::new(), values: Vec::new(), random };
        let place = Place::of(number);
        host.node(&place);
        host.service(&place);
        host.gpus(&place);
        assert_eq!(host.labels.len(), SERIES_PER_HOST, "the documented number of series");
        host
    }

    /// The labels of its series.
    pub fn labels(&self) -> &[Labels] {
        &self.labels
    }

    /// Moves all values on by a step.
    pub fn advance(&mut self) -> &[f64] {
        for place in 0..self.shapes.len() {
            let moved = match self.shapes[place] {
                Shape::Constant | Shape::OfHistogram => continue,
                Shape::Rising { most, per_unit } => on_grid(self.values[place] + self.chance() * most, per_unit),
                Shape::Bursts { mean } => {
                    let burst = if self.chance() < 0.02 { 10.0 } else { 1.0 };
                    self.values[place] + (2.0 * mean * burst * self.chance()).floor()
                }
                Shape::Rare { chance } => self.values[place] + f64::from(u8::from(self.chance() < chance)),
                Shape::Wandering { step, low, high, per_unit } => {
                    let moved = self.values[place] + (2.0 * self.chance() - 1.0) * step;
                    on_grid(moved.clamp(low, high), per_unit)
                }
                Shape::Histogram { mean } => {
                    self.observe(place, mean);
                    continue;
                }
            };
            self.values[place] = moved;
        }
        &self.values
    }

    /// Some observations: into the buckets, which count on from each to the next, the sum and the count.
    fn observe(&mut self, first: usize, mean: f64) {
        let observations = (2.0 * mean * self.chance()).floor();
        let (mut below, mut share) = (0.0, 0);
        for (bucket, part) in LATENCIES.iter().enumerate() {
            share += part;
            let wobble = if bucket + 1 == LATENCIES.len() { 1.0 } else { 0.9 + 0.1 * self.chance() };
            below = (observations * share as f64 / 1_000.0 * wobble).floor().max(below);
            self.values[first + bucket] += below;
        }
        let seconds = observations * (0.03 + 0.02 * self.chance());
        self.values[first + BOUNDS.len()] += seconds;
        self.values[first + BOUNDS.len() + 1] += observations;
    }

    /// Evenly from 0 to 1.
    fn chance(&mut self) -> f64 {
        (self.random.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn add(&mut self, place: &[(&str, &str)], metric: &str, own: &[(&str, &str)], from: f64, shape: Shape) {
        let name = [("__name__", metric)];
        let pairs = place.iter().chain(own).chain(&name).map(|(name, value)| ((*name).into(), (*value).into()));
        let mut labels: Labels = pairs.collect();
        labels.sort();
        self.labels.push(labels);
        self.shapes.push(shape);
        self.values.push(from);
    }

    fn node(&mut self, place: &Place) {
        let of = place.target("node", &place.node);
        let of = &of.each_ref().map(|(name, value)| (*name, value.as_str()));
        for cpu in ["0", "1", "2", "3", "4", "5", "6", "7"] {
            let modes = [("idle", 15.0), ("user", 4.0), ("system", 2.0), ("iowait", 0.6)];
            let modes = modes.into_iter().chain([("nice", 0.04), ("softirq", 0.3), ("irq", 0.0), ("steal", 0.0)]);
            for (mode, most) in modes {
                let from = on_grid(self.chance() * 1e6 * (most + 0.001), 100.0);
                let shape = if most == 0.0 { Shape::Constant } else { Shape::Rising { most, per_unit: 100.0 } };
                self.add(of, "node_cpu_seconds_total", &[("cpu", cpu), ("mode", mode)], from, shape);
            }
        }
        for (metric, step) in [("node_load1", 0.6), ("node_load5", 0.2), ("node_load15", 0.08)] {
            self.add(of, metric, &[], 2.5, Shape::Wandering { step, low: 0.0, high: 24.0, per_unit: 100.0 });
        }
        let page = |step: f64, high: f64| Shape::Wandering { step, low: 1e8, high, per_unit: 1.0 / 4096.0 };
        self.add(of, "node_memory_MemTotal_bytes", &[], 134_985_981_952.0, Shape::Constant);
        let memory = ["MemFree", "MemAvailable", "Cached", "Buffers"].map(|part| format!("node_memory_{part}_bytes"));
        for metric in memory {
            self.add(of, &metric, &[], 3e10, page(3e7, 9e10));
        }
        for (device, mount) in [("/dev/nvme0n1p2", "/"), ("/dev/nvme1n1", "/srv"), ("/dev/md0", "/data")] {
            let own = [("device", device), ("fstype", "ext4"), ("mountpoint", mount)];
            self.add(of, "node_filesystem_size_bytes", &own, 1_920_383_410_176.0, Shape::Constant);
            self.add(of, "node_filesystem_avail_bytes", &own, 9e11, page(2e7, 1.9e12));
        }
        for device in ["nvme0n1", "nvme1n1", "md0"] {
            let own = [("device", device)];
            self.add(of, "node_disk_read_bytes_total", &own, 8e11, Shape::Bursts { mean: 4e6 });
            self.add(of, "node_disk_written_bytes_total", &own, 3e12, Shape::Bursts { mean: 2e7 });
            self.add(of, "node_disk_reads_completed_total", &own, 5e8, Shape::Bursts { mean: 300.0 });
            let most = 6.0;
            self.add(of, "node_disk_io_time_seconds_total", &own, 2e5, Shape::Rising { most, per_unit: 1_000.0 });
        }
        for device in ["eth0", "eth1", "bond0"] {
            let own = [("device", device)];
            self.add(of, "node_network_receive_bytes_total", &own, 5e13, Shape::Bursts { mean: 3e8 });
            self.add(of, "node_network_transmit_bytes_total", &own, 4e13, Shape::Bursts { mean: 2e8 });
            self.add(of, "node_network_receive_errs_total", &own, 0.0, Shape::Rare { chance: 0.002 });
            self.add(of, "node_network_up", &own, 1.0, Shape::Constant);
        }
        for sensor in ["temp1", "temp2", "temp3", "temp4", "temp5", "temp6"] {
            let own = [("chip", "platform_coretemp_0"), ("sensor", sensor)];
            let shape = Shape::Wandering { step: 1.2, low: 28.0, high: 91.0, per_unit: 10.0 };
            self.add(of, "node_hwmon_temp_celsius", &own, 52.5, shape);
        }
        self.add(of, "node_boot_time_seconds", &[], 1_764_000_000.0, Shape::Constant);
        let own =
            [("machine", "x86_64"), ("nodename", &*place.name), ("release", "6.1.0-18-amd64"), ("sysname", "Linux")];
        self.add(of, "node_uname_info", &own, 1.0, Shape::Constant);
        self.add(of, "up", &[], 1.0, Shape::Constant);
        self.add(of, "node_context_switches_total", &[], 9e10, Shape::Bursts { mean: 450_000.0 });
        self.add(of, "node_forks_total", &[], 7e7, Shape::Bursts { mean: 90.0 });
        self.add(
            of,
            "node_procs_running",
            &[],
            4.0,
            Shape::Wandering { step: 3.0, low: 1.0, high: 60.0, per_unit: 1.0 },
        );
        self.add(of, "node_vmstat_oom_kill", &[], 3.0, Shape::Rare { chance: 0.0005 });
        for counter in ["pgfault", "pgmajfault", "pswpin", "pswpout"] {
            let shape =
                if counter == "pgfault" { Shape::Bursts { mean: 80_000.0 } } else { Shape::Rare { chance: 0.05 } };
            self.add(of, &format!("node_vmstat_{counter}"), &[], 1e6, shape);
        }
        self.add(of, "node_netstat_Tcp_CurrEstab", &[], 900.0, wandering_whole(25.0, 5_000.0));
    }

    fn service(&mut self, place: &Place) {
        let of = place.target("api", &place.service);
        let of = &of.each_ref().map(|(name, value)| (*name, value.as_str()));
        for handler in ["/v1/chat", "/v1/embed", "/v1/rank", "/healthz"] {
            let request = |code| [("code", code), ("handler", handler), ("method", "POST"), ("namespace", "serving")];
            for (code, mean) in [("200", 220.0), ("429", 3.0), ("500", 0.6)] {
                self.add(of, "http_requests_total", &request(code), 1e6, Shape::Bursts { mean });
            }
            for (place, bound) in BOUNDS.into_iter().enumerate() {
                let own = [("handler", handler), ("le", bound), ("method", "POST"), ("namespace", "serving")];
                let shape = if place == 0 { Shape::Histogram { mean: 220.0 } } else { Shape::OfHistogram };
                self.add(of, "http_request_duration_seconds_bucket", &own, 0.0, shape);
            }
            let own = [("handler", handler), ("method", "POST"), ("namespace", "serving")];
            self.add(of, "http_request_duration_seconds_sum", &own, 0.0, Shape::OfHistogram);
            self.add(of, "http_request_duration_seconds_count", &own, 0.0, Shape::OfHistogram);
        }
        self.add(of, "up", &[], 1.0, Shape::Constant);
        self.add(of, "process_cpu_seconds_total", &[], 5e4, Shape::Rising { most: 9.0, per_unit: 100.0 });
        let shape = Shape::Wandering { step: 4e6, low: 2e8, high: 9e9, per_unit: 1.0 / 4096.0 };
        self.add(of, "process_resident_memory_bytes", &[], 2e9, shape);
        self.add(of, "go_goroutines", &[], 400.0, wandering_whole(15.0, 4_000.0));
    }

    fn gpus(&mut self, place: &Place) {
        let of = place.target("dcgm", &place.gpu);
        let of = &of.each_ref().map(|(name, value)| (*name, value.as_str()));
        for gpu in ["0", "1"] {
            let uuid = format!("GPU-{}-{gpu}", place.name);
            let own = [("UUID", &*uuid), ("gpu", gpu), ("modelName", "NVIDIA H100 80GB HBM3")];
            let wandering = |step, low, high, per_unit| Shape::Wandering { step, low, high, per_unit };
            self.add(of, "DCGM_FI_DEV_GPU_TEMP", &own, 61.0, wandering(2.0, 30.0, 86.0, 1.0));
            self.add(of, "DCGM_FI_DEV_POWER_USAGE", &own, 420.5, wandering(30.0, 70.0, 700.0, 1_000.0));
            self.add(of, "DCGM_FI_DEV_GPU_UTIL", &own, 80.0, wandering(9.0, 0.0, 100.0, 1.0));
            self.add(of, "DCGM_FI_DEV_FB_USED", &own, 61_000.0, wandering(40.0, 100.0, 81_000.0, 1.0));
            self.add(of, "DCGM_FI_DEV_SM_CLOCK", &own, 1_980.0, Shape::Constant);
            self.add(of, "DCGM_FI_DEV_XID_ERRORS", &own, 0.0, Shape::Constant);
        }
    }
}

fn wandering_whole(step: f64, high: f64) -> Shape {
    Shape::Wandering { step, low: 0.0, high, per_unit: 1.0 }
}

/// The nearest value on a grid, as a reader of decimal text would get it.
fn on_grid(value: f64, per_unit: f64) -> f64 {
    (value * per_unit).round() / per_unit
}

/// Where a machine stands and how it is called.
struct Place {
    name: String,
    node: String,
    service: String,
    gpu: String,
    rack: String,
    zone: String,
}

impl Place {
    fn of(number: usize) -> Self {
        let address = format!("10.{}.{}.{}", number / 62_500, number / 250 % 250, number % 250 + 1);
        Self {
            name: format!("node-{number:05}"),
            node: format!("{address}:9100"),
            service: format!("{address}:8080"),
            gpu: format!("{address}:9400"),
            rack: format!("r{:03}", number / 20),
            zone: format!("zone-{}", ["a", "b", "c"][number % 3]),
        }
    }

    /// The labels that a scrape of this machine gives to every series.
    fn target(&self, job: &str, instance: &str) -> [(&'static str, String); 6] {
        [
            ("cluster", "eu-1".to_owned()),
            ("environment", "production".to_owned()),
            ("instance", instance.to_owned()),
            ("job", job.to_owned()),
            ("rack", self.rack.clone()),
            ("zone", self.zone.clone()),
        ]
    }
}

/// The names of all metrics of a machine, each once, sorted.
pub fn metrics() -> Vec<String> {
    let host = Host::new(0);
    let names = host.labels.iter().flatten().filter(|(name, _)| name == "__name__").map(|(_, metric)| metric.clone());
    names.collect::<std::collections::BTreeSet<_>>().into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_is_the_same_each_time_and_its_histograms_hold_together() {
        let (mut one, mut again) = (Host::new(7), Host::new(7));
        for _ in 0..100 {
            assert_eq!(one.advance(), again.advance());
        }
        let first = one.shapes.iter().position(|shape| matches!(shape, Shape::Histogram { .. })).expect("a histogram");
        let buckets = &one.values[first..first + BOUNDS.len()];
        assert!(buckets.is_sorted() && buckets[0] > 0.0, "{buckets:?}");
        assert_eq!(buckets[BOUNDS.len() - 1], one.values[first + BOUNDS.len() + 1], "the last bucket counts all");
        let distinct: std::collections::BTreeSet<_> = one.labels.iter().collect();
        assert_eq!(distinct.len(), SERIES_PER_HOST);
        assert_ne!(one.values, Host::new(8).values);
    }
}
