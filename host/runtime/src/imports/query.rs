//! The records a correlator may ask for, in short bounded reads; the room answers, this file only bounds and numbers.

use super::HostState;
use crate::{
    bindings::{
        wit,
        wit_query::{Edge, EntityInfo, Host, SeriesInfo},
    },
    convert::{failure_out, labels_out, points_out, relation_kind_out},
};
use std::sync::Arc;
use tandem_domain::{Timestamp, entity::EntityId, ports::Query, relation::RelationKind};

/// Steps from an entity that are followed.
const MAX_DEPTH: u32 = 8;
/// Relations in one answer.
const MAX_EDGES: usize = 10_000;
/// Points in one answer; the room thins more.
const MAX_POINTS: usize = 10_000;
/// Series named in one call.
const MAX_NAMED_SERIES: usize = 10_000;

fn refused(message: String) -> wit::Failure {
    wit::Failure { code: wit::FailureCode::Refused, message, retry: false }
}

impl HostState {
    fn records(&self) -> Result<Arc<dyn Query>, wit::Failure> {
        self.query.clone().ok_or_else(|| refused("records can be asked for only during `update`".into()))
    }
}

impl Host for HostState {
    fn entity(&mut self, id: String) -> Result<EntityInfo, wit::Failure> {
        let entity = self.records()?.entity(&EntityId(id)).map_err(|failure| failure_out(&failure))?;
        Ok(EntityInfo {
            id: entity.id.0,
            kind: entity.kind,
            name: entity.name,
            attributes: labels_out(&entity.attributes),
        })
    }

    fn neighbours(&mut self, id: String, depth: u32) -> Result<Vec<Edge>, wit::Failure> {
        if depth > MAX_DEPTH {
            return Err(refused(format!(
                "a depth of {depth} was asked for, and at most {MAX_DEPTH} steps are followed"
            )));
        }
        let edges = self.records()?.neighbours(&EntityId(id), depth).map_err(|failure| failure_out(&failure))?;
        if edges.len() > MAX_EDGES {
            return Err(refused(format!(
                "there are {} relations within {depth} steps, more than {MAX_EDGES}; ask for fewer steps",
                edges.len()
            )));
        }
        let edge = |(dependent, dependency, relation): (EntityId, EntityId, RelationKind)| Edge {
            dependent: dependent.0,
            dependency: dependency.0,
            kind: relation_kind_out(relation),
        };
        Ok(edges.into_iter().map(edge).collect())
    }

    fn series_of(&mut self, id: String) -> Result<Vec<SeriesInfo>, wit::Failure> {
        let meanings = self.records()?.series_of(&EntityId(id)).map_err(|failure| failure_out(&failure))?;
        if self.named_series.len() + meanings.len() > MAX_NAMED_SERIES {
            return Err(refused(format!("more than {MAX_NAMED_SERIES} series were asked for in one call")));
        }
        let mut infos = Vec::with_capacity(meanings.len());
        for meaning in meanings {
            infos.push(SeriesInfo {
                series: self.named_series.len() as u32,
                dimensions: labels_out(&meaning.body.dimensions),
                name: meaning.body.name,
                unit: meaning.body.unit,
            });
            self.named_series.push(meaning.series);
        }
        Ok(infos)
    }

    fn read(&mut self, series: u32, start: i64, end: i64) -> Result<wit::Points, wit::Failure> {
        let Some(id) = self.named_series.get(series as usize).copied() else {
            return Err(refused(format!("series {series} was not named by `series-of` during this call")));
        };
        let points = self
            .records()?
            .read(id, Timestamp(start), Timestamp(end), MAX_POINTS)
            .map_err(|failure| failure_out(&failure))?;
        Ok(points_out(series, points))
    }
}
