//! What is honest in the evil guests: each fills in one deed, and everything else is as a plugin should be.

use std::marker::PhantomData;
use tandem_sdk::{
    about::{Capability, Description, Interest, Scope, Selector},
    bindings::{about::exports::tandem::plugin::about, detector::exports::tandem::plugin::detector},
    collector::{CollectRequest, Collection, Collector, Host},
    detector::{Frame, Group, GroupState, Observation, Scores},
    mapper::{Mapping, Target},
    types::{Failure, Series},
};

/// What a host with the metric of the test's target shows.
const WATCHED: &str = "host.load.1m";

/// A description that asks for what every detector of the test asks for.
pub fn watching(name: &str) -> Description {
    describing(name, WATCHED, Scope::Series)
}

/// A description that asks for what the mapper of the test asks for.
pub fn mapping(name: &str) -> Description {
    describing(name, "evil_*", Scope::Target)
}

fn describing(name: &str, metric: &str, scope: Scope) -> Description {
    Description {
        name: name.into(),
        version: env!("CARGO_PKG_VERSION").into(),
        summary: "Attacks its host.".into(),
        config_schema: String::new(),
        interests: vec![Interest {
            selector: Selector {
                metrics: vec![metric.into()],
                entity_kinds: Vec::new(),
                labels: Vec::new(),
                with_fault_rules: false,
            },
            scope,
            history_seconds: 0,
        }],
        capabilities: Vec::new(),
    }
}

/// What one evil detector does, on the bare contract: the SDK would catch some of it before it leaves the guest.
pub trait Deed: 'static {
    /// The plugin's name.
    const NAME: &str;

    /// What it says of itself.
    fn describe() -> Description {
        watching(Self::NAME)
    }

    /// What it answers to new points.
    ///
    /// # Errors
    /// As the deed wants it.
    fn observe(batch: &[Frame]) -> Result<Observation, Failure> {
        Ok(Observation { scores: batch.iter().map(calm).collect(), faults: Vec::new() })
    }

    /// What it wants to be remembered of one group.
    fn save() -> Vec<u8> {
        Vec::new()
    }
}

/// An answer that finds nothing odd.
pub fn calm(frame: &Frame) -> Scores {
    Scores {
        group: frame.group,
        at: frame.at.clone(),
        score: vec![0.0; frame.at.len()],
        low: Vec::new(),
        high: Vec::new(),
        attributions: Vec::new(),
        warming: 0,
    }
}

/// The detector made of a deed.
#[derive(Debug)]
pub struct Watching<D>(PhantomData<D>);

impl<D: Deed> about::Guest for Watching<D> {
    fn describe() -> Description {
        D::describe()
    }
}

impl<D: Deed> detector::Guest for Watching<D> {
    type Watch = Self;

    fn open(_: String) -> Result<detector::Watch, Failure> {
        Ok(detector::Watch::new(Self(PhantomData)))
    }

    fn restore(_: String, _: Vec<Group>, _: Vec<GroupState>) -> Result<detector::Watch, Failure> {
        Ok(detector::Watch::new(Self(PhantomData)))
    }
}

impl<D: Deed> detector::GuestWatch for Watching<D> {
    fn join(&self, _: Vec<Group>, _: Vec<Frame>) -> Result<(), Failure> {
        Ok(())
    }

    fn leave(&self, _: Vec<u32>) -> Result<(), Failure> {
        Ok(())
    }

    fn observe(&self, batch: Vec<Frame>) -> Result<Observation, Failure> {
        D::observe(&batch)
    }

    fn snapshot(&self, groups: Vec<u32>) -> Result<Vec<GroupState>, Failure> {
        Ok(groups.into_iter().map(|group| GroupState { group, state: D::save() }).collect())
    }
}

/// Makes a [`Deed`] the plugin of its crate.
#[macro_export]
macro_rules! detector {
    ($deed:ident) => {
        const _: () = {
            #[allow(dead_code, reason = "natively it only proves that the trait is implemented")]
            type Exported = $crate::Watching<$deed>;
            const fn is_deed<T: $crate::Deed>() {}
            is_deed::<$deed>();
            #[cfg(target_arch = "wasm32")]
    tandem_sdk::bindings::about::export_about!(Exported with_types_in tandem_sdk::bindings::about);
            #[cfg(target_arch = "wasm32")]
    tandem_sdk::bindings::detector::export_detector!(Exported with_types_in tandem_sdk::bindings::detector);
        };
    };
}

/// What one evil collector does.
pub trait Errand: 'static {
    /// The plugin's name.
    const NAME: &str;
    /// Capabilities asked for: name and value.
    const ASKS: &[(&str, &str)] = &[];

    /// What it brings.
    ///
    /// # Errors
    /// As the deed wants it.
    fn collect(request: &CollectRequest, host: &dyn Host) -> Result<Collection, Failure> {
        _ = (request, host);
        Ok(nothing())
    }

    /// What it makes of series.
    ///
    /// # Errors
    /// As the deed wants it.
    fn interpret(series: &[Series]) -> Result<Mapping, Failure> {
        _ = series;
        Ok(Mapping { entities: Vec::new(), relations: Vec::new(), meanings: Vec::new() })
    }
}

/// A collection of nothing.
pub fn nothing() -> Collection {
    Collection {
        series: Vec::new(),
        points: Vec::new(),
        entities: Vec::new(),
        relations: Vec::new(),
        events: Vec::new(),
        cursor: Vec::new(),
    }
}

/// The collector made of an errand.
#[derive(Debug)]
pub struct Collecting<E>(PhantomData<E>);

impl<E: Errand> Collector for Collecting<E> {
    fn describe() -> Description {
        let asks = E::ASKS.iter().map(|(name, value)| Capability {
            name: (*name).into(),
            value: (*value).into(),
            reason: "to attack".into(),
        });
        Description { capabilities: asks.collect(), ..mapping(E::NAME) }
    }

    fn interpret(_: &Target, series: &[Series]) -> Result<Mapping, Failure> {
        E::interpret(series)
    }

    fn collect(request: CollectRequest, host: &dyn Host) -> Result<Collection, Failure> {
        E::collect(&request, host)
    }
}
