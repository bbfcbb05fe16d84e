//! The `tandem` binary.

/// Rooms allocate on many threads, and of what one leaves behind another can use little: beside the system's allocator a fleet of
/// 200,000 series takes a third less memory, and a fifth less processor time.
#[cfg(all(unix, not(target_env = "musl")))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// What the allocator reads when it starts: a thread of its own gives freed memory back to the system after a second, so that no
/// burst is held for good. `_RJEM_MALLOC_CONF` in the environment comes after it.
#[cfg(all(unix, not(target_env = "musl")))]
// The name is the allocator's own, and nothing else has it.
#[unsafe(export_name = "_rjem_malloc_conf")]
static ALLOCATOR_OPTIONS: &[u8; 60] = b"background_thread:true,dirty_decay_ms:1000,muzzy_decay_ms:0\0";

fn main() -> std::process::ExitCode {
    tandem_server::cli::main()
}
