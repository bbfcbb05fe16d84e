//! What goes out. One HTTP client: it resolves once, checks the address against the grant, connects to that address, and
//! checks redirects again. It decides nothing of what is sent.

mod client;

pub use client::EgressClient;
