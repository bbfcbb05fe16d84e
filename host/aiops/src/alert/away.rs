//! Who only went away: an exporter, a host or a replica that does not answer for a while, as each does that is restarted. Nobody
//! is told of it as long as others answer and it takes no longer than a restart; it is monitored and can be seen all the while.
//! Whatever users feel meanwhile is told by the service's objectives.

use super::{Holding, config::AlertConfig};
use crate::map::{RelationDependent, topology::followed_by};
use std::ops::Bound;
use tandem_domain::{
    Timestamp,
    entity::EntityId,
    meaning::{EntitySeries, Meaning},
    relation::Relation,
};
use tandem_store::{ReadError, ReadTx};

/// How codes of absence end, or read: a link or a power supply that is down is a fault of its own, and none of these.
const AWAY_CODES: [&str; 3] = [".telemetry.down", ".ipmi.down", REPLICA_CODE];
/// A model server that does not answer.
const REPLICA_CODE: &str = "replica.down";
/// What says whether a replica answers.
const REPLICA_UP: &str = "replica.up";
/// An older word of a replica says nothing: it was taken away, and is not awaited.
const FRESH_MILLIS: i64 = 5 * 60_000;
/// Services of one replica, and replicas of one service, that are looked at.
const MAX_RELATIONS: usize = 10_000;
/// Series of one replica that are looked at.
const MAX_SERIES: usize = 5_000;

/// Whether a code says that somebody is away.
pub(super) fn is_away(code: &str) -> bool {
    AWAY_CODES.iter().any(|known| code.ends_with(known))
}

/// The replicas of a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Replicas {
    /// Those that answer.
    pub answering: usize,
    /// Those that were heard of lately, whether they answer or not.
    pub all: usize,
}

impl Replicas {
    /// Whether those that answer can stand in for the others: half of them, as whoever restarts one after another expects.
    fn are_enough(self) -> bool {
        self.answering > 0 && self.answering * 2 >= self.all
    }
}

/// Judges an absence. Of a replica the replicas of each of its services are given; of others none are.
pub(super) fn judge(
    since: Timestamp,
    now: Timestamp,
    services: &[(String, Replicas)],
    config: &AlertConfig,
) -> Holding {
    let until = since.plus_millis(config.away_millis());
    if until <= now || services.iter().any(|(_, replicas)| !replicas.are_enough()) {
        return Holding::Tell;
    }
    let others = services.iter().map(|(service, replicas)| {
        format!("{} of {} replicas of {service} answer, and ", replicas.answering, replicas.all)
    });
    let why = format!(
        "{}a restart may take {} minutes; it is told when it lasts longer",
        others.collect::<String>(),
        config.away_minutes
    );
    Holding::Held(until, why)
}

/// The replicas of each service that an entity answers for; none for what is no replica.
pub(super) fn services_of(
    read: &ReadTx,
    code: &str,
    entity: &EntityId,
    now: Timestamp,
) -> Result<Vec<(String, Replicas)>, ReadError> {
    if !code.ends_with(REPLICA_CODE) {
        return Ok(Vec::new());
    }
    let Some(entity) = followed_by(read, entity)? else { return Ok(Vec::new()) };
    let begin = (entity.id.0.clone(), String::new());
    let end = (format!("{}\0", entity.id.0), String::new());
    let mut services = Vec::new();
    for RelationDependent { dependent, .. } in read.scan::<RelationDependent>(begin..end, MAX_RELATIONS)? {
        let Some(service) = followed_by(read, &dependent)?.filter(|dependent| dependent.kind == "service") else {
            continue;
        };
        let begin = (service.id.0.clone(), String::new());
        let end = (format!("{}\0", service.id.0), String::new());
        let mut replicas = Replicas::default();
        for Relation { dependency, .. } in read.scan::<Relation>(begin..end, MAX_RELATIONS)? {
            let answers = match followed_by(read, &dependency)?.filter(|needed| needed.kind == "replica") {
                Some(replica) => answers(read, &replica.id, now)?,
                None => None,
            };
            replicas.all += usize::from(answers.is_some());
            replicas.answering += usize::from(answers == Some(true));
        }
        services.push((service.name, replicas));
    }
    Ok(services)
}

/// Whether a replica answers; none where nothing was heard of it lately.
fn answers(read: &ReadTx, replica: &EntityId, now: Timestamp) -> Result<Option<bool>, ReadError> {
    let range = (Bound::Included((replica.0.clone(), 0)), Bound::Included((replica.0.clone(), u64::MAX)));
    for EntitySeries { series, .. } in read.scan::<EntitySeries>(range, MAX_SERIES)? {
        if read.get::<Meaning>(&series.0)?.is_some_and(|meaning| meaning.body.name == REPLICA_UP)
            && let Some((at, value)) = read.latest(series)?
            && now.millis_since(at) <= FRESH_MILLIS
            && !value.is_nan()
        {
            return Ok(Some(value > 0.0));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn minutes(count: i64) -> Timestamp {
        Timestamp(count * 60_000)
    }

    fn of(answering: usize, all: usize) -> Vec<(String, Replicas)> {
        vec![("chat".into(), Replicas { answering, all })]
    }

    #[test]
    fn only_absence_is_held() {
        assert!(is_away("replica.down") && is_away("host.telemetry.down") && is_away("chassis.ipmi.down"));
        assert!(!is_away("interface.down") && !is_away("gpu.xid.79") && !is_away("ups.on-battery"));
    }

    #[test]
    fn a_restart_beside_others_is_quiet_and_one_without_or_one_that_lasts_is_not() {
        let config = AlertConfig::default();
        let judged = |now, services: &[(String, Replicas)]| judge(minutes(0), minutes(now), services, &config);
        let Holding::Held(until, why) = judged(1, &of(3, 4)) else { panic!("it is told") };
        assert_eq!(until, minutes(15));
        assert!(why.starts_with("3 of 4 replicas of chat answer"), "{why}");
        assert!(matches!(judged(1, &of(1, 2)), Holding::Held(..)));
        assert!(matches!(judged(1, &[]), Holding::Held(..)), "a host");
        assert_eq!(judged(1, &of(0, 1)), Holding::Tell);
        assert_eq!(judged(1, &of(1, 4)), Holding::Tell, "one cannot stand in for four");
        assert_eq!(judged(15, &of(3, 4)), Holding::Tell);
        assert_eq!(judge(minutes(0), minutes(0), &[], &AlertConfig { away_minutes: 0 }), Holding::Tell);
    }

    proptest! {
        #[test]
        fn nothing_is_held_for_longer_than_the_operator_says(
            away in 0_u32..100, now in 0_i64..200, answering in 0_usize..9, more in 0_usize..9
        ) {
            let config = AlertConfig { away_minutes: away };
            let judged = judge(minutes(0), minutes(now), &of(answering, answering + more), &config);
            if now >= i64::from(away) || answering == 0 { prop_assert_eq!(judged, Holding::Tell); }
            else if let Holding::Held(until, _) = judged { prop_assert!(until > minutes(now)); }
        }
    }
}
