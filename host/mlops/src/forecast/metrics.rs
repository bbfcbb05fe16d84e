//! What the forecast room counts.

use tandem_domain::count::{Count, Reading};

/// Counters of the forecast room.
#[derive(Debug, Default)]
pub(crate) struct ForecastCounts {
    pub(super) predictions: Count,
    pub(super) labels: Count,
    pub(super) given_up: Count,
    pub(super) fits: Count,
    pub(super) owed: Count,
}

impl ForecastCounts {
    pub(crate) fn read(&self) -> Vec<Reading> {
        vec![
            ("tandem_forecast_predictions_total", "Values ahead that were forecast", self.predictions.get()),
            ("tandem_forecast_labels_total", "Forecasts whose time came and whose value was seen", self.labels.get()),
            (
                "tandem_forecast_labels_given_up_total",
                "Forecasts whose time came and for which no value was seen",
                self.given_up.get(),
            ),
            ("tandem_forecast_fits_total", "Times the forecaster was fitted anew", self.fits.get()),
            ("tandem_forecast_labels_owed", "Forecasts whose time has not come", self.owed.get()),
        ]
    }
}
