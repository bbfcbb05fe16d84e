//! The overview as HTML. Every value goes through `maud`, which escapes it.

use super::reading::{KindOfEntity, LatestValue, Overview};
use crate::{routes::state_word, time};
use maud::{DOCTYPE, Markup, html};
use tandem_domain::{
    Severity, Timestamp,
    incident::Incident,
    plugin::{PluginState, PluginStatus},
    target::TargetStatus,
    verdict::{Health, Verdict},
};

/// Seconds after which the page loads itself again.
const REFRESH_SECONDS: u32 = 10;

/// The whole page.
pub(super) fn render(page: &Overview) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta http-equiv="refresh" content=(REFRESH_SECONDS);
                title { "Tandem" }
                link rel="stylesheet" href="/console.css";
            }
            body {
                header {
                    h1 { "Tandem" }
                    p { "Is the model working? Is the infrastructure behind it healthy?" }
                    p.quiet { "as of " (time::write(page.at)) " · " (page.series_count) " series · "
                        a href="/api/v1/openapi.json" { "API" } " · " a href="/metrics" { "metrics" } }
                }
                main {
                    (services(&page.verdicts))
                    (incidents(&page.incidents, page.at))
                    @for kind in &page.kinds { (entities(kind)) }
                    (targets(&page.targets))
                    (plugins(&page.plugins))
                }
            }
        }
    }
}

fn health_class(health: Health) -> &'static str {
    match health {
        Health::Ok => "ok",
        Health::Degraded => "bad",
        Health::Unknown => "unknown",
    }
}

fn health_word(health: Health) -> &'static str {
    match health {
        Health::Ok => "ok",
        Health::Degraded => "degraded",
        Health::Unknown => "unknown",
    }
}

fn services(verdicts: &[Verdict]) -> Markup {
    html! {
        section {
            h2 { "Services" }
            @if verdicts.is_empty() {
                p.quiet { "No model service is known yet. Scrape a model server, or send predictions to " code { "/api/v1/predictions" } "." }
            } @else {
                table {
                    thead { tr { th { "service" } th { "model" } th { "infrastructure" } th { "how they hang together" } } }
                    tbody { @for verdict in verdicts { tr {
                        td { (verdict.service) }
                        td { span class=(health_class(verdict.model.state)) { (health_word(verdict.model.state)) } }
                        td { span class=(health_class(verdict.infrastructure.state)) { (health_word(verdict.infrastructure.state)) } }
                        td { (verdict.sentence)
                            @for line in &verdict.model.evidence { p.quiet { (line) } } }
                    } } }
                }
            }
        }
    }
}

fn severity_class(severity: Severity) -> &'static str {
    match severity {
        Severity::Info => "unknown",
        Severity::Warning => "warn",
        Severity::Critical => "bad",
    }
}

fn incidents(incidents: &[Incident], now: Timestamp) -> Markup {
    html! {
        section {
            h2 { "Open incidents" }
            @if incidents.is_empty() { p.quiet { "None." } }
            @for incident in incidents {
                article {
                    h3 { span class=(severity_class(incident.severity)) { "#" (incident.id) } " " (incident.title) }
                    p.quiet { (format!("{:?}", incident.status).to_lowercase()) " for " (ago(now, incident.opened_at)) " · "
                        (incident.alerts.len()) " alerts · " (incident.findings.len()) " findings" }
                    @if let Some(cause) = incident.causes.first() {
                        p { "Most likely cause: " strong { (cause.entity) } " — " (cause.sentence) }
                    }
                    ul { @for entry in incident.timeline.iter().rev().take(5) {
                        li { (time::write(entry.at)) " " (entry.text) span.quiet { " (" (entry.actor) ")" } }
                    } }
                }
            }
        }
    }
}

fn entities(kind: &KindOfEntity) -> Markup {
    html! {
        section {
            h2 { (kind.kind) " " span.quiet { (kind.count) } }
            table {
                thead { tr { th { "name" } @for name in &kind.columns { th title=(name) { (short(&kind.kind, name)) } } } }
                tbody { @for (entity, values) in &kind.shown { tr {
                    td title=(entity.id) { (entity.name) }
                    @for value in values { td { @match value { Some(value) => (show(value)), None => span.quiet { "–" } } } }
                } } }
            }
            @if kind.shown.len() < kind.count {
                p.quiet { "and " (kind.count - kind.shown.len()) " more in " code { "/api/v1/entities?kind=" (kind.kind) } }
            }
        }
    }
}

/// A canonical name without the kind of thing that it speaks of anyway.
fn short<'a>(kind: &str, name: &'a str) -> &'a str {
    name.strip_prefix(kind).and_then(|rest| rest.strip_prefix('.')).unwrap_or(name)
}

/// Whether a number without a unit is a share of a whole; a load or a count is none.
fn is_share(name: &str) -> bool {
    const SHARES: [&str; 6] = [".utilization", ".usage", ".charge", ".efficiency", ".duty", "ups.load"];
    SHARES.iter().any(|share| name.ends_with(share))
}

/// A value with its unit, in a size people read.
fn show(value: &LatestValue) -> String {
    let (number, unit) = (value.value, value.unit.as_str());
    match unit {
        "share" => format!("{:.1} %", number * 100.0),
        "1" if is_share(&value.name) => format!("{:.1} %", number * 100.0),
        "1" => {
            if number.fract() == 0.0 {
                format!("{number:.0}")
            } else {
                format!("{number:.2}")
            }
        }
        "By" | "By/s" => {
            let steps = ["", "Ki", "Mi", "Gi", "Ti", "Pi"];
            let step = ((number.abs().max(1.0).log2() / 10.0) as usize).min(steps.len() - 1);
            format!("{:.1} {}{}", number / 1024f64.powi(step as i32), steps[step], unit.replacen("By", "B", 1))
        }
        "Cel" => format!("{number:.1} °C"),
        _ => {
            let unit = unit.replace(['{', '}'], "");
            let digits = if number.fract() == 0.0 { 0 } else { 2 };
            format!("{number:.digits$} {unit}").trim_end().to_owned()
        }
    }
}

fn targets(targets: &[TargetStatus]) -> Markup {
    html! {
        section {
            h2 { "Targets" }
            table {
                thead { tr { th { "job" } th { "instance" } th { "state" } th { "samples" } th { "took" } } }
                tbody { @for target in targets { tr {
                    td { (target.info.key.job) }
                    td { (target.info.key.instance) }
                    td { @match (&target.failure, target.last_attempt_at) {
                        (_, None) => span.unknown { "not tried yet" },
                        (None, Some(_)) => { span.ok { "up" }
                            @if let Some(rejection) = &target.rejection { " " span.quiet { (rejection) } } },
                        (Some(failure), _) => { span.bad { "down" } " " (failure.message) },
                    } }
                    td { (target.last_samples) }
                    td { (target.last_duration_millis) " ms" }
                } } }
            }
        }
    }
}

fn plugins(plugins: &[PluginStatus]) -> Markup {
    html! {
        section {
            h2 { "Plugins" }
            table {
                thead { tr { th { "plugin" } th { "state" } th { "calls" } th { "busy" } th { "memory" } th { "may reach" } } }
                tbody { @for plugin in plugins { tr {
                    td title=(plugin.digest) { (plugin.name)
                        @if let Some(description) = &plugin.description { " " span.quiet { (description.version) }
                            p.quiet { (description.summary) } } }
                    td { span class=(if plugin.state == PluginState::Live { "ok" } else { "bad" }) { (state_word(&plugin.state)) }
                        @if let Some(error) = &plugin.last_error { p.quiet { (error.message) } } }
                    td { (plugin.usage.calls)
                        @if plugin.usage.failures + plugin.usage.traps + plugin.usage.timeouts > 0 {
                            p.quiet { (plugin.usage.failures) " failed, " (plugin.usage.traps) " trapped, " (plugin.usage.timeouts) " timed out" } } }
                    td { (format!("{:.1} ms", plugin.usage.busy_nanos as f64 / 1e6)) }
                    td { (plugin.usage.memory_bytes >> 10) " KiB" }
                    td { @if plugin.granted.is_empty() { span.quiet { "nothing outside its sandbox" } }
                        @else { details { summary { (plugin.granted.len()) " grants" }
                            ul { @for grant in &plugin.granted { li { code { (grant.name) " " (grant.value) } " " (grant.reason) } } } } } }
                } } }
            }
        }
    }
}

/// How long ago, roughly.
fn ago(now: Timestamp, then: Timestamp) -> String {
    let seconds = now.millis_since(then).max(0) / 1000;
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds / 60),
        7200..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} days", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(value: f64, unit: &str) -> String {
        show(&LatestValue { name: "gpu.utilization".into(), unit: unit.into(), value })
    }

    #[test]
    fn values_are_shown_in_a_size_people_read() {
        assert_eq!(shown(0.256, "1"), "25.6 %");
        assert_eq!(shown(3.0 * 1024.0 * 1024.0, "By"), "3.0 MiB");
        assert_eq!(shown(0.0, "By/s"), "0.0 B/s");
        assert_eq!(shown(41.0, "Cel"), "41.0 °C");
        assert_eq!(shown(7.0, "{request}"), "7 request");
        assert_eq!(shown(7.5, "{request}/s"), "7.50 request/s");
        let load = LatestValue { name: "host.load.1m".into(), unit: "1".into(), value: 1.5 };
        assert_eq!(show(&load), "1.50");
        assert_eq!(short("host", "host.load.1m"), "load.1m");
        assert_eq!(short("service", "model.queue.depth"), "model.queue.depth");
    }
}
