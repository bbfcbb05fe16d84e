//! Leaves: records that lie next to each other in the order of their keys share one row, as in the leaf of a B-tree whose
//! keys are cut short by what they begin with in common. A fleet has a handful of records for each series, each some hundred
//! bytes long and much like its neighbours: together they are compressed to a fraction of what each takes by itself, and the file
//! keeps one entry for scores of them.
//!
//! A table of leaves maps the first key of each leaf to the leaf; a record lies in the last leaf that begins at or before its key.
//! Which records lie in leaves their type says ([`tandem_domain::Record::IN_LEAVES`]).

mod codec;
mod read;
mod rewrite;
#[cfg(test)]
mod tests;

pub(crate) use codec::records_in;
pub(crate) use read::{LastLeaves, each, get, range};
pub(crate) use rewrite::{gather, rewrite};

/// How the name of a table of leaves begins.
const PREFIX: &str = "leaves/";

/// The name of the table of leaves of a record's table.
pub(crate) fn table_of(record: &str) -> String {
    format!("{PREFIX}{record}")
}

/// Whether a table's rows are leaves.
pub(crate) fn has_leaves(table: &str) -> bool {
    table.starts_with(PREFIX)
}
