//! Which series a plugin wishes to see: selectors against names, kinds and labels.

use tandem_domain::{plugin::Selector, series::Labels};

/// Whether a text fits a pattern, in which `*` stands for any run of characters.
///
/// The greedy two-pointer walk of wildcard matching: after a mismatch only the last `*` is widened, so the time is bounded by
/// the product of the lengths.
pub fn pattern_fits(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        if pattern.get(p) == Some(&b'*') {
            star = Some((p, t));
            p += 1;
        } else if pattern.get(p) == Some(&text[t]) {
            p += 1;
            t += 1;
        } else if let Some((star_p, star_t)) = star {
            star = Some((star_p, star_t + 1));
            p = star_p + 1;
            t = star_t + 1;
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|byte| *byte == b'*')
}

fn one_fits(patterns: &[String], text: &str) -> bool {
    patterns.is_empty() || patterns.iter().any(|pattern| pattern_fits(pattern, text))
}

fn labels_fit(wanted: &[(String, String)], labels: &Labels) -> bool {
    wanted.iter().all(|(name, pattern)| labels.get(name).is_some_and(|value| pattern_fits(pattern, value)))
}

/// Whether a mapper's selector fits a series under its sender's name.
pub fn fits_sent(selector: &Selector, metric: &str, labels: &Labels) -> bool {
    one_fits(&selector.metrics, metric) && labels_fit(&selector.labels, labels)
}

/// Whether a selector fits a series under the name that a mapper gave.
pub fn fits_mapped(
    selector: &Selector,
    name: &str,
    entity_kind: &str,
    dimensions: &Labels,
    has_fault_rules: bool,
) -> bool {
    one_fits(&selector.metrics, name)
        && one_fits(&selector.entity_kinds, entity_kind)
        && labels_fit(&selector.labels, dimensions)
        && (has_fault_rules || !selector.with_fault_rules)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_run() {
        assert!(pattern_fits("node_*_total", "node_cpu_seconds_total"));
        assert!(pattern_fits("*", ""));
        assert!(pattern_fits("a*b*c", "axxbyybzc"));
        assert!(pattern_fits("up", "up"));
        assert!(!pattern_fits("up", "ups"));
        assert!(!pattern_fits("node_*_total", "node_load1"));
        assert!(!pattern_fits("", "x"));
        let many = "a".repeat(2_000);
        assert!(!pattern_fits(&format!("{}b", "*a".repeat(200)), &many));
    }

    #[test]
    fn every_condition_must_hold() {
        let selector = Selector {
            metrics: vec!["gpu.*".into()],
            entity_kinds: vec!["gpu".into()],
            labels: vec![("mode".into(), "idle".into())],
            with_fault_rules: true,
        };
        let labels = Labels::new([("mode".to_owned(), "idle".to_owned())]);
        assert!(fits_mapped(&selector, "gpu.xid", "gpu", &labels, true));
        assert!(!fits_mapped(&selector, "gpu.xid", "gpu", &labels, false));
        assert!(!fits_mapped(&selector, "gpu.xid", "host", &labels, true));
        assert!(!fits_mapped(&selector, "gpu.xid", "gpu", &Labels::default(), true));
        assert!(fits_sent(&Selector::default(), "anything", &Labels::default()));
    }
}
