//! Write Tandem plugins in Rust: implement one trait, call one macro.
//!
//! ```
//! use tandem_sdk::{
//!     about::Description,
//!     collector::Collector,
//!     mapper::{Mapping, Target},
//!     types::{Failure, Series},
//! };
//!
//! pub struct Nothing;
//!
//! impl Collector for Nothing {
//!     fn describe() -> Description {
//!         Description {
//!             name: "collector-nothing".into(),
//!             version: "1.0.0".into(),
//!             summary: "Gives no series a meaning.".into(),
//!             config_schema: String::new(),
//!             interests: Vec::new(),
//!             capabilities: Vec::new(),
//!         }
//!     }
//!
//!     fn interpret(_: &Target, _: &[Series]) -> Result<Mapping, Failure> {
//!         Ok(Mapping { entities: Vec::new(), relations: Vec::new(), meanings: Vec::new() })
//!     }
//! }
//!
//! tandem_sdk::collector!(Nothing);
//! ```
//!
//! A plugin is an ordinary library: its rules are tested natively with `cargo test`. `tandem plugin build` makes it a
//! component. In a component a panic becomes a line in the host's log before the trap.

#[doc(hidden)]
#[allow(missing_docs, unused, clippy::all)]
pub mod bindings;

pub mod assets;
pub mod collector;
mod config;
pub mod correlator;
pub mod detector;
pub mod drift;
mod failure;
pub mod framing;
pub mod gathering;
pub mod host;
pub mod http;
pub mod hwmon;
pub mod log;
pub mod machine;
pub mod mapping;
pub mod page;
mod panic;
pub mod root_cause;
pub mod sampling;
pub mod target;
#[cfg(not(target_arch = "wasm32"))]
pub mod testing;

/// Records that all kinds of plugin share.
pub mod types {
    pub use crate::bindings::imports::tandem::plugin::types::{
        Entity, Event, Failure, FailureCode, IdentityKey, KeyStrength, Label, MetricType, Points, Relation,
        RelationKind, Series, Severity, Timestamp,
    };

    /// A label of this name and value.
    pub fn label(name: impl Into<String>, value: impl Into<String>) -> Label {
        Label { name: name.into(), value: value.into() }
    }
}

/// What a plugin says of itself.
pub mod about {
    pub use crate::bindings::imports::tandem::plugin::description_types::{
        Capability, Description, Interest, LabelMatch, Scope, Selector,
    };
}

/// What a series can mean.
pub mod mapper {
    pub use crate::bindings::imports::tandem::plugin::meaning_types::{
        Condition, FaultRule, Mapping, Meaning, Range, Target,
    };
}
