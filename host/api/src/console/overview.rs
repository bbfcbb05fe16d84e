//! The overview as HTML: a sentence per service with its two answers, open incidents, what cannot be seen, and what is there.
//! Every value goes through `maud`, which escapes it.

use super::{
    figures, grounds,
    page::{frame, health_class, lasting, sentence, severity_class, since, status_words},
    reading::{KindOfEntity, LatestValue, Overview},
};
use crate::routes::state_word;
use maud::{Markup, html};
use tandem_domain::{
    Timestamp,
    entity::EntityId,
    incident::Incident,
    plugin::{PluginState, PluginStatus},
    target::TargetStatus,
    verdict::{CauseKind, Health, Verdict},
};
use tandem_verdict::Gap;

/// Lines of evidence shown of one answer.
const MAX_EVIDENCE: usize = 4;
/// Entities of a kind that are shown unasked.
const MAX_SHORT: usize = 3;

/// The whole page.
pub(super) fn render(page: &Overview) -> Markup {
    frame(
        "Overview",
        page.at,
        &html! {
            (headline(page))
            (services(page))
            (incidents(page))
            (unseen(&page.unseen))
            (things(page))
        },
    )
}

/// How bad a service is off, worst first.
fn need(verdict: &Verdict) -> u8 {
    let degraded = [verdict.model.state, verdict.infrastructure.state].contains(&Health::Degraded);
    match (degraded, verdict.cause) {
        (true, _) => 0,
        (false, CauseKind::None) if verdict.model.state == Health::Ok => 3,
        (false, CauseKind::None) => 2,
        (false, _) => 1,
    }
}

fn need_class(verdict: &Verdict) -> &'static str {
    match need(verdict) {
        0 => "bad",
        1 => "warn",
        2 => "unknown",
        _ => "ok",
    }
}

fn headline(page: &Overview) -> Markup {
    let troubled = page.verdicts.iter().filter(|verdict| need(verdict) <= 1).count();
    let (class, text) = match (page.verdicts.len(), troubled, page.incidents.len()) {
        (0, _, 0) => ("unknown", "No model service is known yet.".to_owned()),
        (0, _, open) => (
            "warn",
            format!("No model service is known yet, and {}.", counted(open, "incident is", "incidents are") + " open"),
        ),
        (all, 0, 0) => ("ok", format!("Nothing is known to be wrong with {}.", counted(all, "service", "services"))),
        (all, 0, open) => (
            "warn",
            format!(
                "Nothing is known to be wrong with {}, and {} open.",
                counted(all, "service", "services"),
                counted(open, "incident is", "incidents are")
            ),
        ),
        (all, troubled, _) => (
            "bad",
            format!(
                "{troubled} of {} {} you.",
                counted(all, "service", "services"),
                if troubled == 1 { "needs" } else { "need" }
            ),
        ),
    };
    html! { section.headline.(class) { h1 { (text) } p.quiet { "Is the model working? Is the infrastructure behind it healthy? How do the answers hang together?" } } }
}

fn counted(count: usize, one: &str, several: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { several })
}

fn services(page: &Overview) -> Markup {
    let mut verdicts: Vec<&Verdict> = page.verdicts.iter().collect();
    verdicts.sort_by_key(|verdict| need(verdict));
    html! {
        section {
            h2 { "Services" }
            @if verdicts.is_empty() {
                p.quiet { "Scrape a model server, or post predictions to " code { "/api/v1/predictions" } "." }
            }
            @for verdict in verdicts { (service(verdict, page.at)) }
        }
    }
}

fn service(verdict: &Verdict, now: Timestamp) -> Markup {
    let model = match verdict.model.state {
        Health::Ok => "the model works as expected",
        Health::Degraded => "the model does not work as expected",
        Health::Unknown => "whether the model works is not known",
    };
    let infrastructure = match verdict.infrastructure.state {
        Health::Ok => "the infrastructure is healthy",
        Health::Degraded => "the infrastructure is not healthy",
        Health::Unknown => "whether the infrastructure is healthy is not known",
    };
    html! {
        article.service.(need_class(verdict)) {
            h3 { (verdict.service)
                @if let Some(story) = &verdict.demonstration { " " span.pill.unknown { "demonstration: " (story) } } }
            p.big { (sentence(&verdict.sentence)) }
            div.answers {
                (answer(verdict.model.state, model, verdict.model.since, now))
                (answer(verdict.infrastructure.state, infrastructure, verdict.infrastructure.since, now))
                @if let Some(lies) = lies(verdict) { span.answer { "the cause lies " (lies)
                    @if let Some(entity) = &verdict.cause_entity { ": " (called(verdict, entity)) } } }
            }
            @if !verdict.infrastructure.incidents.is_empty() {
                p { "Look at " @for id in &verdict.infrastructure.incidents { a href={ "/incidents/" (id) } { "incident #" (id) } " " } }
            }
            @if verdict.cause != CauseKind::None { (grounds::told(&verdict.grounds)) }
            @for line in verdict.model.evidence.iter().take(MAX_EVIDENCE) { p.quiet { (sentence(line)) } }
        }
    }
}

fn answer(state: Health, words: &str, then: Option<Timestamp>, now: Timestamp) -> Markup {
    html! { span.answer { span.dot.(health_class(state)) {} (words)
    @if let (Some(then), true) = (then, state != Health::Unknown) { span.quiet { " " (since(then, now)) } } } }
}

/// What people call the entity, where a candidate tells.
fn called(verdict: &Verdict, entity: &EntityId) -> Markup {
    let known = verdict.grounds.candidates.iter().find(|candidate| candidate.entity == *entity);
    html! { @if let Some(known) = known { (known.name) } @else { code { (entity) } } }
}

/// Where the cause lies, when something is wrong.
fn lies(verdict: &Verdict) -> Option<&'static str> {
    match verdict.cause {
        CauseKind::Model => Some("in the model"),
        CauseKind::Data => Some("in the data that it is given"),
        CauseKind::Infrastructure => Some("in the infrastructure"),
        CauseKind::Both => Some("in both"),
        CauseKind::None => None,
        CauseKind::Unknown => Some("nobody knows where"),
    }
}

fn incidents(page: &Overview) -> Markup {
    html! {
        section {
            h2 { "Open incidents" }
            @if page.incidents.is_empty() { p.quiet { "None." } }
            @for incident in &page.incidents { (open_incident(incident, page)) }
            @if !page.over.is_empty() {
                p.quiet { "Over: " @for incident in &page.over {
                    a href={ "/incidents/" (incident.id) } { "#" (incident.id) " " (incident.title) }
                    @if let Some(at) = incident.resolved_at { " (" (lasting(at, page.at)) " ago)" } " · "
                } }
            }
        }
    }
}

fn open_incident(incident: &Incident, page: &Overview) -> Markup {
    html! {
        article.incident.(severity_class(incident.severity)) {
            h3 { a href={ "/incidents/" (incident.id) } { "#" (incident.id) " " (incident.title) } }
            p { "Open " (since(incident.opened_at, page.at)) "; " (status_words(incident.status)) "." }
            @if let Some(cause) = incident.causes.first() {
                @let name = page.names.get(&cause.entity).map_or(cause.entity.0.as_str(), String::as_str);
                p { "Most likely cause: " strong { (name) } ". " (sentence(&cause.sentence)) }
            }
            p.quiet { (counted(incident.alerts.len(), "alert", "alerts")) ", " (counted(incident.findings.len(), "finding", "findings")) }
        }
    }
}

fn unseen(gaps: &[Gap]) -> Markup {
    html! {
        section {
            h2 { "What Tandem cannot see" }
            @if gaps.is_empty() { p.quiet { "Nothing that it knows to be missing." } }
            @else { ul.gaps { @for gap in gaps { li {
                strong { (sentence(&gap.sentence())) }
                p.quiet { (gap.examples.join(", "))
                    @if gap.count > gap.examples.len() { " and " (gap.count - gap.examples.len()) " more" } }
                p { (gap.kind.remedy()) }
            } } } }
        }
    }
}

/// What is there: in short, or all of it where it was asked for.
fn things(page: &Overview) -> Markup {
    let failing: Vec<&TargetStatus> = page.targets.iter().filter(|target| target.failure.is_some()).collect();
    let ailing: Vec<&PluginStatus> = page.plugins.iter().filter(|plugin| plugin.state != PluginState::Live).collect();
    html! {
        section {
            h2 { "What is there" }
            p { @for kind in &page.kinds { span.count { (kind.count) " × " (kind.kind) } " " }
                span.count { (page.series_count) " series" } " "
                span.count { (page.targets.len()) " targets" @if !failing.is_empty() { ", " (failing.len()) " of them fail" } } " "
                span.count { (page.plugins.len()) " plugins" @if !ailing.is_empty() { ", " (ailing.len()) " of them not live" } } }
            @if page.everything { p { a href="/" { "Show less" } } } @else { p { a href="/?show=all" { "Show all of it" } } }
            @if page.everything {
                @for kind in &page.kinds { (entities(kind)) }
                (targets(&page.targets.iter().collect::<Vec<_>>()))
                (plugins(&page.plugins.iter().collect::<Vec<_>>()))
            } @else {
                @for kind in page.kinds.iter().filter(|kind| is_short(kind)) { (entities(kind)) }
                @if !failing.is_empty() { (targets(&failing)) }
                @if !ailing.is_empty() { (plugins(&ailing)) }
            }
        }
    }
}

/// Hosts and their filesystems, where they are so few that they need no page of their own.
fn is_short(kind: &KindOfEntity) -> bool {
    ["host", "filesystem"].contains(&kind.kind.as_str()) && kind.count <= MAX_SHORT
}

fn entities(kind: &KindOfEntity) -> Markup {
    html! {
        h3 { (kind.kind) " " span.quiet { (kind.count) } }
        div.wide { table {
            thead { tr { th { "name" } @for name in &kind.columns { th title=(name) { (short(&kind.kind, name)) } } } }
            tbody { @for (entity, values) in &kind.shown { tr {
                td title=(entity.id) { (entity.name) }
                @for value in values { td { @match value { Some(value) => (show(value)), None => span.quiet { "–" } } } }
            } } }
        } }
        @if kind.shown.len() < kind.count {
            p.quiet { "and " (kind.count - kind.shown.len()) " more in " code { "/api/v1/entities?kind=" (kind.kind) } }
        }
    }
}

fn show(value: &LatestValue) -> String {
    figures::show(&value.name, &value.unit, value.value)
}

/// A canonical name without the kind of thing that it speaks of anyway.
fn short<'a>(kind: &str, name: &'a str) -> &'a str {
    name.strip_prefix(kind).and_then(|rest| rest.strip_prefix('.')).unwrap_or(name)
}

fn targets(targets: &[&TargetStatus]) -> Markup {
    html! {
        h3 { "Targets" }
        div.wide { table {
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
        } }
    }
}

fn plugins(plugins: &[&PluginStatus]) -> Markup {
    html! {
        h3 { "Plugins" }
        div.wide { table {
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
        } }
    }
}
