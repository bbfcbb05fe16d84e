//! Bounds of a story: a slip of the pen shall not fill a machine.

/// Parts of one kind: some data centres in one story.
pub(crate) const MAX_PARTS_OF_KIND: usize = 20_000;
/// Kinds, so that links between each two of them stay small.
pub(crate) const MAX_KINDS: usize = 64;
/// Links of all parts of one kind to another kind.
pub(crate) const MAX_LINKS: usize = 2_000_000;
/// Series of a story: what one server is made to hold.
pub(crate) const MAX_SERIES: usize = 500_000;
/// Steps of a story: a fortnight every 15 s.
pub(crate) const MAX_STEPS: u64 = 100_000;
/// Variables and overrides of a story.
pub(crate) const MAX_PROGRAMS: usize = 10_000;
/// Bytes of one expression.
pub(crate) const MAX_EXPRESSION_BYTES: usize = 2_000;
/// How deep an expression may be nested, so that reading it does not exhaust the stack.
pub(crate) const MAX_DEPTH: usize = 64;
/// Rows that a model answers in one step; what more the rate would be is not made.
pub(crate) const MAX_ROWS_PER_STEP: usize = 20_000;
/// Labels that wait for their time.
pub(crate) const MAX_WAITING_LABELS: usize = 500_000;
/// Bytes of a file.
pub(crate) const MAX_FILE_BYTES: usize = 1 << 20;
/// Steps played before the first that is shown, so that lags and counters have come to rest: ten minutes at 15 s.
pub(crate) const WARM_UP_STEPS: u64 = 40;
