//! What a body may ask of the decoders: every bound with its unit and its reason, in one value that the caller passes in.

/// Longest body after decompression, in bytes. Prometheus sends some 0.4 MiB at once and Telegraf 1 MiB; OpenTelemetry's
/// collector is known for 16 MiB when it catches up.
pub const MAX_DECOMPRESSED_BYTES: usize = 32 << 20;
/// Longest JSON body, in bytes: as values in memory JSON takes some thirty times its bytes, so that it is held shorter.
pub const MAX_JSON_BYTES: usize = 8 << 20;
/// Labels of one series: three times what hosted services allow, since kube-state-metrics carries the labels of users.
pub const MAX_LABELS: usize = 96;
/// Longest name of a metric or label, in bytes: no exporter has a longer one on purpose.
pub const MAX_NAME_BYTES: usize = 512;
/// Longest value of a label, in bytes: command lines fit; documents do not belong into labels, which are kept in memory.
pub const MAX_VALUE_BYTES: usize = 4_096;
/// All names and values of one series together, in bytes: many labels of the longest value are a document again.
pub const MAX_LABEL_BYTES: usize = 32 << 10;
/// Samples, histograms, exemplars and log records of one body; a sender that has more sends again.
pub const MAX_ITEMS: usize = 2_000_000;
/// Buckets of one histogram: the specification's usual bound is 160, and OpenTelemetry's two sides double it.
pub const MAX_BUCKETS: usize = 640;
/// Longest text of a log record, in bytes; what is longer is cut there.
pub const MAX_TEXT_BYTES: usize = 16 << 10;
/// Rejected items that are told one by one; all are counted.
pub const MAX_TOLD_REJECTIONS: usize = 20;

/// The bounds of one body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WireLimits {
    /// Bytes after decompression.
    pub decompressed_bytes: usize,
    /// Bytes of a JSON body.
    pub json_bytes: usize,
    /// Labels of one series.
    pub labels: usize,
    /// Bytes of a metric's or label's name.
    pub name_bytes: usize,
    /// Bytes of a label's value.
    pub value_bytes: usize,
    /// Bytes of all labels of one series.
    pub label_bytes: usize,
    /// Items of one body.
    pub items: usize,
    /// Buckets of one histogram.
    pub buckets: usize,
    /// Bytes of a log record's text.
    pub text_bytes: usize,
}

impl Default for WireLimits {
    fn default() -> Self {
        Self {
            decompressed_bytes: MAX_DECOMPRESSED_BYTES,
            json_bytes: MAX_JSON_BYTES,
            labels: MAX_LABELS,
            name_bytes: MAX_NAME_BYTES,
            value_bytes: MAX_VALUE_BYTES,
            label_bytes: MAX_LABEL_BYTES,
            items: MAX_ITEMS,
            buckets: MAX_BUCKETS,
            text_bytes: MAX_TEXT_BYTES,
        }
    }
}
