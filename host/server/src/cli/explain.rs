//! `tandem explain`: how an answer was found, from samples to sentence, and whether it is found again.

use anyhow::{Context, bail};
use serde_json::Value;
use std::{process::ExitCode, time::Duration};
use tandem_domain::http::{HttpClient, HttpGrant, HttpRequest};
use tandem_egress::EgressClient;

/// How long the server may take: it reads one case and ranks it again.
const TIMEOUT: Duration = Duration::from_secs(60);
/// Longest answer, in bytes: some signals of some hundred moments.
const MAX_ANSWER_BYTES: usize = 64 << 20;
/// Digits of a digest that are shown.
const DIGEST_DIGITS: usize = 12;
/// Signals shown of one candidate.
const SHOWN_SIGNALS: usize = 5;

/// Tells how an answer was found, from samples to sentence, and asks the same question again.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  tandem explain chat          # the present answer for a service\n  \
                        tandem explain 17 --json     # the answer with this number, as it stands in a verdict")]
pub(super) struct Explain {
    /// The number of an explanation, as it stands in a verdict, or the name of a service.
    #[arg(value_name = "ID|SERVICE")]
    which: String,
    /// Where the server is.
    #[arg(long, default_value = "http://127.0.0.1:8420", value_name = "URL")]
    server: String,
    /// For machines.
    #[arg(long)]
    json: bool,
}

/// The server as it is asked.
struct Asking {
    http: EgressClient,
    grant: HttpGrant,
    base: String,
}

impl Asking {
    fn of(server: &str) -> anyhow::Result<Self> {
        let base = server.trim_end_matches('/').to_owned();
        let authority = tandem_aiops::ReceiverConfig::new(&base).authority();
        let authority =
            authority.with_context(|| format!("--server {server:?} is no address like http://127.0.0.1:8420"))?;
        let grant = HttpGrant { allow: vec![authority], ..HttpGrant::default() };
        Ok(Self { http: EgressClient::default(), grant, base })
    }

    async fn get(&self, path: &str) -> anyhow::Result<Value> {
        let request = HttpRequest {
            method: "GET".into(),
            url: format!("{}/api/v1/{path}", self.base),
            headers: Vec::new(),
            body: Vec::new(),
            timeout: TIMEOUT,
            max_response_bytes: MAX_ANSWER_BYTES,
            follow_redirects: false,
        };
        let answer = self.http.send(&self.grant, request).await;
        let answer = answer.map_err(|failure| anyhow::anyhow!("{}; is the server running?", failure.message))?;
        let told: Value = serde_json::from_slice(&answer.body)
            .with_context(|| format!("{} answered {} and no JSON", self.base, answer.status))?;
        if !(200..300).contains(&answer.status) {
            let text = |name: &str| told["error"][name].as_str().unwrap_or_default();
            bail!("{}; {}", text("message"), text("hint"));
        }
        Ok(told)
    }

    /// The number of a service's present explanation, and what is said of it.
    async fn of_service(&self, service: &str) -> anyhow::Result<(u64, Option<String>)> {
        let verdicts = self.get("verdict").await?;
        let named = |verdict: &&Value| verdict["service"] == service;
        let Some(verdict) = list(&verdicts).find(named) else {
            let known: Vec<&str> = list(&verdicts).map(|verdict| text(&verdict["service"])).collect();
            bail!("there is no service {service}; known are: {}", known.join(", "));
        };
        let cause = &verdict["cause"];
        let sentence = text(&cause["sentence"]).to_owned();
        match cause["explanation"].as_u64() {
            Some(number) => Ok((number, Some(sentence))),
            None => bail!("there is nothing to explain: {sentence}"),
        }
    }
}

impl Explain {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        let asking = Asking::of(&self.server)?;
        let (number, sentence) = match self.which.parse::<u64>() {
            Ok(number) => (number, None),
            Err(_) => asking.of_service(&self.which).await?,
        };
        let told = asking.get(&format!("explanations/{number}?again=true")).await?;
        if self.json {
            say!("{}", serde_json::to_string_pretty(&told)?);
        } else {
            print(&told, sentence.as_deref());
        }
        let again = &told["again"];
        let differs = again["same_plugin"] == true && again["same_answer"] == false;
        Ok(if differs || !again["failure"].is_null() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn digest(value: &Value) -> String {
    text(value).chars().take(DIGEST_DIGITS).collect()
}

fn figure(value: &Value) -> String {
    value.as_f64().map_or_else(|| "nothing".to_owned(), |value| format!("{value:.4}"))
}

fn print(told: &Value, sentence: Option<&str>) {
    let plugin = &told["plugin"];
    say!("explanation {} of {}, asked {}", told["id"], text(&told["service"]), text(&told["asked_at"]));
    if let Some(sentence) = sentence {
        say!("\nWhat is said\n  {sentence}");
    }
    say!("\nWhy it was asked (onset {})", text(&told["onset"]));
    for trigger in list(&told["triggers"]) {
        say!("  {} {} since {}", text(&trigger["kind"]), text(&trigger["which"]), text(&trigger["since"]));
    }
    let case = &told["case"];
    say!(
        "\nWhat was asked\n  {} suspects, {} dependencies, {} signals, {} values",
        case["suspects"],
        case["dependencies"],
        case["signals"],
        case["values"]
    );
    for known in list(&told["known"]) {
        say!("  {} {} {}: {}", text(&known["at"]), text(&known["what"]), text(&known["entity"]), text(&known["text"]));
    }
    say!("\nWho answered\n  {} {} ({})", text(&plugin["name"]), text(&plugin["version"]), digest(&plugin["digest"]));
    say!("\nThe answer");
    if let Some(failure) = told["failure"].as_str() {
        say!("  none: {failure}");
    }
    for candidate in list(&told["candidates"]) {
        print_candidate(candidate, told);
    }
    say!(
        "  confidence {:.2}: {}",
        told["confidence"].as_f64().unwrap_or(0.0),
        match told["confident"] == true {
            true => "it stands by the first",
            false => text(&told["doubt"]),
        }
    );
    list(&told["caveats"]).for_each(|caveat| say!("  {}", text(caveat)));
    let again = &told["again"];
    say!("\nAsked again");
    match (again["failure"].as_str(), again["same_plugin"] == true, again["same_answer"] == true) {
        (Some(failure), ..) => say!("  it failed: {failure}"),
        (None, true, true) => say!("  the same plugin gives the same answer, to the last digit"),
        (None, true, false) => say!("  the same plugin gives ANOTHER answer; that is a fault of it"),
        (None, false, same) => say!(
            "  another build of the plugin ({}) gives {} answer",
            digest(&again["plugin_digest"]),
            if same { "the same" } else { "another" }
        ),
    }
}

fn print_candidate(candidate: &Value, told: &Value) {
    let path: Vec<&str> = list(&candidate["path"]).map(text).collect();
    say!(
        "  {:.2} {} ({})",
        candidate["score"].as_f64().unwrap_or(0.0),
        text(&candidate["name"]),
        text(&candidate["kind"])
    );
    say!("       {}", text(&candidate["sentence"]));
    if path.len() > 1 {
        say!("       path {}", path.join(" → "));
    }
    let of = |signal: &&Value| signal["entity"] == candidate["entity"];
    for signal in list(&told["signals"]).filter(of).take(SHOWN_SIGNALS) {
        say!(
            "       {} went {} by {:.1} spreads: {} before, {} after",
            text(&signal["name"]),
            text(&signal["direction"]),
            signal["score"].as_f64().unwrap_or(0.0),
            figure(&signal["before"]),
            figure(&signal["after"])
        );
        for origin in list(&signal["origins"]) {
            let (job, instance) = (text(&origin["job"]), text(&origin["instance"]));
            say!(
                "         from series {} {} of {job} {instance}, understood by {} ({})",
                origin["series"],
                text(&origin["metric"]),
                text(&origin["mapper"]),
                digest(&origin["mapper_digest"])
            );
        }
    }
}
