//! The page of one incident as HTML: what it is in a sentence, who feels it, what to do, the way from the service to the cause,
//! the signals that speak for it, its story, and the evidence.

use super::{
    chart, grounds,
    incident_reading::{IncidentPage, Step},
    page::{
        clock, frame, health_class, health_word, lasting, moment, sentence, severity_class, severity_words, since,
        status_words,
    },
};
use maud::{Markup, html};
use std::collections::BTreeSet;
use tandem_domain::{Timestamp, alert::AlertState, verdict::CauseKind};

/// Pieces of advice that are shown.
const MAX_ADVICE: usize = 3;
/// Lines of the story that are shown; the API has them all.
const MAX_STORY: usize = 100;
/// Rows of a table of evidence.
const MAX_ROWS: usize = 40;

/// The whole page.
pub(super) fn render(page: &IncidentPage) -> Markup {
    let incident = &page.incident;
    frame(
        &format!("#{} {}", incident.id, incident.title),
        page.at,
        &html! {
            (headline(page))
            (advice(page))
            (paths(page))
            (charts(page))
            (story(page))
            (alerts(page))
            (findings(page))
        },
    )
}

fn headline(page: &IncidentPage) -> Markup {
    let incident = &page.incident;
    let active = incident.status.is_active();
    let end = incident.resolved_at.unwrap_or(page.at);
    html! {
        section.headline.(if active { severity_class(incident.severity) } else { "ok" }) {
            p.over { "Incident #" (incident.id) " · " (severity_words(incident.severity)) " · " (status_words(incident.status)) }
            h1 { (incident.title) }
            p.big {
                @match (&page.cause, incident.causes.first()) {
                    (Some(name), Some(cause)) => { "Most likely cause: " strong { (name) } ". " (sentence(&cause.sentence)) }
                    (Some(name), None) => { "No cause was ranked; it was first seen on " strong { (name) } "." }
                    (None, _) => { "What caused it is not known." }
                }
            }
            p { @if active { "Open " (since(incident.opened_at, page.at)) "." }
                @else { "It lasted " (lasting(incident.opened_at, end)) ", from " (moment(incident.opened_at)) " to " (clock(end, incident.opened_at)) "." }
                @if let Some(into) = incident.merged_into { " It has gone up into " a href={ "/incidents/" (into) } { "#" (into) } "." } }
            @if page.verdicts.is_empty() { p { "No known service feels it." } }
            @else { ul.plain { @for verdict in &page.verdicts { li {
                @if !verdict.sentence.starts_with(&verdict.service) { strong { (verdict.service) } " " }
                (sentence(&verdict.sentence))
                @if let Some(story) = &verdict.demonstration { " " span.pill.unknown { "demonstration: " (story) } }
                " " span.pill.(health_class(verdict.model.state)) { "model " (health_word(verdict.model.state)) } " "
                span.pill.(health_class(verdict.infrastructure.state)) { "infrastructure " (health_word(verdict.infrastructure.state)) }
                @if active && verdict.cause != CauseKind::None { (grounds::told(&verdict.grounds)) }
            } } } }
            @if active { div.actions {
                @if incident.status != tandem_domain::incident::IncidentStatus::Acknowledged {
                    form method="post" action={ "/incidents/" (incident.id) "/acknowledge" } { button { "I take it" } } }
                form method="post" action={ "/incidents/" (incident.id) "/resolve" } { button { "It is over" } }
            } }
        }
    }
}

/// What to do, by the alerts; those of the cause first.
fn advice(page: &IncidentPage) -> Markup {
    let cause = page.incident.causes.first().map(|cause| &cause.entity);
    let mut alerts: Vec<_> = page.alerts.iter().filter(|alert| !alert.advice.is_empty()).collect();
    alerts.sort_by_key(|alert| (Some(&alert.entity) != cause, std::cmp::Reverse(alert.severity), alert.started_at));
    let mut seen = BTreeSet::new();
    alerts.retain(|alert| seen.insert(alert.advice.as_str()));
    html! {
        @if !alerts.is_empty() {
            section { h2 { "What to do" }
                ul { @for alert in alerts.iter().take(MAX_ADVICE) {
                    li { (alert.advice) " " span.quiet { "for " (page.name(&alert.entity)) ": " (alert.title) } }
                } } }
        }
    }
}

fn paths(page: &IncidentPage) -> Markup {
    let step = |step: &Step| {
        let class = match (step.is_cause, step.fires) {
            (true, _) => "step cause",
            (false, true) => "step fires",
            _ => "step",
        };
        html! {
            @if !step.how.is_empty() { span.how { (step.how) " →" } }
            span class=(class) title=(step.id) { span.kind { (step.id.kind()) } (step.name)
                @if step.is_cause { span.note { "likely cause" } } @else if step.fires { span.note { "alerts" } } }
        }
    };
    html! {
        @if !page.paths.is_empty() {
            section { h2 { "From the service to the cause" }
                @for path in &page.paths { div.path { @for one in path { (step(one)) } } } }
        }
    }
}

fn charts(page: &IncidentPage) -> Markup {
    html! {
        @if !page.charts.is_empty() {
            section { h2 { "What speaks for it" }
                div.charts { @for shown in &page.charts {
                    @if let Some(drawn) = chart::draw(&shown.chart) { figure {
                        figcaption { strong { (page.name(&shown.entity)) } " " (shown.chart.name) (shown.chart.of)
                            span.quiet { " " (shown.why) } }
                        (drawn)
                    } }
                } }
                p.quiet { "The shaded band is what was expected; dashed lines mark moments." } }
        }
    }
}

/// The incident's own story with the deployments beside it, oldest first.
fn story(page: &IncidentPage) -> Markup {
    let mut lines: Vec<(Timestamp, String, &str)> =
        page.incident.timeline.iter().map(|entry| (entry.at, entry.text.clone(), entry.actor.as_str())).collect();
    lines.extend(page.changes.iter().map(|deployment| {
        let revision = &deployment.revision;
        let text = format!("{} was given {} version {}", revision.service, revision.model, revision.version);
        (deployment.requested_at, text, "deployment")
    }));
    lines.sort_by_key(|(at, ..)| *at);
    let left_out = lines.len().saturating_sub(MAX_STORY);
    html! {
        section { h2 { "What happened" }
            ol.story { @for (at, text, actor) in lines.iter().skip(left_out) {
                li { time { (clock(*at, page.incident.opened_at)) } span { (sentence(text)) " " span.quiet { (actor) } } }
            } }
            @if left_out > 0 { p.quiet { (left_out) " earlier lines are in " code { "/api/v1/incidents/" (page.incident.id) } } }
        }
    }
}

fn alerts(page: &IncidentPage) -> Markup {
    html! {
        section { h2 { "Alerts " span.quiet { (page.incident.alerts.len()) } }
            div.wide { table {
                thead { tr { th { "what" } th { "where" } th { "since" } th { "state" } } }
                tbody { @for alert in page.alerts.iter().take(MAX_ROWS) { tr {
                    td { span.dot.(severity_class(alert.severity)) {} (alert.title) p.quiet { (alert.code) } }
                    td title=(alert.entity) { (page.name(&alert.entity)) }
                    td { (clock(alert.started_at, page.at)) }
                    td { @match (alert.state, alert.ended_at) {
                        (AlertState::Firing, _) => span.bad { "firing" },
                        (AlertState::Resolved, Some(ended)) => { span.ok { "over" } " after " (lasting(alert.started_at, ended)) },
                        (AlertState::Resolved, None) => span.ok { "over" },
                    } }
                } } }
            } }
        }
    }
}

fn findings(page: &IncidentPage) -> Markup {
    html! {
        @if !page.findings.is_empty() {
            section { h2 { "Findings " span.quiet { (page.incident.findings.len()) ", the oddest first; evidence, and never an alarm by themselves" } }
                div.wide { table {
                    thead { tr { th { "signal" } th { "where" } th { "since" } th { "score" } } }
                    tbody { @for finding in page.findings.iter().take(MAX_ROWS) { tr {
                        td { (finding.name) }
                        td title=(finding.entity) { (page.name(&finding.entity)) }
                        td { (clock(finding.started_at, page.at)) @if finding.ended_at.is_some() { span.quiet { " over" } } }
                        td { (format!("{:.1}", finding.score)) }
                    } } }
                } }
                @if page.findings.len() > MAX_ROWS { p.quiet { "and more in " code { "/api/v1/incidents/" (page.incident.id) } } }
            }
        }
    }
}
