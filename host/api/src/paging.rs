//! Lists come in pages: `{"items": […], "next_cursor": …}`.

use crate::error::ApiError;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// Items on a page when the caller does not say.
const DEFAULT_PAGE_ITEMS: usize = 100;
/// The longest page, so that one answer stays below a few megabytes.
const MAX_PAGE_ITEMS: usize = 1000;
/// Records looked at for one page; a filter that fits little continues on the next page instead of holding a snapshot long.
const MAX_SCANNED_RECORDS: usize = 50_000;
/// Records read at once while looking for those that fit.
const SCAN_BATCH_RECORDS: usize = 500;

/// How a page is asked for.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct PageQuery {
    /// Items on the page, 1 to 1000; 100 when absent.
    pub limit: Option<usize>,
    /// `next_cursor` of the page before.
    pub cursor: Option<String>,
}

impl PageQuery {
    /// Items on the page.
    pub(crate) fn limit(&self) -> Result<usize, ApiError> {
        match self.limit {
            None => Ok(DEFAULT_PAGE_ITEMS),
            Some(limit) if (1..=MAX_PAGE_ITEMS).contains(&limit) => Ok(limit),
            Some(limit) => Err(ApiError::bad_request(
                format!("limit is {limit}"),
                format!("give a limit from 1 to {MAX_PAGE_ITEMS} and follow next_cursor for more"),
            )),
        }
    }

    /// The cursor as a number.
    pub(crate) fn number(&self) -> Result<Option<u64>, ApiError> {
        self.cursor
            .as_deref()
            .map(|text| {
                text.parse().map_err(|_| {
                    ApiError::bad_request(
                        format!("cursor {text:?} is not one of this list"),
                        "pass next_cursor as it came",
                    )
                })
            })
            .transpose()
    }
}

/// One page of a list.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Page<T> {
    pub items: Vec<T>,
    /// Absent on the last page.
    pub next_cursor: Option<String>,
}

/// Fills a page: `read(after, limit)` answers the next records in order, `key` their cursor, `fit` the item for those that fit.
pub(crate) fn fill<R, T>(
    query: &PageQuery,
    mut read: impl FnMut(Option<&str>, usize) -> Result<Vec<R>, ApiError>,
    key: impl Fn(&R) -> String,
    mut fit: impl FnMut(R) -> Option<T>,
) -> Result<Page<T>, ApiError> {
    let limit = query.limit()?;
    let mut after = query.cursor.clone();
    let mut items = Vec::new();
    let mut scanned = 0;
    loop {
        let batch = read(after.as_deref(), SCAN_BATCH_RECORDS)?;
        let last_batch = batch.len() < SCAN_BATCH_RECORDS;
        scanned += batch.len();
        for record in batch {
            if items.len() == limit {
                return Ok(Page { items, next_cursor: after });
            }
            after = Some(key(&record));
            items.extend(fit(record));
        }
        if last_batch {
            return Ok(Page { items, next_cursor: None });
        }
        if scanned >= MAX_SCANNED_RECORDS {
            return Ok(Page { items, next_cursor: after });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_join_to_the_whole_list() {
        let all: Vec<u64> = (1..=1234).collect();
        let mut query = PageQuery { limit: Some(100), cursor: None };
        let mut seen = Vec::new();
        loop {
            let page = fill(
                &query,
                |after, limit| {
                    let from = after.map_or(0, |a| a.parse::<usize>().expect("our own cursor"));
                    Ok(all[from..(from + limit).min(all.len())].to_vec())
                },
                u64::to_string,
                |n| (n % 3 == 0).then_some(n),
            )
            .expect("reads");
            seen.extend(page.items);
            match page.next_cursor {
                Some(cursor) => query.cursor = Some(cursor),
                None => break,
            }
        }
        assert_eq!(seen, (1..=1234).filter(|n| n % 3 == 0).collect::<Vec<_>>());
    }
}
