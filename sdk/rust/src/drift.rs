//! Drift metrics: how far a current sample has moved from a reference.

use crate::{about::Description, bindings, config, framing, panic::install_hook, types::Failure};
use std::{cell::RefCell, marker::PhantomData, rc::Rc};

pub use crate::bindings::drift_metric::exports::tandem::plugin::drift_metric::{
    Chunk, ColumnDescription, ColumnType, Drift, Method, Values,
};

use crate::bindings::drift_metric::exports::tandem::plugin::drift_metric as exported;

/// A way to measure drift. Pure: the same samples and seed give the same answer.
pub trait DriftMetric: 'static {
    /// What the operator can set; `{}` must give the defaults.
    type Config: serde::de::DeserializeOwned + Default + 'static;
    /// The reference while it is being fed.
    type Fitting: 'static;
    /// The reference as it is kept.
    type Reference: 'static;
    /// A current sample while it is being fed.
    type Comparison: 'static;

    /// What the plugin says of itself. The answer must not vary.
    fn describe() -> Description;

    /// Begins a reference.
    fn fit(config: &Self::Config, columns: &[ColumnDescription], seed: u64) -> Result<Self::Fitting, Failure>;

    /// Takes rows of the reference. The chunk has the columns described, all of one length.
    fn feed_reference(fitting: &mut Self::Fitting, chunk: &Chunk) -> Result<(), Failure>;

    /// Ends the reference.
    fn finish_reference(fitting: Self::Fitting) -> Result<Self::Reference, Failure>;

    /// The reference in the plugin's own versioned form.
    fn save(reference: &Self::Reference) -> Vec<u8>;

    /// The reference that `save` gave. One that an older version wrote is understood or refused as `unsupported`.
    fn load(config: &Self::Config, columns: &[ColumnDescription], state: &[u8]) -> Result<Self::Reference, Failure>;

    /// Begins a comparison.
    fn compare(reference: &Self::Reference, seed: u64) -> Result<Self::Comparison, Failure>;

    /// Takes rows of the current sample.
    fn feed_current(comparison: &mut Self::Comparison, chunk: &Chunk) -> Result<(), Failure>;

    /// Ends the comparison with its results.
    fn finish_current(comparison: Self::Comparison) -> Result<Vec<Drift>, Failure>;
}

/// The component made of a drift metric.
#[doc(hidden)]
pub struct Exported<M>(PhantomData<M>);

/// The `fitting` resource.
#[doc(hidden)]
pub struct FittingOf<M: DriftMetric> {
    columns: Rc<[ColumnDescription]>,
    fitting: RefCell<Option<M::Fitting>>,
}

/// The `reference` resource.
#[doc(hidden)]
pub struct ReferenceOf<M: DriftMetric> {
    columns: Rc<[ColumnDescription]>,
    reference: M::Reference,
}

/// The `comparison` resource.
#[doc(hidden)]
pub struct ComparisonOf<M: DriftMetric> {
    columns: Rc<[ColumnDescription]>,
    comparison: RefCell<Option<M::Comparison>>,
}

impl<M: DriftMetric> bindings::about::exports::tandem::plugin::about::Guest for Exported<M> {
    fn describe() -> Description {
        install_hook();
        M::describe()
    }
}

impl<M: DriftMetric> exported::Guest for Exported<M> {
    type Fitting = FittingOf<M>;
    type Reference = ReferenceOf<M>;
    type Comparison = ComparisonOf<M>;

    fn fit(config: String, columns: Vec<ColumnDescription>, seed: u64) -> Result<exported::Fitting, Failure> {
        install_hook();
        check_columns(&columns)?;
        let fitting = RefCell::new(Some(M::fit(&config::parse(&config)?, &columns, seed)?));
        Ok(exported::Fitting::new(FittingOf::<M> { columns: columns.into(), fitting }))
    }

    fn restore(
        config: String,
        columns: Vec<ColumnDescription>,
        state: Vec<u8>,
    ) -> Result<exported::Reference, Failure> {
        install_hook();
        check_columns(&columns)?;
        let reference = M::load(&config::parse(&config)?, &columns, framing::unwrap(&state)?)?;
        Ok(exported::Reference::new(ReferenceOf::<M> { columns: columns.into(), reference }))
    }
}

impl<M: DriftMetric> exported::GuestFitting for FittingOf<M> {
    fn feed(&self, chunk: Chunk) -> Result<(), Failure> {
        check_chunk(&self.columns, &chunk)?;
        M::feed_reference(self.fitting.borrow_mut().as_mut().ok_or_else(finished)?, &chunk)
    }

    fn finish(&self) -> Result<exported::Reference, Failure> {
        let fitting = self.fitting.borrow_mut().take().ok_or_else(finished)?;
        let reference = M::finish_reference(fitting)?;
        Ok(exported::Reference::new(ReferenceOf::<M> { columns: self.columns.clone(), reference }))
    }
}

impl<M: DriftMetric> exported::GuestReference for ReferenceOf<M> {
    fn snapshot(&self) -> Result<Vec<u8>, Failure> {
        Ok(framing::wrap(&M::save(&self.reference)))
    }

    fn compare(&self, seed: u64) -> Result<exported::Comparison, Failure> {
        let comparison = RefCell::new(Some(M::compare(&self.reference, seed)?));
        Ok(exported::Comparison::new(ComparisonOf::<M> { columns: self.columns.clone(), comparison }))
    }
}

impl<M: DriftMetric> exported::GuestComparison for ComparisonOf<M> {
    fn feed(&self, chunk: Chunk) -> Result<(), Failure> {
        check_chunk(&self.columns, &chunk)?;
        M::feed_current(self.comparison.borrow_mut().as_mut().ok_or_else(finished)?, &chunk)
    }

    fn finish(&self) -> Result<Vec<Drift>, Failure> {
        M::finish_current(self.comparison.borrow_mut().take().ok_or_else(finished)?)
    }
}

fn finished() -> Failure {
    Failure::malformed("the sample was finished already; begin a new one")
}

fn check_columns(columns: &[ColumnDescription]) -> Result<(), Failure> {
    match columns.iter().find(|c| c.width == 0 || (c.width > 1 && c.column_type != ColumnType::Embedding)) {
        Some(column) => Err(Failure::malformed(format!(
            "column {:?} has width {}; an embedding has at least 1, any other column 1",
            column.name, column.width
        ))),
        None => Ok(()),
    }
}

/// A chunk has the columns described, in their order, all with the same number of rows.
pub fn check_chunk(columns: &[ColumnDescription], chunk: &Chunk) -> Result<(), Failure> {
    if columns.len() != chunk.columns.len() {
        return Err(Failure::malformed(format!(
            "a chunk has {} columns where {} were described",
            chunk.columns.len(),
            columns.len()
        )));
    }
    let mut rows = None;
    for (column, values) in columns.iter().zip(&chunk.columns) {
        let length = match (column.column_type, values) {
            (ColumnType::Categorical, Values::Codes(codes)) => codes.len(),
            (ColumnType::Numeric | ColumnType::Embedding, Values::Numbers(numbers)) => numbers.len(),
            _ => return Err(Failure::malformed(format!("the values of column {:?} are not of its type", column.name))),
        };
        let width = column.width.max(1) as usize;
        let column_rows = length / width;
        if length % width != 0 || *rows.get_or_insert(column_rows) != column_rows {
            return Err(Failure::malformed(format!(
                "column {:?} has {length} values, which are not as many rows as the other columns have",
                column.name
            )));
        }
    }
    Ok(())
}

/// Makes a [`DriftMetric`](crate::drift::DriftMetric) the plugin of this crate.
#[macro_export]
macro_rules! drift_metric {
    ($plugin:ident) => {
        const _: () = {
            #[allow(dead_code, reason = "natively it only proves that the trait is implemented")]
            type Exported = $crate::drift::Exported<$plugin>;
            const fn is_drift_metric<T: $crate::drift::DriftMetric>() {}
            is_drift_metric::<$plugin>();
            #[cfg(target_arch = "wasm32")]
    $crate::bindings::about::export_about!(Exported with_types_in $crate::bindings::about);
            #[cfg(target_arch = "wasm32")]
            $crate::bindings::drift_metric::export_drift_metric!(
                Exported with_types_in $crate::bindings::drift_metric
            );
        };
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(name: &str, column_type: ColumnType, width: u32) -> ColumnDescription {
        ColumnDescription { name: name.into(), column_type, width, categories: Vec::new() }
    }

    #[test]
    fn chunks_must_have_the_columns_described() {
        let columns = [
            column("age", ColumnType::Numeric, 1),
            column("city", ColumnType::Categorical, 1),
            column("text", ColumnType::Embedding, 3),
        ];
        check_columns(&columns).expect("good widths");
        let chunk = |age: usize, city: usize, text: usize| Chunk {
            columns: vec![
                Values::Numbers(vec![0.0; age]),
                Values::Codes(vec![0; city]),
                Values::Numbers(vec![0.0; text]),
            ],
        };
        check_chunk(&columns, &chunk(2, 2, 6)).expect("two rows each");
        for (age, city, text) in [(2, 2, 5), (2, 3, 6), (1, 2, 6), (2, 2, 9)] {
            assert!(check_chunk(&columns, &chunk(age, city, text)).is_err(), "{age} {city} {text}");
        }
        assert!(check_chunk(&columns[..1], &Chunk { columns: vec![Values::Codes(vec![0])] }).is_err());
        assert!(check_columns(&[column("age", ColumnType::Numeric, 2)]).is_err());
    }
}
