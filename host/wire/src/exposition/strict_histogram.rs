//! Whether the parts of one histogram at one moment agree.

/// What was seen of it.
#[derive(Debug, Default)]
pub(super) struct Parts {
    last: Option<(f64, f64)>,
    infinite: Option<f64>,
    negative: bool,
    count: Option<f64>,
    sum: Option<f64>,
}

impl Parts {
    /// A bucket with its bound as written.
    pub(super) fn bucket(&mut self, bound: &str, value: f64) -> Result<(), String> {
        let number = match bound {
            "+Inf" => f64::INFINITY,
            _ => super::lexer::finite(bound).ok_or_else(|| format!("{bound:?} is no bound of a bucket"))?,
        };
        if let Some((before, counted)) = self.last {
            if number <= before {
                return Err("the bounds of the buckets do not rise".into());
            }
            if value < counted {
                return Err("a bucket holds less than the one before".into());
            }
        }
        self.last = Some((number, value));
        self.negative |= number < 0.0;
        if number == f64::INFINITY {
            self.infinite = Some(value);
        }
        Ok(())
    }

    pub(super) fn count(&mut self, value: f64) {
        self.count = Some(value);
    }

    pub(super) fn sum(&mut self, value: f64) {
        self.sum = Some(value);
    }

    /// What is wrong with the whole; `gauge` for a gauge histogram.
    pub(super) fn end(&self, gauge: bool) -> Result<(), String> {
        if self.last.is_none() && self.count.is_none() && self.sum.is_none() {
            return Ok(());
        }
        let Some(infinite) = self.infinite else { return Err("a histogram has no bucket +Inf".into()) };
        if self.count.is_some_and(|count| count != infinite) {
            return Err("the bucket +Inf and the count differ".into());
        }
        let paired = self.count.is_some() == self.sum.is_some();
        match (gauge, self.negative) {
            (true, false) if self.sum.is_some_and(|sum| sum < 0.0) => {
                Err("a negative sum without negative buckets".into())
            }
            (false, true) if self.sum.is_some() => Err("a sum with negative buckets, which can fall".into()),
            (false, true) => Ok(()),
            _ if !paired => Err("a histogram has a count without sum, or a sum without count".into()),
            _ => Ok(()),
        }
    }
}
