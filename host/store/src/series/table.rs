//! Something for each series, by its number: pages of neighbours, since numbers are given one after another and those of one
//! target come together.

use tandem_domain::series::SeriesId;

/// Series in a page, as a power of two: 256.
const PAGE_BITS: u32 = 8;
const PAGE: usize = 1 << PAGE_BITS;
/// Numbers beyond this were never given: four billion series, and a directory of 128 MB.
pub(crate) const MAX_SERIES: u64 = 1 << 32;

/// A table by series number.
#[derive(Debug)]
pub(crate) struct SeriesTable<T> {
    pages: Vec<Option<Box<[T; PAGE]>>>,
}

impl<T> Default for SeriesTable<T> {
    fn default() -> Self {
        Self { pages: Vec::new() }
    }
}

impl<T: Copy + Default> SeriesTable<T> {
    /// What there is for a series.
    #[inline]
    pub(crate) fn get(&self, series: SeriesId) -> Option<&T> {
        let page = usize::try_from(series.0 >> PAGE_BITS).ok()?;
        self.pages.get(page)?.as_ref().map(|page| &page[series.0 as usize % PAGE])
    }

    /// The place of a series, made when there is none; none for a number beyond [`MAX_SERIES`].
    #[inline]
    pub(crate) fn get_mut(&mut self, series: SeriesId) -> Option<&mut T> {
        if series.0 >= MAX_SERIES {
            return None;
        }
        let page = (series.0 >> PAGE_BITS) as usize;
        if page >= self.pages.len() {
            self.pages.resize_with(page + 1, || None);
        }
        let page = self.pages[page].get_or_insert_with(|| Box::new([T::default(); PAGE]));
        Some(&mut page[series.0 as usize % PAGE])
    }

    /// All places that were made, by series number.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (SeriesId, &T)> {
        let pages = self.pages.iter().enumerate().filter_map(|(number, page)| Some((number, page.as_ref()?)));
        pages.flat_map(|(number, page)| {
            page.iter().enumerate().map(move |(place, one)| (SeriesId((number * PAGE + place) as u64), one))
        })
    }

    /// Bytes of memory.
    pub(crate) fn bytes(&self) -> usize {
        let pages = self.pages.iter().filter(|page| page.is_some()).count();
        pages * PAGE * size_of::<T>() + self.pages.len() * size_of::<Option<Box<[T; PAGE]>>>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_made_where_they_are_asked_for_and_listed_in_order() {
        let mut table = SeriesTable::<u32>::default();
        for (series, value) in [(700, 7), (3, 3), (256, 2)] {
            *table.get_mut(SeriesId(series)).expect("a place") = value;
        }
        assert_eq!(
            (table.get(SeriesId(700)), table.get(SeriesId(4)), table.get(SeriesId(600))),
            (Some(&7), Some(&0), Some(&0))
        );
        assert_eq!(table.get(SeriesId(100_000)), None);
        let set: Vec<_> =
            table.iter().filter(|(_, value)| **value > 0).map(|(series, value)| (series.0, *value)).collect();
        assert_eq!(set, [(3, 3), (256, 2), (700, 7)]);
        assert!(table.get_mut(SeriesId(MAX_SERIES)).is_none());
    }
}
