//! Attack: never says what series mean, and so would hold up every new series.

use evil_honest::{Collecting, Errand};
use tandem_sdk::{
    mapper::Mapping,
    types::{Failure, Series},
};

/// The guest.
#[derive(Debug)]
pub struct SpinsInMapper;

impl Errand for SpinsInMapper {
    const NAME: &str = "evil-spins-in-mapper";

    fn interpret(series: &[Series]) -> Result<Mapping, Failure> {
        _ = series;
        loop {
            std::hint::black_box(());
        }
    }
}

type Plugin = Collecting<SpinsInMapper>;
tandem_sdk::collector!(Plugin, nothing);
