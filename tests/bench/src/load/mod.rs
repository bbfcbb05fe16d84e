//! What all servers are sent: the same machines, the same bodies, the same sender.

mod bodies;
mod fleet;
mod plan;
mod send;

pub use bodies::{Bodies, Body};
pub use fleet::{STEP_MILLIS, metrics};
pub use plan::{LoadArguments, Plan};
pub use send::send;
