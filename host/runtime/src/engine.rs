//! The one wasmtime engine: how guests are compiled, where their memory lies, and the ticker that interrupts them.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};
use wasmtime::{Config, Engine, InstanceAllocationStrategy, PoolingAllocationConfig};

/// How often guests look at the time. Short enough that a deadline of 250 ms is kept to 4 %, long enough that the ticker
/// costs nothing (Spin and Golem chose the same).
pub(crate) const EPOCH_TICK_MILLIS: u64 = 10;

/// Stack of one guest. Python and JavaScript interpreters recurse deeper than wasmtime's default of 512 KiB allows.
const MAX_GUEST_STACK_BYTES: usize = 1 << 20;

/// Stack on which an async guest runs; the guest's own part of it is `MAX_GUEST_STACK_BYTES`.
const ASYNC_STACK_BYTES: usize = 2 << 20;

/// Address space kept for one linear memory, so that no bounds check is compiled in. Only address space: pages count when
/// they are touched, and the limiter bounds those.
const MEMORY_RESERVATION_BYTES: u64 = 4 << 30;

/// A component is up to so many core modules (the Python runtime with its adapters has seven).
const CORE_INSTANCES_PER_INSTANCE: u32 = 12;

/// Tables of one component, over all its core modules.
const TABLES_PER_INSTANCE: u32 = 4;

/// Function tables of interpreters hold over 10,000 entries; Spin's bound.
const TABLE_ELEMENTS: usize = 100_000;

/// Bookkeeping of one instance; an 18 MB Python component needs several megabytes (Spin's bound).
const INSTANCE_METADATA_BYTES: usize = 10 << 20;

/// Slots that stay warm though unused. Few: their pages count as resident.
const WARM_SLOTS: u32 = 8;

/// Fewest instances a pool is tried with before allocation falls back to on demand.
const MIN_POOLED_INSTANCES: u32 = 16;

/// How instances are allocated, for `doctor` and the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Allocation {
    /// From a pool with room for so many instances.
    Pooling {
        /// Instances that fit.
        instances: u32,
    },
    /// One by one, because the machine gives too little address space for a pool.
    OnDemand,
}

/// The engine cannot be made on this machine.
#[derive(Debug, thiserror::Error)]
#[error("the WebAssembly engine cannot start on this machine: {0}")]
pub struct EngineError(String);

/// Makes the engine. The pool's reservation is tried, halved while the machine refuses it (small containers limit address
/// space), and given up for allocation on demand.
pub(crate) fn make_engine(max_instances: u32) -> Result<(Engine, Allocation), EngineError> {
    let mut instances = max_instances.max(1);
    while instances >= MIN_POOLED_INSTANCES {
        let mut config = base_config();
        config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool_of(instances)));
        match Engine::new(&config) {
            Ok(engine) => return Ok((engine, Allocation::Pooling { instances })),
            Err(error) => tracing::debug!(instances, %error, "no address space for this pool, trying half"),
        }
        instances /= 2;
    }
    let engine = Engine::new(&base_config()).map_err(|error| EngineError(format!("{error:#}")))?;
    Ok((engine, Allocation::OnDemand))
}

fn base_config() -> Config {
    let mut config = Config::new();
    config
        .wasm_component_model(true)
        .epoch_interruption(true)
        .relaxed_simd_deterministic(true)
        .memory_init_cow(true)
        .memory_reservation(MEMORY_RESERVATION_BYTES)
        .max_wasm_stack(MAX_GUEST_STACK_BYTES)
        .async_stack_size(ASYNC_STACK_BYTES)
        .parallel_compilation(true);
    config
}

/// Everything follows from the number of instances.
fn pool_of(instances: u32) -> PoolingAllocationConfig {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(instances)
        .total_core_instances(instances.saturating_mul(CORE_INSTANCES_PER_INSTANCE))
        .total_memories(instances)
        .total_tables(instances.saturating_mul(TABLES_PER_INSTANCE))
        .total_stacks(instances)
        .table_elements(TABLE_ELEMENTS)
        .max_component_instance_size(INSTANCE_METADATA_BYTES)
        .max_core_instance_size(INSTANCE_METADATA_BYTES)
        .max_memory_size(MEMORY_RESERVATION_BYTES as usize)
        .max_unused_warm_slots(WARM_SLOTS);
    pool
}

/// How many ticks a duration is, rounded up, and one more because a tick may be due at once.
pub(crate) fn ticks(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX / 2).div_ceil(EPOCH_TICK_MILLIS) + 1
}

/// Raises the engine's epoch from a thread of its own, so that a busy async runtime cannot stop it. Stops when dropped.
pub(crate) struct EpochTicker {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl EpochTicker {
    /// Starts the thread.
    pub(crate) fn start(engine: &Engine) -> Result<Self, EngineError> {
        let stop = Arc::new(AtomicBool::new(false));
        let (seen_stop, weak) = (stop.clone(), engine.weak());
        let thread = std::thread::Builder::new()
            .name("tandem-epoch".into())
            .spawn(move || {
                while !seen_stop.load(Ordering::Relaxed) {
                    std::thread::sleep(Duration::from_millis(EPOCH_TICK_MILLIS));
                    let Some(engine) = weak.upgrade() else { return };
                    engine.increment_epoch();
                }
            })
            .map_err(|error| EngineError(format!("the ticker's thread did not start: {error}")))?;
        Ok(Self { stop, thread: Some(thread) })
    }
}

impl Drop for EpochTicker {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // The thread sleeps for at most one tick; a panic in it has nothing to tell.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pool_that_does_not_fit_is_halved_until_it_does() {
        // 2^20 instances of 4 GiB are 2^52 bytes, beyond the 47 bits of a process.
        let (_, allocation) = make_engine(1 << 20).expect("some engine");
        let Allocation::Pooling { instances } = allocation else { panic!("expected a pool, got {allocation:?}") };
        assert!((MIN_POOLED_INSTANCES..1 << 20).contains(&instances), "{instances}");
    }

    #[test]
    fn deadlines_are_rounded_up_to_ticks() {
        assert_eq!(ticks(Duration::from_millis(250)), 26);
        assert_eq!(ticks(Duration::from_millis(1)), 2);
        assert_eq!(ticks(Duration::ZERO), 1);
    }
}
