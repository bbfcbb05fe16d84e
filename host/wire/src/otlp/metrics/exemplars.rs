//! What an exemplar of a point becomes.

use crate::otlp::{message::Exemplar as Sent, moment};
use tandem_domain::{Timestamp, exemplar::Exemplar, series::Labels};

/// Names and values of an exemplar's labels together, in characters, beyond which its attributes are left out and only its trace
/// is told: the limit of OpenMetrics, as Prometheus' own endpoint holds to it.
const MAX_CHARS: usize = 128;

/// The exemplars of a point in the order of their moments; those without a value are none. `at` is the moment of the point.
pub(super) fn exemplars(sent: &[Sent<'_>], at: Timestamp) -> Vec<Exemplar> {
    let mut found: Vec<Exemplar> = sent.iter().filter_map(|sent| exemplar(sent, at)).collect();
    found.sort_by_key(|exemplar| exemplar.at);
    found
}

fn exemplar(sent: &Sent<'_>, at: Timestamp) -> Option<Exemplar> {
    let value = sent.as_double.or(sent.as_int.map(|int| int as f64))?;
    // A number of zeros only means that there is none.
    let is_told = |hex: &str| hex.bytes().any(|digit| digit != b'0');
    let trace = [("trace_id", &sent.trace_id), ("span_id", &sent.span_id)];
    let trace = trace.into_iter().filter(|(_, hex)| is_told(hex)).map(|(name, hex)| (name.to_owned(), hex.to_string()));
    let attributes = sent.filtered_attributes.iter().map(|pair| (pair.key.to_string(), pair.value.text()));
    let timed = sent.time_unix_nano != 0;
    let at = if timed { moment(sent.time_unix_nano) } else { at };
    let whole = Exemplar { labels: Labels::new(trace.clone().chain(attributes)), value, at, timed };
    if whole.label_chars() <= MAX_CHARS {
        return Some(whole);
    }
    Some(Exemplar { labels: Labels::new(trace), ..whole })
}
