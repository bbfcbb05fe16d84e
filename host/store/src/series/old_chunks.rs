//! From formats 1 and 2: a chunk for each series and flush, compressed with `pco`, and the batches that arrived in a table of the file.
//! Both become blocks when such a file is opened.

use super::{
    Columns, FLUSHED, SAMPLES,
    block::BlockWriter,
    blocks, flush,
    generation::Generation,
    windows::{self, Run, Window},
};
use crate::{
    index::{Kind, presence},
    read::{CURSORS, SEQUENCES, raw},
};
use pco::standalone;
use redb::{ReadableTable, TableHandle, WriteTransaction};
use tandem_domain::{
    Timestamp,
    series::{SampleBatch, SeriesId},
};

/// How the tables of chunks were named; the window's first moment follows.
const CHUNKS: &str = "chunks/";
/// The table of batches.
const BATCHES: &str = "samples";
/// Longest batch or chunk, in samples; a longer one is a damaged file.
const MAX_SAMPLES: usize = 1 << 24;

/// The window of a table of chunks, by its first moment.
pub(crate) fn window_of_table(name: &str) -> Option<i64> {
    name.strip_prefix(CHUNKS)?.parse().ok()
}

fn damaged(what: impl std::fmt::Display) -> redb::Error {
    redb::Error::Corrupted(format!("old samples cannot be read: {what}"))
}

fn take<'b>(bytes: &mut &'b [u8], length: usize) -> Result<&'b [u8], redb::Error> {
    let (taken, rest) = bytes.split_at_checked(length).ok_or_else(|| damaged("they end too early"))?;
    *bytes = rest;
    Ok(taken)
}

fn take_u32(bytes: &mut &[u8]) -> Result<usize, redb::Error> {
    let four = take(bytes, 4)?.first_chunk().ok_or_else(|| damaged("they end too early"))?;
    Ok(u32::from_be_bytes(*four) as usize)
}

fn take_u64(bytes: &mut &[u8]) -> Result<u64, redb::Error> {
    let eight = take(bytes, 8)?.first_chunk().ok_or_else(|| damaged("they end too early"))?;
    Ok(u64::from_be_bytes(*eight))
}

fn take_column<T: pco::data_types::Number>(bytes: &mut &[u8], count: usize) -> Result<Vec<T>, redb::Error> {
    let length = take_u32(bytes)?;
    let column: Vec<T> = standalone::simple_decompress(take(bytes, length)?).map_err(damaged)?;
    if column.len() == count { Ok(column) } else { Err(damaged("a column has the wrong length")) }
}

fn read_chunk(mut bytes: &[u8], into: &mut Columns) -> Result<(), redb::Error> {
    // The flush that wrote it and its last moment come first.
    take(&mut bytes, 16)?;
    let count = take_u32(&mut bytes)?;
    into.at.extend(take_column::<i64>(&mut bytes, count)?);
    into.value.extend(take_column::<f64>(&mut bytes, count)?);
    Ok(())
}

fn read_batch(mut bytes: &[u8]) -> Result<SampleBatch, redb::Error> {
    let bytes = &mut bytes;
    let count = take_u32(bytes)?;
    if count > MAX_SAMPLES {
        return Err(damaged(format!("a batch claims {count} samples")));
    }
    let mut batch = SampleBatch::default();
    if take(bytes, 1)? == [0] {
        for _ in 0..count {
            let (series, at) = (SeriesId(take_u64(bytes)?), Timestamp(take_u64(bytes)? as i64));
            batch.push(series, at, f64::from_bits(take_u64(bytes)?));
        }
        return Ok(batch);
    }
    batch.series = take_column::<u64>(bytes, count)?.into_iter().map(SeriesId).collect();
    batch.at = take_column::<i64>(bytes, count)?.into_iter().map(Timestamp).collect();
    batch.value = take_column(bytes, count)?;
    Ok(batch)
}

/// Chunks and batches become blocks. Rooms that had not read the last batches find them there.
pub(crate) fn chunks_to_blocks(transaction: &WriteTransaction) -> Result<(), redb::Error> {
    let number = |table: &str, key: &str| -> Result<u64, redb::Error> {
        let found = transaction.open_table(raw(table))?.get(key.as_bytes())?.map(|value| value.value().to_vec());
        found.map_or(Ok(0), |bytes| take_u64(&mut bytes.as_slice()))
    };
    let (flushed, last) = (number(CURSORS, FLUSHED)?, number(SEQUENCES, SAMPLES)?);
    let names: Vec<String> = transaction.list_tables()?.map(|table| table.name().to_owned()).collect();
    for name in &names {
        if let Some(window) = window_of_table(name) {
            convert_window(transaction, name, window, flushed)?;
            transaction.delete_table(raw(name))?;
        }
    }
    if names.iter().any(|name| name == BATCHES) {
        convert_batches(transaction, flushed, last)?;
        transaction.delete_table(raw(BATCHES))?;
    }
    transaction.open_table(raw(CURSORS))?.insert(FLUSHED.as_bytes(), last.to_be_bytes().as_slice())?;
    Ok(())
}

fn convert_window(transaction: &WriteTransaction, name: &str, start: i64, run: u64) -> Result<(), redb::Error> {
    let mut writer = BlockWriter::default();
    let (mut of, mut columns) = (SeriesId(0), Columns::default());
    let table = transaction.open_table(raw(name))?;
    for entry in table.iter()? {
        let (key, value) = entry?;
        let series = SeriesId(take_u64(&mut key.value())?);
        if series != of {
            columns.settle();
            writer.add(of, &columns.at, &columns.value);
            columns.clear();
            of = series;
        }
        read_chunk(value.value(), &mut columns)?;
    }
    columns.settle();
    writer.add(of, &columns.at, &columns.value);
    drop(table);
    put_run(transaction, start, run, writer.finish())
}

fn convert_batches(transaction: &WriteTransaction, flushed: u64, last: u64) -> Result<(), redb::Error> {
    let mut generation = Generation::default();
    {
        let table = transaction.open_table(raw(BATCHES))?;
        for entry in table.range::<&[u8]>((flushed + 1).to_be_bytes().as_slice()..)? {
            let (key, value) = entry?;
            generation.append(take_u64(&mut key.value())?, &read_batch(value.value())?);
        }
    }
    for flush::Encoded { window, blocks, present } in flush::encode(&generation) {
        let mut table = transaction.open_table(raw(Kind::Floats.table()))?;
        let known = table.get(presence::key(window).as_slice())?.map(|value| value.value().to_vec());
        let known = known.map(|bytes| presence::from_bytes(&bytes)).transpose().map_err(damaged)?;
        let bytes = presence::to_bytes(&(known.unwrap_or_default() | present));
        table.insert(presence::key(window).as_slice(), bytes.as_slice())?;
        drop(table);
        put_run(transaction, window, last, blocks)?;
    }
    Ok(())
}

fn put_run(
    transaction: &WriteTransaction,
    start: i64,
    number: u64,
    blocks: Vec<super::block::Block>,
) -> Result<(), redb::Error> {
    let (windows, key, _) = windows::entry(&Window::at(start)).map_err(damaged)?;
    let known = transaction.open_table(raw(windows))?.get(key.as_slice())?.map(|value| value.value().to_vec());
    let known = known.map(|bytes| windows::from_bytes(&bytes)).transpose().map_err(damaged)?;
    let mut window = known.unwrap_or_else(|| Window::at(start));
    let (run, entries) = blocks::entries(Run { number, ..Run::default() }, blocks);
    let table = window.add_run(run);
    let mut table = transaction.open_table(raw(&table))?;
    for (key, value) in entries {
        table.insert(key.as_slice(), value.as_slice())?;
    }
    let (windows, key, bytes) = windows::entry(&window).map_err(damaged)?;
    transaction.open_table(raw(windows))?.insert(key.as_slice(), bytes.as_slice())?;
    Ok(())
}

#[cfg(test)]
mod tests;
