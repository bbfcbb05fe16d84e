//! Correlators: they put alerts that have one cause together, and rank the causes.

use crate::{
    about::Description,
    bindings, config, framing,
    panic::install_hook,
    types::{Failure, Points, Timestamp},
};
use std::{cell::RefCell, marker::PhantomData};

pub use crate::bindings::correlator::exports::tandem::plugin::correlator::{
    Alert, AlertState, Cause, Change, Delta, Feedback, Finding, Grouping, Signal,
};
pub use crate::bindings::imports::tandem::plugin::query::{Edge, EntityInfo, SeriesInfo};

use crate::bindings::{
    correlator::exports::tandem::plugin::correlator::{Guest, GuestSession, Session},
    imports::tandem::plugin::query,
};

/// The host's records as of the moment of the call. Native tests give their own.
pub trait Query {
    /// One entity.
    fn entity(&self, id: &str) -> Result<EntityInfo, Failure>;
    /// All relations within `depth` steps, in both directions; depth at most 8.
    fn neighbours(&self, id: &str, depth: u32) -> Result<Vec<Edge>, Failure>;
    /// The series of an entity; their numbers are good for `read` during the same call.
    fn series_of(&self, id: &str) -> Result<Vec<SeriesInfo>, Failure>;
    /// Points in canonical units, at most 10,000.
    fn read(&self, series: u32, start: Timestamp, end: Timestamp) -> Result<Points, Failure>;
}

/// The open incidents and the rules over them.
pub trait Correlator: Sized + 'static {
    /// What the operator can set; `{}` must give the defaults.
    type Config: serde::de::DeserializeOwned + Default + 'static;

    /// What the plugin says of itself. The answer must not vary.
    fn describe() -> Description;

    /// Begins without incidents.
    fn new(config: &Self::Config) -> Result<Self, Failure>;

    /// Takes what changed; answers the groupings that changed.
    fn update(&mut self, delta: &Delta, query: &dyn Query) -> Result<Vec<Grouping>, Failure>;

    /// The state in the plugin's own versioned form.
    fn save(&self) -> Vec<u8>;

    /// The state that `save` gave. One that an older version wrote is understood or refused as `unsupported`.
    fn load(config: &Self::Config, state: &[u8]) -> Result<Self, Failure>;
}

/// The component made of a correlator.
#[doc(hidden)]
pub struct Exported<C>(PhantomData<C>);

/// The `session` resource.
#[doc(hidden)]
pub struct SessionOf<C>(RefCell<C>);

struct Outside;

impl Query for Outside {
    fn entity(&self, id: &str) -> Result<EntityInfo, Failure> {
        query::entity(id)
    }

    fn neighbours(&self, id: &str, depth: u32) -> Result<Vec<Edge>, Failure> {
        query::neighbours(id, depth)
    }

    fn series_of(&self, id: &str) -> Result<Vec<SeriesInfo>, Failure> {
        query::series_of(id)
    }

    fn read(&self, series: u32, start: Timestamp, end: Timestamp) -> Result<Points, Failure> {
        query::read(series, start, end)
    }
}

impl<C: Correlator> bindings::about::exports::tandem::plugin::about::Guest for Exported<C> {
    fn describe() -> Description {
        install_hook();
        C::describe()
    }
}

impl<C: Correlator> Guest for Exported<C> {
    type Session = SessionOf<C>;

    fn open(config: String) -> Result<Session, Failure> {
        install_hook();
        Ok(Session::new(SessionOf(RefCell::new(C::new(&config::parse(&config)?)?))))
    }

    fn restore(config: String, state: Vec<u8>) -> Result<Session, Failure> {
        install_hook();
        let correlator = C::load(&config::parse(&config)?, framing::unwrap(&state)?)?;
        Ok(Session::new(SessionOf(RefCell::new(correlator))))
    }
}

impl<C: Correlator> GuestSession for SessionOf<C> {
    fn update(&self, delta: Delta) -> Result<Vec<Grouping>, Failure> {
        self.0.borrow_mut().update(&delta, &Outside)
    }

    fn snapshot(&self) -> Result<Vec<u8>, Failure> {
        Ok(framing::wrap(&self.0.borrow().save()))
    }
}

/// Makes a [`Correlator`](crate::correlator::Correlator) the plugin of this crate.
#[macro_export]
macro_rules! correlator {
    ($plugin:ident) => {
        const _: () = {
            #[allow(dead_code, reason = "natively it only proves that the trait is implemented")]
            type Exported = $crate::correlator::Exported<$plugin>;
            const fn is_correlator<T: $crate::correlator::Correlator>() {}
            is_correlator::<$plugin>();
            #[cfg(target_arch = "wasm32")]
    $crate::bindings::about::export_about!(Exported with_types_in $crate::bindings::about);
            #[cfg(target_arch = "wasm32")]
    $crate::bindings::correlator::export_correlator!(Exported with_types_in $crate::bindings::correlator);
        };
    };
}
