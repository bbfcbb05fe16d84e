//! What dashboards and alerts ask, of Tandem, Prometheus and VictoriaMetrics over the same samples: how long each takes, in
//! turns, and whether they answer the same.

mod answer;
mod asked;

use crate::{
    load::{Bodies, LoadArguments, Plan, send},
    peers::{Kind, Peer},
    timing::median,
};
use answer::{Agreement, Answer};
use asked::{ALL, Asked, When};
use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

/// How far after the newest sample is asked, in milliseconds: such that no window begins or ends on a sample, where the
/// language of Prometheus 3, which leaves windows open to the left, differs from that of 2.42.
const OFF_SAMPLES_MILLIS: i64 = 7_000;
/// A request that takes longer has failed.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);
/// Share of repetitions that the second figure is not exceeded by.
const HIGH_SHARE: f64 = 0.95;

/// Sets the latency of queries side by side.
#[derive(Debug, Clone, clap::Args)]
pub struct Queries {
    #[command(flatten)]
    load: LoadArguments,
    /// How often each request is made of each server, in turns, after one that does not count.
    #[arg(long, default_value_t = 15)]
    repetitions: usize,
    /// Which servers, Tandem first: the others are what it is compared with.
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = [Kind::Tandem, Kind::Prometheus, Kind::VictoriaMetrics])]
    servers: Vec<Kind>,
}

impl Queries {
    /// Measures and prints.
    pub async fn run(&self, folder: &Path) {
        let plan = self.load.plan();
        let bodies = Arc::new(Bodies::encode(&plan, folder));
        println!("\n{}", plan.told(&bodies));
        let mut peers = Vec::new();
        for kind in &self.servers {
            let (peer, _) = Peer::start(*kind, &folder.join(format!("{kind:?}"))).await;
            let sent = send(&peer.write_url(), &bodies).await;
            peer.settle().await;
            let quiet = peer.become_quiet().await;
            println!(
                "  {} has {} samples, and was quiet {:.0} s later",
                kind.name(),
                sent.samples,
                quiet.as_secs_f64()
            );
            peers.push(peer);
        }
        let client = reqwest::Client::builder().no_proxy().timeout(REQUEST_TIMEOUT).build().expect("a client");
        self.head();
        let mut ratios: Vec<Vec<f64>> = vec![Vec::new(); peers.len()];
        for (name, asked) in ALL {
            let urls: Vec<String> = peers.iter().map(|peer| url(peer, &plan, asked)).collect();
            let (millis, answers) = self.in_turns(&client, &urls).await;
            let medians: Vec<f64> = millis.iter().map(|of_one| median(of_one.clone())).collect();
            if matches!(answers[0], Answer::Found(_)) {
                ratios.iter_mut().zip(&medians).for_each(|(all, one)| all.push(medians[0] / one));
            }
            line(name, &millis, &answers);
        }
        for (peer, mut ratios) in peers.iter().zip(ratios).skip(1) {
            ratios.sort_by(f64::total_cmp);
            println!(
                "Tandem's time over that of {}: {:.2} in the median of {} requests, {:.2} to {:.2}",
                peer.kind.name(),
                median(ratios.clone()),
                ratios.len(),
                ratios[0],
                ratios[ratios.len() - 1],
            );
        }
        peers.into_iter().for_each(Peer::stop);
    }

    /// Milliseconds of each repetition by server, and what each server answers.
    async fn in_turns(&self, client: &reqwest::Client, urls: &[String]) -> (Vec<Vec<f64>>, Vec<Answer>) {
        let (mut millis, mut answers) = (vec![Vec::new(); urls.len()], Vec::new());
        for repetition in 0..=self.repetitions {
            for (server, url) in urls.iter().enumerate() {
                let began = Instant::now();
                let answer = client.get(url).send().await.expect("it answers");
                let (status, body) = (answer.status().as_u16(), answer.bytes().await.expect("a whole answer"));
                let took = began.elapsed().as_secs_f64() * 1e3;
                if repetition == 0 {
                    answers.push(Answer::read(status, &body));
                } else {
                    millis[server].push(took);
                }
            }
        }
        millis.iter_mut().for_each(|of_one| of_one.sort_by(f64::total_cmp));
        (millis, answers)
    }

    fn head(&self) {
        print!("\n{:28} {:>7}", "milliseconds, p50 and p95", "found");
        self.servers.iter().for_each(|kind| print!(" {:>17}", kind.name()));
        self.servers.iter().skip(1).for_each(|kind| print!("  ratio, answer beside {:16}", kind.name()));
        println!();
    }
}

fn line(name: &str, millis: &[Vec<f64>], answers: &[Answer]) {
    print!("{name:28} {:>7}", answers[0].size());
    for sorted in millis {
        let high = sorted[((sorted.len() as f64 * HIGH_SHARE) as usize).min(sorted.len() - 1)];
        print!(" {:>8.2} {high:>8.2}", median(sorted.clone()));
    }
    for (of_other, answer) in millis.iter().zip(answers).skip(1) {
        let ratio = median(millis[0].clone()) / median(of_other.clone());
        print!("  {ratio:>6.2} {:31}", Agreement::between(&answers[0], answer).told());
    }
    println!();
}

/// The address of a request; VictoriaMetrics is asked not to answer from its cache of earlier answers.
fn url(peer: &Peer, plan: &Plan, asked: Asked) -> String {
    let at = plan.end.0 + OFF_SAMPLES_MILLIS;
    let seconds = |millis: i64| (millis as f64 / 1e3).to_string();
    let (path, mut parameters) = match asked {
        Asked::Query(When::Instant, query) => ("query", vec![("query", query.to_owned()), ("time", seconds(at))]),
        Asked::Query(When::Range { minutes, step }, query) => {
            let start = seconds(at - minutes * 60_000);
            let moments = [("start", start), ("end", seconds(at)), ("step", step.to_string())];
            ("query_range", [("query", query.to_owned())].into_iter().chain(moments).collect())
        }
        Asked::Labels(path, fitting) => {
            let bounds = [("start", seconds(plan.at(0).0)), ("end", seconds(at))];
            let fitting = fitting.map(|selector| ("match[]", selector.to_owned()));
            (path, fitting.into_iter().chain(bounds).collect())
        }
    };
    if peer.kind == Kind::VictoriaMetrics {
        parameters.push(("nocache", "1".into()));
    }
    let url = reqwest::Url::parse_with_params(&format!("{}/{path}", peer.api()), parameters);
    url.expect("an address").into()
}
