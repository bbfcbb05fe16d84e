//! Remote write into each server in turn: samples acknowledged in a second, processor time, memory, bytes on disk, and whether
//! all of them are found afterwards.

use crate::{
    load::{Bodies, LoadArguments, Plan, STEP_MILLIS, metrics, send},
    peers::{Kind, OnDisk, Peer, own_cpu_seconds},
    tables,
    timing::median,
};
use std::{path::Path, sync::Arc};

/// Samples are counted in parts of so long: Prometheus loads no more than 50 million for a query, and the metric with the most
/// series has 16 of them in an hour of 200,000.
const COUNTED_AT_ONCE_SECONDS: i64 = 3_600;
/// Parts end beside the samples, which are whole multiples of a step before the newest: whether a range holds its own ends is not
/// the same in all servers.
const BESIDE_SAMPLES_SECONDS: f64 = 1.0;

/// Sets the ingest of servers side by side.
#[derive(Debug, Clone, clap::Args)]
pub struct Ingest {
    #[command(flatten)]
    load: LoadArguments,
    /// Which servers, in this order.
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = [Kind::Tandem, Kind::Prometheus, Kind::VictoriaMetrics])]
    servers: Vec<Kind>,
    /// How often each server is measured, in turns; medians are shown.
    #[arg(long, default_value_t = 1)]
    rounds: usize,
    /// Stops the run of each server after its last acknowledgement: no flush, no count. For a profiler.
    #[arg(long)]
    only_send: bool,
    /// Tells what the tables of Tandem's file take.
    #[arg(long)]
    tables: bool,
    /// Leaves the servers' folders where they are, for a look into them.
    #[arg(long)]
    pub keep: bool,
}

impl Ingest {
    /// Measures and prints.
    pub async fn run(&self, folder: &Path) {
        let plan = self.load.plan();
        let bodies = Arc::new(Bodies::encode(&plan, folder));
        println!("\n{}", plan.told(&bodies));
        let mut measured: Vec<(Kind, Vec<Measured>)> =
            self.servers.iter().map(|server| (*server, Vec::new())).collect();
        for round in 0..self.rounds {
            for (kind, rounds) in &mut measured {
                let folder = folder.join(format!("{kind:?}-{round}"));
                let one = measure(*kind, &folder, &plan, &bodies, self.only_send).await;
                one.tell(*kind);
                if self.tables && !self.only_send && matches!(kind, Kind::Tandem | Kind::TandemBare) {
                    tables::print(&folder.join("data/tandem.redb"), one.samples);
                }
                rounds.push(one);
                if self.keep {
                    println!("  {} left its folder at {}", kind.name(), folder.display());
                } else {
                    std::fs::remove_dir_all(&folder).expect("a server that ended leaves its folder alone");
                }
            }
        }
        table(&measured);
    }
}

/// What one run of one server came to.
#[derive(Debug, Clone, Default)]
struct Measured {
    rate: f64,
    /// Processor time of the server until the last acknowledgement, and after it until all was written down, in seconds.
    cpu: f64,
    cpu_after: f64,
    sender_cpu: f64,
    peak_megabytes: f64,
    disk: OnDisk,
    samples: u64,
    counted: f64,
    wait_median: f64,
    wait_p99: f64,
    refusals: u64,
}

async fn measure(kind: Kind, folder: &Path, plan: &Plan, bodies: &Arc<Vec<Bodies>>, only_send: bool) -> Measured {
    let (peer, _) = Peer::start(kind, folder).await;
    println!("  {} runs as process {}", kind.name(), peer.process.id());
    let (own_before, before) = (own_cpu_seconds(), peer.process.cpu_seconds());
    let sent = send(&peer.write_url(), bodies).await;
    let (sender_cpu, cpu) = (own_cpu_seconds() - own_before, peer.process.cpu_seconds() - before);
    let mut measured = Measured {
        rate: sent.rate(),
        cpu,
        sender_cpu,
        samples: sent.samples,
        wait_median: sent.wait_millis(0.5),
        wait_p99: sent.wait_millis(0.99),
        refusals: sent.refusals,
        peak_megabytes: peer.process.megabytes("VmHWM"),
        ..Measured::default()
    };
    if only_send {
        return measured;
    }
    peer.settle().await;
    peer.become_quiet().await;
    measured.cpu_after = peer.process.cpu_seconds() - before - cpu;
    measured.peak_megabytes = peer.process.megabytes("VmHWM");
    measured.counted = count(&peer, plan).await;
    measured.disk = peer.on_disk();
    let (kind, folder) = (peer.kind, folder.to_owned());
    peer.stop();
    // Prometheus' snapshot is its final form already; the others may write on as they end.
    if kind != Kind::Prometheus {
        measured.disk = OnDisk { data: crate::peers::on_disk(kind, &folder).data, ..measured.disk };
    }
    measured
}

/// How many samples a server finds: metric by metric and part by part, so that no query holds more than a server allows one.
pub async fn count(peer: &Peer, plan: &Plan) -> f64 {
    let newest = plan.end.0 as f64 / 1e3 + BESIDE_SAMPLES_SECONDS;
    let parts = plan.steps as i64 * STEP_MILLIS / 1_000 / COUNTED_AT_ONCE_SECONDS + 1;
    let mut counted = 0.0;
    for metric in metrics() {
        let query = format!("sum(count_over_time({metric}[{COUNTED_AT_ONCE_SECONDS}s]))");
        for part in 0..parts {
            counted += peer.number(&query, newest - (part * COUNTED_AT_ONCE_SECONDS) as f64).await;
        }
    }
    counted
}

impl Measured {
    fn tell(&self, kind: Kind) {
        println!(
            "  {}: {:.0} samples/s; a body waited {:.1} ms in the median, {:.1} ms at the 99th percentile; {} refused for the \
             time being",
            kind.name(),
            self.rate,
            self.wait_median,
            self.wait_p99,
            self.refusals,
        );
    }

    fn per_sample(&self, bytes: u64) -> f64 {
        bytes as f64 / self.samples as f64
    }
}

fn table(measured: &[(Kind, Vec<Measured>)]) {
    let of = |rounds: &[Measured], figure: &dyn Fn(&Measured) -> f64| median(rounds.iter().map(figure).collect());
    let rate_of = |kind: Kind| {
        let found = measured.iter().find(|(other, _)| *other == kind);
        found.map_or(f64::NAN, |(_, rounds)| of(rounds, &|one| one.rate))
    };
    let (prometheus, victoria) = (rate_of(Kind::Prometheus), rate_of(Kind::VictoriaMetrics));
    println!(
        "\n{:18} {:>10} {:>7} {:>7} {:>7} {:>8} {:>8} {:>8} {:>8} {:>8} {:>8}  found",
        "server",
        "samples/s",
        "x prom",
        "x vm",
        "cpu s",
        "cpu after",
        "us/sample",
        "sender s",
        "peak MB",
        "B/sample",
        "+ log"
    );
    for (kind, rounds) in measured {
        let figure = |figure: &dyn Fn(&Measured) -> f64| of(rounds, figure);
        let rate = rate_of(*kind);
        let missing = rounds.iter().map(|one| one.samples as f64 - one.counted).find(|missing| *missing != 0.0);
        println!(
            "{:18} {:>10.0} {:>7.2} {:>7.2} {:>7.1} {:>9.1} {:>9.2} {:>8.1} {:>8.0} {:>8.2} {:>8.2}  {}",
            kind.name(),
            rate,
            rate / prometheus,
            rate / victoria,
            figure(&|one| one.cpu),
            figure(&|one| one.cpu_after),
            figure(&|one| one.cpu * 1e6 / one.samples as f64),
            figure(&|one| one.sender_cpu),
            figure(&|one| one.peak_megabytes),
            figure(&|one| one.per_sample(one.disk.data)),
            figure(&|one| one.per_sample(one.disk.log)),
            missing.map_or("all".to_owned(), |missing| format!("{missing} MISSING")),
        );
    }
}
