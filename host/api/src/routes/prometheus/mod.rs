//! Queries as Prometheus' own HTTP API takes and answers them, so that Grafana and promtool work unchanged.

pub(super) mod admin;
mod answer;
pub(super) mod exemplars;
pub(super) mod metadata;
mod parameters;
pub(super) mod query;
pub(super) mod rules;
pub(super) mod series;
pub(super) mod status;
pub(super) mod targets;
mod working;
