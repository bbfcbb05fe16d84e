//! The room over a real store.
