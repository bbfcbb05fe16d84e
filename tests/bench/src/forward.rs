//! Forwarding: what waited while the receiver was down is sent when it is there, by Tandem and by Prometheus' own remote write in
//! turns, to the same receiver (VictoriaMetrics) with the same settings. Samples taken in a second by the sender's own count, and
//! processor time of sender and receiver.

use crate::{
    load::{Bodies, LoadArguments, Plan, STEP_MILLIS, send},
    peers::{Kind, Peer, free_address},
    timing::median,
};
use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

/// Who has not sent everything by then has failed.
const PATIENCE: Duration = Duration::from_secs(180);
/// How often the sender is asked how far it is.
const ASK_EVERY: Duration = Duration::from_millis(20);
/// Steps ahead of now: Prometheus sends on only what is later than its own start, and Tandem takes ten minutes ahead.
const MAX_STEPS: usize = 36;

/// Sets forwarding side by side.
#[derive(Debug, Clone, clap::Args)]
pub struct Forward {
    /// Series, in machines of 200 each.
    #[arg(long, default_value_t = 20_000)]
    series: usize,
    /// Samples of each series.
    #[arg(long, default_value_t = MAX_STEPS)]
    steps: usize,
    /// How often each sender is measured, in turns; medians are shown.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
}

/// What one run of one sender came to.
#[derive(Debug, Clone, Copy)]
struct Measured {
    rate: f64,
    cpu: f64,
    receiver_cpu: f64,
}

impl Forward {
    /// Measures and prints.
    pub async fn run(&self, folder: &Path) {
        assert!((1..=MAX_STEPS).contains(&self.steps), "steps are 1 to {MAX_STEPS}");
        let senders = [Kind::Tandem, Kind::Prometheus];
        let mut measured: Vec<Vec<Measured>> = vec![Vec::new(); senders.len()];
        for round in 0..self.rounds {
            for (kind, rounds) in senders.iter().zip(&mut measured) {
                let folder = folder.join(format!("{kind:?}-{round}"));
                rounds.push(self.measure(*kind, &folder).await);
                std::fs::remove_dir_all(&folder).expect("servers that ended leave their folder alone");
            }
        }
        println!("\n{:18} {:>10} {:>7} {:>8} {:>12}", "sender", "samples/s", "x prom", "cpu s", "receiver cpu");
        let of = |rounds: &[Measured], figure: fn(&Measured) -> f64| median(rounds.iter().map(figure).collect());
        let prometheus = of(&measured[1], |one| one.rate);
        for (kind, rounds) in senders.iter().zip(&measured) {
            let rate = of(rounds, |one| one.rate);
            let (cpu, receiver) = (of(rounds, |one| one.cpu), of(rounds, |one| one.receiver_cpu));
            println!("{:18} {rate:>10.0} {:>7.2} {cpu:>8.2} {receiver:>12.2}", kind.name(), rate / prometheus);
        }
    }

    /// The load, from a moment after this one on.
    fn plan(&self) -> Plan {
        let load = LoadArguments { series: self.series, steps: self.steps, ..LoadArguments::default() };
        let plan = load.plan();
        Plan { end: plan.end.plus_millis(self.steps as i64 * STEP_MILLIS), ..plan }
    }

    async fn measure(&self, kind: Kind, folder: &Path) -> Measured {
        let to = free_address();
        let (sender, _) = Peer::start_at(kind, &folder.join("sender"), free_address(), Some(to)).await;
        let plan = self.plan();
        let bodies = Arc::new(Bodies::encode(&plan, folder));
        let sent = send(&sender.write_url(), &bodies).await;
        let wanted = plan.samples();
        assert_eq!(sent.samples, wanted, "all is acknowledged");
        let (began, cpu) = (Instant::now(), sender.process.cpu_seconds());
        let (receiver, _) = Peer::start_at(Kind::VictoriaMetrics, &folder.join("receiver"), to, None).await;
        // What the receiver has is asked: Prometheus counts a sample as sent when it tries.
        loop {
            let rows = receiver.metric("vm_rows_inserted_total").await;
            if rows >= wanted as f64 {
                break;
            }
            assert!(began.elapsed() < PATIENCE, "{}: the receiver has {rows} of {wanted}", kind.name());
            tokio::time::sleep(ASK_EVERY).await;
        }
        let seconds = began.elapsed().as_secs_f64();
        let (cpu, receiver_cpu) = (sender.process.cpu_seconds() - cpu, receiver.process.cpu_seconds());
        let rate = wanted as f64 / seconds;
        println!("  {}: {wanted} samples in {seconds:.2} s, {rate:.0} a second", kind.name());
        sender.stop();
        receiver.stop();
        Measured { rate, cpu, receiver_cpu }
    }
}
