//! Reading records out of leaves.

use super::codec;
use crate::{
    ReadError,
    error::storage,
    read::{ByteBounds, Entries},
};
use redb::ReadableTable;
use std::{
    collections::HashMap,
    ops::{Bound, RangeBounds},
    sync::Arc,
};

/// The leaf of each table that was read last, plain: records are asked for in the order of their keys more often than not, and a
/// leaf has scores of them. Good for as long as its table does not change.
#[derive(Debug, Default)]
pub(crate) struct LastLeaves(HashMap<String, LastLeaf>);

#[derive(Debug, Clone)]
struct LastLeaf {
    /// Keys from here …
    first: Vec<u8>,
    /// … to here lie in it, or nowhere.
    last: Vec<u8>,
    plain: Arc<Vec<u8>>,
}

/// The value under a key.
///
/// # Errors
/// When the file cannot be read or the leaf is damaged; so for all functions here.
pub(crate) fn get(
    rows: &impl ReadableTable<&'static [u8], &'static [u8]>,
    table: &str,
    key: &[u8],
    last: &mut LastLeaves,
) -> Result<Option<Vec<u8>>, ReadError> {
    if let Some(leaf) = last.0.get(table)
        && leaf.first.as_slice() <= key
        && key <= leaf.last.as_slice()
    {
        return find(table, &leaf.plain, key);
    }
    // The last leaf that begins at or before the key.
    let leaf = rows.range::<&[u8]>(..=key).map_err(storage)?.next_back();
    let Some((first, row)) = leaf.transpose().map_err(storage)? else { return Ok(None) };
    let (first, plain) = (first.value().to_vec(), codec::unpack(table, row.value())?);
    let found = find(table, &plain, key)?;
    let mut end = first.clone();
    codec::visit(table, &plain, |key, _| {
        end.clear();
        end.extend_from_slice(key);
        true
    })?;
    last.0.insert(table.to_owned(), LastLeaf { first, last: end, plain: Arc::new(plain) });
    Ok(found)
}

fn find(table: &str, plain: &[u8], wanted: &[u8]) -> Result<Option<Vec<u8>>, ReadError> {
    let mut found = None;
    codec::visit(table, plain, |key, value| {
        if key == wanted {
            found = Some(value.to_vec());
        }
        key < wanted
    })?;
    Ok(found)
}

/// Keys and values in order, at most `limit`.
pub(crate) fn range(
    rows: &impl ReadableTable<&'static [u8], &'static [u8]>,
    table: &str,
    bounds: &ByteBounds,
    limit: usize,
    backwards: bool,
) -> Result<Entries, ReadError> {
    let (start, end) = (bounds.0.as_ref().map(Vec::as_slice), bounds.1.as_ref().map(Vec::as_slice));
    // The leaf that holds the start may begin before it.
    let from = match start {
        Bound::Included(start) | Bound::Excluded(start) => {
            let before = rows.range::<&[u8]>(..=start).map_err(storage)?.next_back().transpose().map_err(storage)?;
            before.map_or(Bound::Unbounded, |(first, _)| Bound::Included(first.value().to_vec()))
        }
        Bound::Unbounded => Bound::Unbounded,
    };
    let mut leaves = rows.range::<&[u8]>((from.as_ref().map(Vec::as_slice), end)).map_err(storage)?;
    let mut entries = Vec::new();
    while entries.len() < limit
        && let Some(row) = if backwards { leaves.next_back() } else { leaves.next() }
    {
        let (_, row) = row.map_err(storage)?;
        let plain = codec::unpack(table, row.value())?;
        let (room, mut here) = (limit - entries.len(), Vec::new());
        codec::visit(table, &plain, |key, value| {
            if RangeBounds::<[u8]>::contains(&(start, end), key) {
                here.push((key.to_vec(), value.to_vec()));
            }
            backwards || here.len() < room
        })?;
        if backwards {
            here.reverse();
            here.truncate(room);
        }
        entries.extend(here);
    }
    Ok(entries)
}

/// Goes through all values of a table in the order of their keys.
pub(crate) fn each(
    rows: &impl ReadableTable<&'static [u8], &'static [u8]>,
    table: &str,
    mut visit: impl FnMut(&[u8]) -> Result<(), ReadError>,
) -> Result<(), ReadError> {
    for row in rows.iter().map_err(storage)? {
        let (_, row) = row.map_err(storage)?;
        let mut visited = Ok(());
        codec::visit(table, &codec::unpack(table, row.value())?, |_, value| {
            visited = visit(value);
            visited.is_ok()
        })?;
        visited?;
    }
    Ok(())
}
