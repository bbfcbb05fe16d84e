//! Targets and series for mappers, mappings from them.

use super::{Check, labels_out, metric_type_out};
use crate::bindings::{wit, wit_meaning};
use tandem_domain::{
    Failure,
    meaning::{Condition, FaultRule, Mapping, MeaningBody, MeaningDraft, Range},
    series::SeriesDescription,
    target::TargetInfo,
};

/// Fault rules of one series: one per XID is about a hundred.
const MAX_FAULT_RULES: usize = 512;

/// Ranges that mean missing, per series.
const MAX_MISSING_RANGES: usize = 32;

/// For guests.
pub(crate) fn target_out(target: &TargetInfo) -> wit_meaning::Target {
    wit_meaning::Target {
        job: target.key.job.clone(),
        instance: target.key.instance.clone(),
        labels: labels_out(&target.labels),
    }
}

/// For guests.
pub(crate) fn series_out(series: &SeriesDescription) -> wit::Series {
    wit::Series {
        metric: series.metric.clone(),
        metric_type: metric_type_out(series.metric_type),
        unit: series.unit.clone(),
        labels: labels_out(&series.labels),
    }
}

/// For guests.
pub(crate) fn fault_rule_out(rule: &FaultRule) -> wit_meaning::FaultRule {
    let range_out = |range: Range| wit_meaning::Range { low: range.low, high: range.high };
    wit_meaning::FaultRule {
        code: rule.code.clone(),
        condition: match rule.condition {
            Condition::Within(range) => wit_meaning::Condition::Within(range_out(range)),
            Condition::ChangedTo(range) => wit_meaning::Condition::ChangedTo(range_out(range)),
            Condition::Rises { rest_seconds } => wit_meaning::Condition::Rises(rest_seconds),
        },
        severity: super::severity_out(rule.severity),
        title: rule.title.clone(),
        advice: rule.advice.clone(),
        resting: rule.resting,
        rest_seconds: rule.rest_seconds,
    }
}

/// Checks a mapping of `shown` series.
pub(crate) fn mapping(check: Check<'_>, said: wit_meaning::Mapping, shown: usize) -> Result<Mapping, Failure> {
    let topology = check.topology(said.entities, said.relations)?;
    check.count("meanings", said.meanings.len(), shown)?;
    let mut given = vec![false; shown];
    let mut meanings = Vec::with_capacity(said.meanings.len());
    for (i, meaning) in said.meanings.into_iter().enumerate() {
        let series = check.index(format_args!("meanings[{i}].series"), meaning.series, shown)?;
        if std::mem::replace(&mut given[series], true) {
            return Err(check
                .breach(format_args!("meanings[{i}].series"), format_args!("gives series {series} a second meaning")));
        }
        check.index(format_args!("meanings[{i}].entity"), meaning.entity, topology.entities.len())?;
        meanings.push(MeaningDraft { series: meaning.series, entity: meaning.entity, body: body(check, i, meaning)? });
    }
    Ok(Mapping { topology, meanings })
}

fn body(check: Check<'_>, i: usize, meaning: wit_meaning::Meaning) -> Result<MeaningBody, Failure> {
    let scale = check.finite(format_args!("meanings[{i}].scale"), meaning.scale)?;
    if scale == 0.0 {
        return Err(check.breach(format_args!("meanings[{i}].scale"), "is 0, which loses every value"));
    }
    check.count(format_args!("meanings[{i}].missing"), meaning.missing.len(), MAX_MISSING_RANGES)?;
    check.count(format_args!("meanings[{i}].fault-rules"), meaning.fault_rules.len(), MAX_FAULT_RULES)?;
    Ok(MeaningBody {
        name: check.name(format_args!("meanings[{i}].name"), meaning.name)?,
        unit: check.name(format_args!("meanings[{i}].unit"), meaning.unit)?,
        scale,
        offset: check.finite(format_args!("meanings[{i}].offset"), meaning.offset)?,
        missing: meaning
            .missing
            .into_iter()
            .map(|missing| range(check, format_args!("meanings[{i}].missing"), missing))
            .collect::<Result<_, _>>()?,
        dimensions: check.labels(format_args!("meanings[{i}].dimensions"), meaning.dimensions)?,
        fault_rules: meaning
            .fault_rules
            .into_iter()
            .map(|rule| fault_rule(check, i, rule))
            .collect::<Result<_, _>>()?,
    })
}

fn fault_rule(check: Check<'_>, i: usize, rule: wit_meaning::FaultRule) -> Result<FaultRule, Failure> {
    let field = format_args!("meanings[{i}].fault-rules condition").to_string();
    Ok(FaultRule {
        code: check.name(format_args!("meanings[{i}].fault-rules code"), rule.code)?,
        condition: match rule.condition {
            wit_meaning::Condition::Within(within) => Condition::Within(range(check, &field, within)?),
            wit_meaning::Condition::ChangedTo(to) => Condition::ChangedTo(range(check, &field, to)?),
            wit_meaning::Condition::Rises(rest_seconds) => Condition::Rises { rest_seconds },
        },
        severity: super::severity(rule.severity),
        title: check.name(format_args!("meanings[{i}].fault-rules title"), rule.title)?,
        advice: check.text(format_args!("meanings[{i}].fault-rules advice"), rule.advice)?,
        resting: rule
            .resting
            .map(|resting| check.finite(format_args!("meanings[{i}].fault-rules resting"), resting))
            .transpose()?,
        rest_seconds: rule.rest_seconds,
    })
}

fn range(check: Check<'_>, field: impl std::fmt::Display, range: wit_meaning::Range) -> Result<Range, Failure> {
    // NaN fails this comparison too.
    if range.low <= range.high {
        return Ok(Range { low: range.low, high: range.high });
    }
    Err(check.breach(field, format_args!("goes from {} to {}, which is no range", range.low, range.high)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said() -> wit_meaning::Mapping {
        wit_meaning::Mapping {
            entities: vec![wit::Entity {
                kind: "gpu".into(),
                keys: vec![wit::IdentityKey {
                    scheme: "uuid".into(),
                    value: "GPU-1".into(),
                    strength: wit::KeyStrength::Unique,
                }],
                name: "GPU 0".into(),
                attributes: Vec::new(),
            }],
            relations: Vec::new(),
            meanings: vec![wit_meaning::Meaning {
                series: 1,
                entity: 0,
                name: "gpu.temperature".into(),
                unit: "Cel".into(),
                scale: 1.0,
                offset: 0.0,
                missing: vec![wit_meaning::Range { low: 1e18, high: f64::INFINITY }],
                dimensions: Vec::new(),
                fault_rules: Vec::new(),
            }],
        }
    }

    fn refused(change: impl FnOnce(&mut wit_meaning::Mapping)) -> String {
        let mut said = said();
        change(&mut said);
        mapping(Check { plugin: "p", function: "mapper.interpret" }, said, 2).expect_err("must be refused").message
    }

    #[test]
    fn what_keeps_the_contract_passes() {
        let mapping = mapping(Check { plugin: "p", function: "mapper.interpret" }, said(), 2).expect("good");
        assert_eq!(mapping.meanings[0].series, 1);
        assert_eq!(mapping.topology.entities[0].kind, "gpu");
    }

    #[test]
    fn lies_about_indices_ranges_and_numbers_are_refused() {
        assert!(refused(|said| said.meanings[0].series = 2).contains("meanings[0].series is 2"));
        assert!(refused(|said| said.meanings[0].entity = 1).contains("meanings[0].entity is 1"));
        assert!(refused(|said| said.meanings[0].scale = f64::NAN).contains("meanings[0].scale is NaN"));
        assert!(refused(|said| said.meanings[0].scale = 0.0).contains("scale is 0"));
        assert!(refused(|said| said.meanings[0].missing[0].low = f64::NAN).contains("no range"));
        assert!(refused(|said| said.entities[0].keys.clear()).contains("keys is empty"));
        assert!(refused(|said| said.entities[0].kind = "GPU card".into()).contains("lower case"));
        assert!(refused(|said| said.meanings[0].name = String::new()).contains("name is empty"));
        assert!(refused(|said| said.meanings.push(said.meanings[0].clone())).contains("a second meaning"));
        assert!(
            refused(|said| said.relations.push(wit::Relation {
                dependent: 0,
                dependency: 7,
                kind: wit::RelationKind::RunsOn
            }))
            .contains("relations[0].dependency is 7")
        );
    }
}
