//! One guest in a store of its own: made under limits, called under a deadline, counted, and described when it breaks.

use crate::{bindings::wit, convert::Check, engine::ticks, imports::HostState, usage::UsageCounters};
use std::{
    sync::{Arc, atomic::AtomicU64, atomic::Ordering::Relaxed},
    time::{Duration, Instant},
};
use tandem_domain::{Failure, FailureCode};
use wasmtime::{Engine, Store, Trap, UpdateDeadline, WasmBacktrace};

/// A deadline of computing time is also kept on the wall, this many times over: a machine that is so short of processors
/// that a guest gets an eighth of one should give up on it rather than fall behind for ever.
const WALL_TO_COMPUTING: u32 = 8;

/// Frames of the guest's stack in the text of a trap.
const MAX_BACKTRACE_FRAMES: usize = 6;

/// The engine shows twenty frames of a trap; half of them in one function are no accident.
const RECURSION_FRAMES: usize = 10;

/// What every instance of a plugin shares with the counters and texts about it.
#[derive(Debug)]
pub(crate) struct Identity {
    /// The plugin's name.
    pub(crate) name: String,
    /// Its counters.
    pub(crate) usage: Arc<UsageCounters>,
    /// What one instance may have.
    pub(crate) memory_limit_bytes: u64,
}

/// Why a call brought no answer.
#[derive(Debug, Clone)]
pub(crate) enum CallError {
    /// The guest answered with a failure; the instance is good.
    Answered(Failure),
    /// The guest trapped, ran out of time or lied about memory; the instance is lost, and all resources in it.
    Broke(Failure),
}

impl CallError {
    /// What to tell the caller.
    pub(crate) fn failure(&self) -> &Failure {
        match self {
            CallError::Answered(failure) | CallError::Broke(failure) => failure,
        }
    }
}

/// When the running call began and how long it may take; read by the engine's interrupt.
#[derive(Debug, Default)]
struct CallTimer {
    began_cpu_nanos: AtomicU64,
    began_wall_nanos: AtomicU64,
    limit_nanos: AtomicU64,
}

impl CallTimer {
    fn start(&self, limit: Duration) {
        self.began_cpu_nanos.store(clock_nanos(rustix::time::ClockId::ThreadCPUTime), Relaxed);
        self.began_wall_nanos.store(clock_nanos(rustix::time::ClockId::Monotonic), Relaxed);
        self.limit_nanos.store(u64::try_from(limit.as_nanos()).unwrap_or(u64::MAX / 16), Relaxed);
    }

    /// What is left, or nothing when time is up. Called on the thread that runs the guest.
    fn left(&self) -> Option<Duration> {
        let limit = self.limit_nanos.load(Relaxed);
        let computed =
            clock_nanos(rustix::time::ClockId::ThreadCPUTime).saturating_sub(self.began_cpu_nanos.load(Relaxed));
        let passed = clock_nanos(rustix::time::ClockId::Monotonic).saturating_sub(self.began_wall_nanos.load(Relaxed));
        if passed >= limit.saturating_mul(u64::from(WALL_TO_COMPUTING)) {
            return None;
        }
        limit.checked_sub(computed).filter(|left| *left > 0).map(Duration::from_nanos)
    }
}

fn clock_nanos(clock: rustix::time::ClockId) -> u64 {
    let now = rustix::time::clock_gettime(clock);
    u64::try_from(now.tv_sec).unwrap_or(0).saturating_mul(1_000_000_000) + u64::try_from(now.tv_nsec).unwrap_or(0)
}

/// One guest. All its calls are made on worker threads, never on the async runtime's.
pub(crate) struct Instance<E> {
    store: Store<HostState>,
    exports: E,
    identity: Arc<Identity>,
    timer: Arc<CallTimer>,
    calls: u32,
}

/// Time in which a new instance must have run its start function.
pub(crate) const START_DEADLINE: Duration = Duration::from_secs(5);

impl<E> Instance<E> {
    /// Makes a store with `state` and a guest in it.
    pub(crate) fn start(
        engine: &Engine,
        identity: &Arc<Identity>,
        state: HostState,
        instantiate: impl FnOnce(&mut Store<HostState>) -> wasmtime::Result<E>,
    ) -> Result<Self, Failure> {
        let mut store = Store::new(engine, state);
        store.limiter(|state| state.limiter());
        let timer = Arc::new(CallTimer::default());
        let seen = timer.clone();
        store.epoch_deadline_callback(move |_| match seen.left() {
            Some(left) => Ok(UpdateDeadline::Continue(ticks(left))),
            None => Err(Trap::Interrupt.into()),
        });
        timer.start(START_DEADLINE);
        store.set_epoch_deadline(ticks(START_DEADLINE));
        match instantiate(&mut store) {
            Ok(exports) => {
                identity.usage.count_instance();
                Ok(Self { store, exports, identity: identity.clone(), timer, calls: 0 })
            }
            Err(error) => Err(describe_break(identity, store.data(), "start", START_DEADLINE, &error)),
        }
    }

    /// Calls a function that answers with a result.
    pub(crate) fn call<T>(
        &mut self,
        function: &str,
        limit: Duration,
        call: impl FnOnce(&mut Store<HostState>, &E) -> wasmtime::Result<Result<T, wit::Failure>>,
    ) -> Result<T, CallError> {
        match self.call_plain(function, limit, call)? {
            Ok(answer) => Ok(answer),
            Err(failure) => {
                self.identity.usage.count_failure();
                let check = Check { plugin: &self.identity.name, function };
                Err(CallError::Answered(check.failure(failure)))
            }
        }
    }

    /// Calls a function that cannot fail but by breaking.
    pub(crate) fn call_plain<T>(
        &mut self,
        function: &str,
        limit: Duration,
        call: impl FnOnce(&mut Store<HostState>, &E) -> wasmtime::Result<T>,
    ) -> Result<T, CallError> {
        self.store.data().clear_log();
        self.timer.start(limit);
        self.store.set_epoch_deadline(ticks(limit));
        let began = Instant::now();
        let outcome = call(&mut self.store, &self.exports);
        self.identity.usage.count_call(began.elapsed());
        self.calls = self.calls.saturating_add(1);
        outcome.map_err(|error| {
            CallError::Broke(describe_break(&self.identity, self.store.data(), function, limit, &error))
        })
    }

    /// What the host keeps for it.
    pub(crate) fn state_mut(&mut self) -> &mut HostState {
        self.store.data_mut()
    }

    /// Whether it has served long enough, or has grown so big that a fresh one is cheaper than its next growth. A linear
    /// memory never shrinks, so only a new instance gives back what a peak took.
    pub(crate) fn is_worn(&self, max_calls: u32) -> bool {
        let high_water = self.identity.memory_limit_bytes / 4 * 3;
        self.calls >= max_calls
            || (self.calls >= MIN_CALLS_BEFORE_RECYCLING && self.store.data().memory_bytes() >= high_water)
    }
}

/// An instance that needs three quarters of its memory at once would otherwise be replaced at every call.
const MIN_CALLS_BEFORE_RECYCLING: u32 = 64;

impl<E> Drop for Instance<E> {
    fn drop(&mut self) {
        self.identity.usage.uncount_instance();
    }
}

/// Counts a break and says what happened, where, and what to do.
pub(crate) fn describe_break(
    identity: &Identity,
    state: &HostState,
    function: &str,
    limit: Duration,
    error: &wasmtime::Error,
) -> Failure {
    let plugin = &identity.name;
    let log = state.log_tail();
    let last_words = if log.trim().is_empty() { String::new() } else { format!("; its last words: {}", log.trim()) };
    let functions = functions(error);
    let place = place(&functions);
    let Some(trap) = error.downcast_ref::<Trap>() else {
        return describe_host_error(identity, function, error, &last_words);
    };
    if *trap == Trap::Interrupt {
        identity.usage.count_timeout();
        return Failure::passing(
            FailureCode::Internal,
            format!(
                "plugin {plugin}, {function}: ran out of time, it computed for more than {} ms{place}{last_words}; give it less \
                 at once or mend the plugin",
                limit.as_millis()
            ),
        );
    }
    identity.usage.count_trap();
    let what = match trap {
        Trap::StackOverflow => "used up its stack (endless recursion?)".to_owned(),
        Trap::MemoryOutOfBounds if recurses(&functions) => "used up its stack (endless recursion?)".to_owned(),
        Trap::UnreachableCodeReached => "panicked".to_owned(),
        other => format!("trapped ({})", other.to_string().trim_start_matches("wasm trap: ")),
    };
    let memory = state.memory_refusal().map(|refusal| format!("; before that {refusal}")).unwrap_or_default();
    Failure::lasting(
        FailureCode::Internal,
        format!(
            "plugin {plugin}, {function}: {what}{place}{memory}{last_words}; mend the plugin or take an earlier version"
        ),
    )
}

/// An error that is no trap: the host refused something in the middle, or the answer could not be lifted.
fn describe_host_error(identity: &Identity, function: &str, error: &wasmtime::Error, last_words: &str) -> Failure {
    let cause = error.root_cause().to_string();
    // What wasmtime says when it cannot read an answer out of guest memory.
    let unreadable = ["pointer", "utf-8", "utf8", "discriminant", "list", "string", "out of bounds", "char"]
        .iter()
        .any(|word| cause.to_lowercase().contains(word));
    if unreadable {
        identity.usage.count_contract_breach();
        return Failure::lasting(
            FailureCode::Malformed,
            format!(
                "plugin {}, {function}: its answer cannot be read ({cause}){last_words}; the plugin does not keep the contract, \
                 use a version that does or tell its author",
                identity.name
            ),
        );
    }
    identity.usage.count_trap();
    Failure::lasting(
        FailureCode::Internal,
        format!("plugin {}, {function}: stopped by the host: {cause}{last_words}; mend the plugin", identity.name),
    )
}

/// The guest's functions at the moment of the trap, innermost first, by the names of their source.
fn functions(error: &wasmtime::Error) -> Vec<String> {
    let Some(backtrace) = error.downcast_ref::<WasmBacktrace>() else { return Vec::new() };
    let names = backtrace.frames().iter().filter_map(wasmtime::FrameInfo::func_name);
    names.map(|name| format!("{:#}", rustc_demangle::demangle(name))).collect()
}

/// The innermost frames, as ` in f < g < h`, without the machinery of panics.
fn place(functions: &[String]) -> String {
    const MACHINERY: [&str; 3] = ["panic", "rust_begin_unwind", "__rust_end_short_backtrace"];
    let told = functions.iter().filter(|name| !MACHINERY.iter().any(|part| name.contains(part)));
    let mut frames: Vec<&str> = told.map(|name| crate::convert::shortened(name)).collect();
    frames.dedup();
    frames.truncate(MAX_BACKTRACE_FRAMES);
    if frames.is_empty() { String::new() } else { format!(" in {}", frames.join(" < ")) }
}

/// Whether a function stands so often on the stack that it must have called itself without an end. Compilers keep part of
/// the stack in linear memory, and where that part is used up first the trap is one of memory.
fn recurses(functions: &[String]) -> bool {
    functions.iter().any(|name| functions.iter().filter(|other| *other == name).count() >= RECURSION_FRAMES)
}
