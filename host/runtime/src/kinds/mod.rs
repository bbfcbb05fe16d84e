//! How each kind of plugin is called: the ports of the domain, implemented on the runtime.

mod collector;
pub(crate) mod correlator;
pub(crate) mod detector;
mod drift;
pub(crate) mod mapper;
mod target;
