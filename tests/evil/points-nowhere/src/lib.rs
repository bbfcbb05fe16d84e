//! Attack: gives points to a series that it does not list.

use evil_honest::{Collecting, Errand, nothing};
use tandem_sdk::{
    collector::{CollectRequest, Collection, Host},
    types::{Failure, Points},
};

/// The guest.
#[derive(Debug)]
pub struct PointsNowhere;

impl Errand for PointsNowhere {
    const NAME: &str = "evil-points-nowhere";

    fn collect(request: &CollectRequest, host: &dyn Host) -> Result<Collection, Failure> {
        _ = host;
        let mut wild = nothing();
        wild.points.push(Points { series: 4_000_000_000, at: vec![request.now], value: vec![1.0] });
        Ok(wild)
    }
}

type Plugin = Collecting<PointsNowhere>;
tandem_sdk::collector!(Plugin, nothing);
