//! Root causes: who is to blame for what went wrong, best first, or an honest "cannot tell".

use crate::{about::Description, bindings, config, panic::install_hook, types::Failure};
use std::marker::PhantomData;

pub use crate::bindings::root_cause::exports::tandem::plugin::root_cause::{
    Case, Cause, CauseKind, Change, Dependency, Direction, DriftedColumn, Evidence, Fault, Frame, PeerGroup, Ranking,
    Signal, SignalClass, Suspect,
};

use crate::bindings::root_cause::exports::tandem::plugin::root_cause::Guest;

/// A way to tell causes. Pure: the same case gives the same answer.
pub trait RootCause: 'static {
    /// What the operator can set; `{}` must give the defaults.
    type Config: serde::de::DeserializeOwned + Default + 'static;

    /// What the plugin says of itself. The answer must not vary.
    fn describe() -> Description;

    /// Ranks the suspects of a case. The case was checked: columns have their length, indices lead somewhere.
    fn rank(config: &Self::Config, case: &Case) -> Result<Ranking, Failure>;
}

/// The component made of a plugin that ranks root causes.
#[doc(hidden)]
pub struct Exported<R>(PhantomData<R>);

impl<R: RootCause> bindings::about::exports::tandem::plugin::about::Guest for Exported<R> {
    fn describe() -> Description {
        install_hook();
        R::describe()
    }
}

impl<R: RootCause> Guest for Exported<R> {
    fn rank(config: String, case: Case) -> Result<Ranking, Failure> {
        install_hook();
        check_case(&case)?;
        R::rank(&config::parse(&config)?, &case)
    }
}

/// One signal of a case with its column.
#[derive(Debug, Clone, Copy)]
pub struct Column<'a> {
    /// Its number in the case.
    pub number: u32,
    /// What it is.
    pub signal: &'a Signal,
    /// Moments in milliseconds, ascending.
    pub at: &'a [i64],
    /// As many values; NaN is missing.
    pub value: &'a [f64],
}

/// The signals of a case in the order of their numbers.
pub fn columns(case: &Case) -> impl Iterator<Item = Column<'_>> {
    let all = case.frames.iter().flat_map(|frame| {
        let rows = frame.at.len();
        let column = move |(place, signal)| (frame, signal, place * rows..(place + 1) * rows);
        frame.signals.iter().enumerate().map(column)
    });
    all.enumerate().map(|(number, (frame, signal, range))| Column {
        number: number as u32,
        signal,
        at: &frame.at,
        value: &frame.value[range],
    })
}

/// Columns have their length, moments ascend, and every index leads to a suspect.
pub fn check_case(case: &Case) -> Result<(), Failure> {
    for (f, frame) in case.frames.iter().enumerate() {
        let (rows, signals, values) = (frame.at.len(), frame.signals.len(), frame.value.len());
        if rows.checked_mul(signals) != Some(values) {
            return Err(Failure::malformed(format!(
                "frame {f} has {values} values where {signals} signals of {rows} moments are described"
            )));
        }
        if !frame.at.is_sorted_by(|a, b| a < b) {
            return Err(Failure::malformed(format!("the moments of frame {f} do not ascend")));
        }
    }
    let suspects = case.suspects.len();
    let known = |what: &str, mut indices: Box<dyn Iterator<Item = u32> + '_>| match indices
        .find(|index| *index as usize >= suspects)
    {
        Some(index) => Err(Failure::malformed(format!("{what} names suspect {index}, but there are only {suspects}"))),
        None => Ok(()),
    };
    known("a signal", Box::new(case.frames.iter().flat_map(|f| &f.signals).map(|s| s.suspect)))?;
    known("`asked`", Box::new(case.asked.iter().copied()))?;
    known("a dependency", Box::new(case.dependencies.iter().flat_map(|d| [d.dependent, d.dependency])))?;
    known("a change", Box::new(case.changes.iter().map(|c| c.suspect)))?;
    known("a fault", Box::new(case.faults.iter().map(|f| f.suspect)))?;
    known("a drifted column", Box::new(case.drifted.iter().map(|d| d.suspect)))?;
    known("a peer group", Box::new(case.peers.iter().flat_map(|p| p.suspects.iter().copied())))
}

/// Makes a [`RootCause`](crate::root_cause::RootCause) the plugin of this crate.
#[macro_export]
macro_rules! root_cause {
    ($plugin:ident) => {
        const _: () = {
            #[allow(dead_code, reason = "natively it only proves that the trait is implemented")]
            type Exported = $crate::root_cause::Exported<$plugin>;
            const fn is_root_cause<T: $crate::root_cause::RootCause>() {}
            is_root_cause::<$plugin>();
            #[cfg(target_arch = "wasm32")]
    $crate::bindings::about::export_about!(Exported with_types_in $crate::bindings::about);
            #[cfg(target_arch = "wasm32")]
    $crate::bindings::root_cause::export_root_cause!(Exported with_types_in $crate::bindings::root_cause);
        };
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    fn case() -> Case {
        let suspect = |id: &str| Suspect { id: id.into(), kind: String::new(), attributes: Vec::new() };
        let signal = |suspect, name: &str| Signal { suspect, name: name.into(), class: SignalClass::Unknown };
        Case {
            suspects: vec![suspect("a"), suspect("b")],
            frames: vec![
                Frame {
                    at: vec![1, 2],
                    signals: vec![signal(0, "cpu"), signal(1, "cpu")],
                    value: vec![1.0, 2.0, 3.0, 4.0],
                },
                Frame { at: vec![5], signals: vec![signal(1, "errors")], value: vec![f64::NAN] },
            ],
            onset: None,
            asked: vec![0],
            dependencies: Vec::new(),
            changes: Vec::new(),
            faults: Vec::new(),
            drifted: Vec::new(),
            peers: vec![PeerGroup { suspects: vec![0, 1] }],
        }
    }

    #[test]
    fn signals_are_numbered_through_all_frames_with_their_columns() {
        let case = case();
        check_case(&case).expect("whole");
        let all: Vec<Column<'_>> = columns(&case).collect();
        assert_eq!(all.iter().map(|c| (c.number, c.signal.suspect)).collect::<Vec<_>>(), [(0, 0), (1, 1), (2, 1)]);
        assert_eq!((all[1].value, all[1].at), (&[3.0, 4.0][..], &[1_i64, 2][..]));
        assert_eq!((all[2].value.len(), all[2].signal.name.as_str()), (1, "errors"));
    }

    #[test]
    fn a_case_that_contradicts_itself_is_refused_with_the_place() {
        type Break = fn(&mut Case);
        let broken: [(Break, &str); 4] = [
            (|case| case.frames[0].value.truncate(3), "frame 0 has 3 values"),
            (|case| case.frames[0].at = vec![2, 2], "moments of frame 0 do not ascend"),
            (|case| case.asked = vec![2], "`asked` names suspect 2"),
            (|case| case.peers[0].suspects.push(9), "a peer group names suspect 9"),
        ];
        for (breaks, told) in broken {
            let mut case = case();
            breaks(&mut case);
            let failure = check_case(&case).expect_err(told);
            assert!(failure.message.contains(told), "{}", failure.message);
        }
    }
}
