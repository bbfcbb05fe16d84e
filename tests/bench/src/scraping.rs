//! Scraping at scale: the real binary scrapes a thousand targets of a thousand series every 15 s. The targets are of this
//! process, on loopback, and count who comes when, so that a visit that was left out is seen where it was missed.

use crate::server::Running;
use std::{
    fmt::Write as _,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};
use tandem_tests::own_metric;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

/// Series of each.
const SERIES: usize = 1_000;
/// Series of one metric family.
const FAMILY: usize = 20;
/// How often each is scraped.
const INTERVAL: Duration = Duration::from_secs(15);
/// Before it is measured: the first visits, which make every series known.
const WARM_UP: Duration = Duration::from_secs(40);

/// The binary scrapes many targets.
#[derive(Debug, clap::Args)]
pub struct Scraping {
    /// Targets of a thousand series each.
    #[arg(long, default_value_t = 1_000)]
    targets: usize,
    /// How long it is measured, after 40 s of first visits.
    #[arg(long, default_value_t = 75)]
    seconds: u64,
}

/// When one target was visited.
type Visits = Arc<Mutex<Vec<Instant>>>;

/// The page of one target at one visit; a fifth of its values changes from visit to visit.
fn page(target: usize, visit: usize) -> String {
    let mut page = String::with_capacity(SERIES * 110);
    for series in 0..SERIES {
        let (family, member) = (series / FAMILY, series % FAMILY);
        if member == 0 {
            let _ = writeln!(
                page,
                "# HELP app_operation_{family}_seconds_total What was done.\n# TYPE app_operation_{family}_seconds_total counter"
            );
        }
        let value = if member < FAMILY / 5 { (visit * 17 + series + target) as f64 * 0.25 } else { series as f64 };
        let _ = writeln!(
            page,
            "app_operation_{family}_seconds_total{{operation=\"op-{member:03}\",code=\"200\",handler=\"/api/v1/some/path\",shard=\"{}\"}} {value}",
            series % 7
        );
    }
    page
}

/// Answers scrapes over connections that stay open.
async fn answer(mut stream: TcpStream, target: usize, visits: Visits) {
    let mut request = vec![0; 8192];
    let mut filled = 0;
    loop {
        match stream.read(&mut request[filled..]).await {
            Ok(read @ 1..) => filled += read,
            _ => return,
        }
        if !request[..filled].windows(4).any(|end| end == b"\r\n\r\n") {
            continue;
        }
        filled = 0;
        let visit = {
            let mut visits = visits.lock().unwrap_or_else(PoisonError::into_inner);
            visits.push(Instant::now());
            visits.len()
        };
        let body = page(target, visit);
        let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: text/plain; version=0.0.4\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        if stream.write_all(head.as_bytes()).await.is_err() || stream.write_all(body.as_bytes()).await.is_err() {
            return;
        }
    }
}

/// Starts the targets; answers their addresses and who visited them.
async fn targets(count: usize) -> (Vec<String>, Vec<Visits>) {
    let (mut addresses, mut all) = (Vec::new(), Vec::new());
    for target in 0..count {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback can be listened on; raise ulimit -n");
        addresses.push(listener.local_addr().expect("an address").to_string());
        let visits = Visits::default();
        all.push(visits.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(answer(stream, target, visits.clone()));
            }
        });
    }
    (addresses, all)
}

/// Visits between two moments, and visits missed: where two that followed one another lie further apart than one and a half
/// intervals, one or more were left out.
fn counted(all: &[Visits], from: Instant, to: Instant) -> (usize, usize, Duration) {
    let (mut made, mut missed, mut longest) = (0, 0, Duration::ZERO);
    for visits in all {
        let visits = visits.lock().unwrap_or_else(PoisonError::into_inner);
        let within: Vec<Instant> = visits.iter().copied().filter(|at| (from..to).contains(at)).collect();
        made += within.len();
        for pair in within.windows(2) {
            let apart = pair[1] - pair[0];
            longest = longest.max(apart);
            missed += ((apart.as_secs_f64() / INTERVAL.as_secs_f64()).round() as usize).saturating_sub(1);
        }
    }
    (made, missed, longest)
}

impl Scraping {
    /// Measures and prints.
    pub async fn run(&self, folder: &Path) {
        measure(self.targets, Duration::from_secs(self.seconds), folder).await;
    }
}

async fn measure(count: usize, measured: Duration, folder: &Path) {
    let (addresses, visits) = targets(count).await;
    let listed: Vec<String> = addresses.iter().map(|address| format!("{address:?}")).collect();
    let config = format!(
        "collect = []\nlog = \"warn\"\n[[scrape]]\njob = \"bench\"\ninterval = \"{}s\"\ntargets = [{}]\n",
        INTERVAL.as_secs(),
        listed.join(", ")
    );
    std::fs::write(folder.join("tandem.toml"), config).expect("written");
    println!("\n{count} targets of {SERIES} series every {} s, scraped by the real binary", INTERVAL.as_secs());
    let server = Running::start(folder);
    let base = server.address.to_string();
    tokio::time::sleep(WARM_UP).await;
    let (warm_cpu, warm_memory) = (server.process.cpu_seconds(), server.process.megabytes("VmRSS"));
    println!("  first visits: {warm_cpu:.1} s of a processor, {warm_memory:.0} MB resident");
    let samples = own_metric(&base, "tandem_gather_samples_total", "").await;
    let (began, cpu) = (Instant::now(), server.process.cpu_seconds());
    tokio::time::sleep(measured).await;
    let (ended, used) = (Instant::now(), server.process.cpu_seconds() - cpu);
    let taken = own_metric(&base, "tandem_gather_samples_total", "").await - samples;
    let seconds = (ended - began).as_secs_f64();
    let (made, missed, longest) = counted(&visits, began, ended);
    let skipped = own_metric(&base, "tandem_gather_skipped_visits_total", "").await;
    let failed = own_metric(&base, "tandem_gather_failures_total", "").await;
    println!(
        "  visits: {made} in {seconds:.0} s ({:.1} a second), {missed} missed, longest gap {:.2} s",
        made as f64 / seconds,
        longest.as_secs_f64()
    );
    println!("  by its own account: {skipped} visits left out and {failed} failed since the start");
    println!("  samples kept: {:.0} a second", taken / seconds);
    println!(
        "  processor: {:.2} of one ({:.2} µs a sample); resident {:.0} MB, at most {:.0} MB",
        used / seconds,
        used * 1e6 / taken,
        server.process.megabytes("VmRSS"),
        server.process.megabytes("VmHWM")
    );
    server.stop();
}
