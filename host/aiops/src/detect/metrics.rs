//! What the detect room counts, per detector.

use crate::metrics::{Count, MetricSample};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

/// Counters of one detector.
#[derive(Debug, Default)]
pub struct DetectorMetrics {
    /// Groups under watch.
    pub groups: Count,
    /// Groups that could not be observed and wait to be tried again.
    pub benched: Count,
    /// Samples read.
    pub samples: Count,
    /// Batches of samples that are not read yet.
    pub lag_batches: Count,
    /// Findings opened.
    pub findings: Count,
    /// Faults that began or ended.
    pub faults: Count,
    /// Answers that did not keep the contract.
    pub unusable: Count,
    /// Times the watch was opened.
    pub opened: Count,
    /// States saved.
    pub saved: Count,
    /// States that a detector went on from when its watch was opened.
    pub restored: Count,
    /// States that it refused, so that the group learned afresh.
    pub refused: Count,
}

/// Counters of the detect room.
#[derive(Debug, Default)]
pub struct DetectMetrics {
    detectors: Mutex<BTreeMap<String, Arc<DetectorMetrics>>>,
}

impl DetectMetrics {
    /// Those of one detector.
    pub fn of(&self, detector: &str) -> Arc<DetectorMetrics> {
        let mut detectors = self.detectors.lock().unwrap_or_else(PoisonError::into_inner);
        detectors.entry(detector.to_owned()).or_default().clone()
    }

    /// As shown.
    pub fn samples(&self) -> Vec<MetricSample> {
        let detectors = self.detectors.lock().unwrap_or_else(PoisonError::into_inner);
        let of_one = |(name, counts): (&String, &Arc<DetectorMetrics>)| {
            [
                ("tandem_detect_groups", "Groups under watch.", counts.groups.get()),
                ("tandem_detect_benched_groups", "Groups that wait to be tried again.", counts.benched.get()),
                ("tandem_detect_samples_total", "Samples read.", counts.samples.get()),
                ("tandem_detect_lag_batches", "Batches of samples not read yet.", counts.lag_batches.get()),
                ("tandem_detect_findings_total", "Findings opened.", counts.findings.get()),
                ("tandem_detect_fault_changes_total", "Faults that began or ended.", counts.faults.get()),
                ("tandem_detect_unusable_total", "Answers that did not keep the contract.", counts.unusable.get()),
                ("tandem_detect_opened_total", "Times the watch was opened.", counts.opened.get()),
                ("tandem_detect_saved_states_total", "States saved.", counts.saved.get()),
                ("tandem_detect_restored_states_total", "States gone on from.", counts.restored.get()),
                (
                    "tandem_detect_refused_states_total",
                    "States refused; the group learns afresh.",
                    counts.refused.get(),
                ),
            ]
            .map(|(metric, help, value)| MetricSample {
                name: metric,
                help,
                labels: vec![("detector", name.clone())],
                value: value as f64,
            })
        };
        detectors.iter().flat_map(of_one).collect()
    }
}
