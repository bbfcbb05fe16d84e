//! Detectors: they say which points are odd and what is broken. The SDK keeps the groups; a detector knows one at a time.

use crate::{
    about::Description,
    bindings,
    types::{Failure, Timestamp},
};
use std::{cell::RefCell, marker::PhantomData};

mod answer;
mod watched;

pub use answer::Answer;
pub use watched::Watched;

pub use crate::bindings::detector::exports::tandem::plugin::detector::{
    Attribution, Fault, Frame, Group, GroupState, Member, Observation, Scores,
};

use crate::{
    bindings::detector::exports::tandem::plugin::detector::{Guest, GuestWatch, Watch},
    panic::install_hook,
};

/// The state of one group and the rules over it. Pure: the same input gives the same answer.
pub trait Detector: Sized + 'static {
    /// What the operator can set; `{}` must give the defaults.
    type Config: serde::de::DeserializeOwned + Default + 'static;

    /// What the plugin says of itself. The answer must not vary.
    fn describe() -> Description;

    /// A group begins to be watched.
    fn new(config: &Self::Config, group: &Group) -> Result<Self, Failure>;

    /// Takes history, which is not answered.
    fn learn(&mut self, config: &Self::Config, group: &Group, frame: &Frame);

    /// Takes new points and answers them, or earlier ones.
    fn observe(
        &mut self,
        config: &Self::Config,
        group: &Group,
        frame: &Frame,
        answer: &mut Answer,
    ) -> Result<(), Failure>;

    /// The state in the plugin's own versioned form.
    fn save(&self) -> Vec<u8>;

    /// The state that `save` gave. One that an older version wrote is understood or refused as `unsupported`.
    fn load(config: &Self::Config, group: &Group, state: &[u8]) -> Result<Self, Failure>;
}

impl Frame {
    /// How many moments the frame has.
    pub fn len(&self) -> usize {
        self.at.len()
    }

    /// Whether it has no moments.
    pub fn is_empty(&self) -> bool {
        self.at.is_empty()
    }

    /// The values of one member, one for each moment. Empty for a member that the group does not have.
    pub fn column(&self, member: usize) -> &[f64] {
        let moments = self.at.len();
        self.value.get(member * moments..(member + 1) * moments).unwrap_or_default()
    }

    /// Moments and values of one member.
    pub fn points(&self, member: usize) -> impl Iterator<Item = (Timestamp, f64)> + '_ {
        self.at.iter().copied().zip(self.column(member).iter().copied())
    }
}

/// The component made of a detector.
#[doc(hidden)]
pub struct Exported<D>(PhantomData<D>);

/// The `watch` resource.
#[doc(hidden)]
pub struct WatchOf<D: Detector>(RefCell<Watched<D>>);

impl<D: Detector> bindings::about::exports::tandem::plugin::about::Guest for Exported<D> {
    fn describe() -> Description {
        install_hook();
        D::describe()
    }
}

impl<D: Detector> Guest for Exported<D> {
    type Watch = WatchOf<D>;

    fn open(config: String) -> Result<Watch, Failure> {
        install_hook();
        Ok(Watch::new(WatchOf(RefCell::new(Watched::<D>::open(&config)?))))
    }

    fn restore(config: String, groups: Vec<Group>, states: Vec<GroupState>) -> Result<Watch, Failure> {
        install_hook();
        Ok(Watch::new(WatchOf(RefCell::new(Watched::<D>::restore(&config, groups, states)?))))
    }
}

impl<D: Detector> GuestWatch for WatchOf<D> {
    fn join(&self, groups: Vec<Group>, history: Vec<Frame>) -> Result<(), Failure> {
        self.0.borrow_mut().join(groups, history)
    }

    fn leave(&self, groups: Vec<u32>) -> Result<(), Failure> {
        self.0.borrow_mut().leave(&groups);
        Ok(())
    }

    fn observe(&self, batch: Vec<Frame>) -> Result<Observation, Failure> {
        self.0.borrow_mut().observe(batch)
    }

    fn snapshot(&self, groups: Vec<u32>) -> Result<Vec<GroupState>, Failure> {
        self.0.borrow().snapshot(&groups)
    }
}

/// Makes a [`Detector`](crate::detector::Detector) the plugin of this crate.
#[macro_export]
macro_rules! detector {
    ($plugin:ident) => {
        const _: () = {
            #[allow(dead_code, reason = "natively it only proves that the trait is implemented")]
            type Exported = $crate::detector::Exported<$plugin>;
            const fn is_detector<T: $crate::detector::Detector>() {}
            is_detector::<$plugin>();
            #[cfg(target_arch = "wasm32")]
    $crate::bindings::about::export_about!(Exported with_types_in $crate::bindings::about);
            #[cfg(target_arch = "wasm32")]
    $crate::bindings::detector::export_detector!(Exported with_types_in $crate::bindings::detector);
        };
    };
}
