//! One guest watch in one instance, and the ways to get it: opened empty, or restored from states.

use crate::{
    bindings::{
        detector::{DetectorView, exports::tandem::plugin::detector::Guest},
        wit,
    },
    convert::{Check, detection},
    imports::HostState,
    instance::{CallError, Instance},
    plugin::{Plugin, Prepared},
    runtime::Core,
};
use std::{collections::BTreeMap, time::Duration};
use tandem_domain::{
    Failure,
    frame::{Frame, Group, GroupId, GroupState, Observation},
    plugin::PluginKind,
};
use wasmtime::{Store, component::ResourceAny};

/// Computing time of one call, beside the allowances.
const DEADLINE: Duration = Duration::from_millis(250);

/// Added per value: ten times what an interpreted detector needs (1.8 µs measured in Python).
const DEADLINE_PER_VALUE: Duration = Duration::from_micros(20);

/// Added per group, for what a call does once for each.
const DEADLINE_PER_GROUP: Duration = Duration::from_millis(1);

/// Attempts to find the states that a plugin refuses. Beyond them the rest counts as refused, and learns anew.
const MAX_RESTORE_ATTEMPTS: usize = 64;

/// A watch at work.
pub(super) struct Live {
    pub(super) instance: Instance<DetectorView>,
    watch: ResourceAny,
}

fn deadline(groups: usize, values: usize) -> Duration {
    let times = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    DEADLINE + DEADLINE_PER_VALUE.saturating_mul(times(values)) + DEADLINE_PER_GROUP.saturating_mul(times(groups))
}

fn values_in(frames: &[Frame]) -> usize {
    frames.iter().map(|frame| frame.value.len()).sum()
}

impl Live {
    /// A watch without groups.
    pub(super) fn open(core: &Core, plugin: &Plugin) -> Result<Self, CallError> {
        Self::start(core, plugin, "detector.open", 0, |store, guest| guest.call_open(store, &plugin.config))
    }

    fn restore_all(core: &Core, plugin: &Plugin, kept: &[(&Group, &[u8])]) -> Result<Self, CallError> {
        if kept.is_empty() {
            return Self::open(core, plugin);
        }
        let groups: Vec<_> = kept.iter().map(|(group, _)| detection::group_out(group)).collect();
        let states: Vec<_> = kept.iter().map(|(group, state)| detection::state_out(group.id, state)).collect();
        Self::start(core, plugin, "detector.restore", groups.len(), |store, guest| {
            guest.call_restore(store, &plugin.config, &groups, &states)
        })
    }

    /// A watch with all groups whose state the plugin takes, and the groups whose state it does not take.
    pub(super) fn restore(
        core: &Core,
        plugin: &Plugin,
        kept: &[(&Group, &[u8])],
    ) -> Result<(Self, Vec<(GroupId, Failure)>), CallError> {
        let mut error = match Self::restore_all(core, plugin, kept) {
            Ok(live) => return Ok((live, Vec::new())),
            Err(error) if kept.is_empty() => return Err(error),
            Err(error) => error,
        };
        let (mut taken, mut refused) = (Vec::new(), Vec::new());
        let mut attempts = 1;
        let mut waiting = halves(kept, &mut refused, &error);
        while let Some(part) = waiting.pop() {
            attempts += 1;
            if attempts > MAX_RESTORE_ATTEMPTS {
                refused.extend(part.iter().map(|(group, _)| (group.id, error.failure().clone())));
                continue;
            }
            match Self::restore_all(core, plugin, part) {
                Ok(_) => taken.extend_from_slice(part),
                Err(refusal) => {
                    waiting.extend(halves(part, &mut refused, &refusal));
                    error = refusal;
                }
            }
        }
        Ok((Self::restore_all(core, plugin, &taken)?, refused))
    }

    fn start(
        core: &Core,
        plugin: &Plugin,
        function: &str,
        groups: usize,
        open: impl FnOnce(&mut Store<HostState>, &Guest) -> wasmtime::Result<Result<ResourceAny, wit::Failure>>,
    ) -> Result<Self, CallError> {
        let Prepared::Detector(prepared) = &plugin.prepared else {
            return Err(CallError::Answered(core.wrong_kind(plugin, PluginKind::Detector)));
        };
        let state = HostState::pure(plugin.context.clone());
        let mut instance = Instance::start(&core.engine, &plugin.identity, state, |store| prepared.instantiate(store))
            .map_err(CallError::Broke)?;
        let watch = instance
            .call(function, deadline(groups, 0), |store, exports| open(store, exports.tandem_plugin_detector()))?;
        Ok(Self { instance, watch })
    }

    pub(super) fn join(&mut self, groups: &[&Group], history: &[Frame]) -> Result<(), CallError> {
        let watch = self.watch;
        let limit = deadline(groups.len(), values_in(history));
        let groups: Vec<_> = groups.iter().map(|group| detection::group_out(group)).collect();
        let history: Vec<_> = history.iter().map(detection::frame_out).collect();
        self.instance.call("detector.watch.join", limit, |store, exports| {
            exports.tandem_plugin_detector().watch().call_join(store, watch, &groups, &history)
        })
    }

    pub(super) fn leave(&mut self, groups: &[GroupId]) -> Result<(), CallError> {
        let watch = self.watch;
        let groups: Vec<u32> = groups.iter().map(|group| group.0).collect();
        self.instance.call("detector.watch.leave", deadline(groups.len(), 0), |store, exports| {
            exports.tandem_plugin_detector().watch().call_leave(store, watch, &groups)
        })
    }

    /// The answer is checked. A breach that costs the whole is a failure answered.
    pub(super) fn observe(
        &mut self,
        plugin: &Plugin,
        frames: &[Frame],
        groups: &BTreeMap<GroupId, Group>,
    ) -> Result<Observation, CallError> {
        const FUNCTION: &str = "detector.watch.observe";
        let watch = self.watch;
        let limit = deadline(frames.len(), values_in(frames));
        let batch: Vec<_> = frames.iter().map(detection::frame_out).collect();
        let said = self.instance.call(FUNCTION, limit, |store, exports| {
            exports.tandem_plugin_detector().watch().call_observe(store, watch, &batch)
        })?;
        let seen = detection::observation(Check { plugin: plugin.name(), function: FUNCTION }, said, groups);
        match &seen {
            Ok(seen) => seen.failed.iter().for_each(|_| plugin.identity.usage.count_contract_breach()),
            Err(_) => plugin.identity.usage.count_contract_breach(),
        }
        seen.map_err(CallError::Answered)
    }

    pub(super) fn snapshot(
        &mut self,
        plugin: &Plugin,
        wanted: &[GroupId],
        groups: &BTreeMap<GroupId, Group>,
    ) -> Result<Vec<GroupState>, CallError> {
        const FUNCTION: &str = "detector.watch.snapshot";
        let watch = self.watch;
        let wanted: Vec<u32> = wanted.iter().map(|group| group.0).collect();
        let said = self.instance.call(FUNCTION, deadline(wanted.len(), 0), |store, exports| {
            exports.tandem_plugin_detector().watch().call_snapshot(store, watch, &wanted)
        })?;
        detection::states(Check { plugin: plugin.name(), function: FUNCTION }, said, groups).map_err(|failure| {
            plugin.identity.usage.count_contract_breach();
            CallError::Answered(failure)
        })
    }
}

/// A state that was refused: alone it is the one, among others its half is tried next.
fn halves<'k>(
    part: &'k [(&'k Group, &'k [u8])],
    refused: &mut Vec<(GroupId, Failure)>,
    error: &CallError,
) -> Vec<&'k [(&'k Group, &'k [u8])]> {
    if let [(group, _)] = part {
        refused.push((group.id, error.failure().clone()));
        return Vec::new();
    }
    let (first, second) = part.split_at(part.len() / 2);
    vec![second, first]
}

/// Opens a watch and shows it nothing, as the loader's self-check: the plugin must take its configuration.
pub(crate) fn self_check(core: &Core, plugin: &Plugin) -> Result<(), Failure> {
    let mut live = Live::open(core, plugin).map_err(|error| error.failure().clone())?;
    match live.observe(plugin, &[], &BTreeMap::new()) {
        Ok(_) => Ok(()),
        Err(error) => Err(error.failure().clone()),
    }
}
