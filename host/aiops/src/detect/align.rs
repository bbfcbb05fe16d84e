//! Series shown together are brought to common moments: a grid, each member's last value in a cell. Pure, and saved with the
//! detector's own state, so that a row that was half full at a crash is filled after it.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use tandem_domain::Timestamp;

/// Cells that a row waits for its last members: a scrape may be late by its interval.
const PATIENCE_CELLS: i64 = 2;

/// A row that is being filled.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Row {
    value: Vec<f64>,
    filled: Vec<bool>,
}

/// A complete row.
#[derive(Debug, Clone, PartialEq)]
pub struct AlignedRow {
    /// Start of the cell.
    pub at: Timestamp,
    /// One value per member; NaN where it said nothing.
    pub value: Vec<f64>,
}

/// The rows of one group.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Aligner {
    cell_millis: i64,
    members: usize,
    rows: BTreeMap<i64, Row>,
    /// Start of the last row given away.
    given_through: Option<i64>,
    newest: Option<i64>,
}

impl Aligner {
    /// Nothing seen yet.
    pub fn new(members: usize, cell_millis: i64) -> Self {
        Self { cell_millis: cell_millis.max(1), members, rows: BTreeMap::new(), given_through: None, newest: None }
    }

    /// Takes in one value; what comes after its row was given away is passed over.
    pub fn push(&mut self, at: Timestamp, member: usize, value: f64) {
        let cell = at.0.div_euclid(self.cell_millis) * self.cell_millis;
        if member >= self.members || self.given_through.is_some_and(|given| cell <= given) {
            return;
        }
        let members = self.members;
        let empty = || Row { value: vec![f64::NAN; members], filled: vec![false; members] };
        let row = self.rows.entry(cell).or_insert_with(empty);
        row.value[member] = value;
        row.filled[member] = true;
        self.newest = self.newest.max(Some(at.0));
    }

    /// Rows that are full, or have waited long enough, in order.
    pub fn take_ready(&mut self) -> Vec<AlignedRow> {
        let mut ready = Vec::new();
        while let Some((&cell, row)) = self.rows.first_key_value() {
            let waited = self.newest.is_some_and(|newest| cell + PATIENCE_CELLS * self.cell_millis <= newest);
            if !waited && row.filled.iter().any(|filled| !filled) {
                break;
            }
            if let Some((cell, row)) = self.rows.pop_first() {
                self.given_through = Some(cell);
                ready.push(AlignedRow { at: Timestamp(cell), value: row.value });
            }
        }
        ready
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn full_rows_are_given_at_once_and_others_after_their_patience() {
        let mut aligner = Aligner::new(2, 10);
        aligner.push(Timestamp(1), 0, 1.0);
        assert_eq!(aligner.take_ready(), []);
        aligner.push(Timestamp(3), 1, 2.0);
        assert_eq!(aligner.take_ready(), [AlignedRow { at: Timestamp(0), value: vec![1.0, 2.0] }]);
        aligner.push(Timestamp(12), 0, 3.0);
        aligner.push(Timestamp(22), 0, 4.0);
        assert_eq!(aligner.take_ready(), []);
        aligner.push(Timestamp(31), 0, 5.0);
        let ready = aligner.take_ready();
        assert_eq!((ready.len(), ready[0].at, ready[0].value[0]), (1, Timestamp(10), 3.0));
        assert!(ready[0].value[1].is_nan());
        aligner.push(Timestamp(14), 1, 9.0);
        assert_eq!(aligner.take_ready(), [], "too late");
    }

    #[test]
    fn a_missing_value_fills_its_place_and_moments_before_the_epoch_have_cells_too() {
        let mut aligner = Aligner::new(1, 10);
        aligner.push(Timestamp(-1), 0, f64::NAN);
        assert_eq!(aligner.take_ready().first().map(|row| row.at), Some(Timestamp(-10)));
    }
}
