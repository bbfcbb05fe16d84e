//! Standard WASI with nothing behind it: no folders, no environment, no arguments; clocks and chance by kind; sockets by
//! grant.

use super::{GuestLog, HostState, denial::Denials};
use crate::grants::Grants;
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};
use std::{net::SocketAddr, time::Duration};
use tandem_domain::{
    Failure, FailureCode,
    destination::{Destination, DestinationGrant},
};
use wasmtime::component::{Linker, Resource};
use wasmtime_wasi::{
    HostMonotonicClock, HostWallClock, WasiCtx, WasiCtxBuilder, p2::DynPollable, sockets::SocketAddrUse,
};

/// The seed of chance in pure calls: the same component gives the same answer, live, in a backtest and in an audit.
const SEED: u64 = 0x7461_6e64_656d;
/// Random bytes given in one call; more is a mistake.
const MAX_RANDOM_BYTES: u64 = 1 << 20;

/// What no grant opens.
const LISTENING: &str = "listen";

/// Time that does not pass.
struct Frozen;

impl HostWallClock for Frozen {
    fn resolution(&self) -> Duration {
        Duration::from_millis(1)
    }
    fn now(&self) -> Duration {
        Duration::ZERO
    }
}

impl HostMonotonicClock for Frozen {
    fn resolution(&self) -> u64 {
        1
    }
    fn now(&self) -> u64 {
        0
    }
}

/// For pure calls.
pub(super) fn pure(log: &GuestLog) -> WasiCtx {
    let mut builder = WasiCtxBuilder::new();
    builder
        .stdout(log.clone())
        .stderr(log.clone())
        .wall_clock(Frozen)
        .monotonic_clock(Frozen)
        .secure_random(ChaCha8Rng::seed_from_u64(SEED))
        .insecure_random(ChaCha8Rng::seed_from_u64(SEED + 1))
        .insecure_random_seed(u128::from(SEED))
        .max_random_size(MAX_RANDOM_BYTES);
    builder.build()
}

/// For calls under grants: real clocks and chance, sockets to what is granted.
pub(super) fn io(log: &GuestLog, grants: &Grants, denials: &Denials) -> WasiCtx {
    let (tcp, udp) = (grants.tcp.clone(), grants.udp.clone());
    let mut builder = WasiCtxBuilder::new();
    builder
        .stdout(log.clone())
        .stderr(log.clone())
        .max_random_size(MAX_RANDOM_BYTES)
        .allow_tcp(!tcp.is_empty())
        .allow_udp(!udp.is_empty())
        .allow_ip_name_lookup(!tcp.is_empty() || !udp.is_empty());
    let denials = denials.clone();
    builder.socket_addr_check(move |address, purpose| {
        let grant = match purpose {
            SocketAddrUse::TcpConnect => Some(("tcp", tcp.clone())),
            SocketAddrUse::UdpSend | SocketAddrUse::UdpReceive => Some(("udp", udp.clone())),
            // A local end is needed before anything goes out; it may only be chosen by the system.
            SocketAddrUse::UdpBind | SocketAddrUse::TcpBind if address.ip().is_unspecified() && address.port() == 0 => {
                None
            }
            _ => Some((LISTENING, DestinationGrant::default())),
        };
        let denials = denials.clone();
        Box::pin(async move {
            let Some((protocol, grant)) = grant else { return true };
            let granted = allows(&grant, address).await;
            if !granted {
                denials.note(Failure::lasting(FailureCode::Refused, not_granted(protocol, address)));
            }
            granted
        })
    });
    builder.build()
}

fn not_granted(protocol: &str, address: SocketAddr) -> String {
    if protocol == LISTENING {
        return format!(
            "{address}: plugins cannot listen; to be sent something, implement `receive` and let it be posted"
        );
    }
    format!(
        "{protocol} {address} is not granted; to allow it, add allow_{protocol} = [\"{address}\"] to the plugin's table in \
         tandem.toml"
    )
}

/// Whether an address is granted: by an address or network pattern, or as what a granted name leads to now.
async fn allows(grant: &DestinationGrant, address: SocketAddr) -> bool {
    let unnamed = Destination { host: address.ip().to_string(), port: address.port() };
    if grant.allows_address(&unnamed, address) {
        return true;
    }
    for (name, port) in grant.names() {
        let named = Destination { host: name.to_owned(), port: address.port() };
        if port.is_some_and(|port| port != address.port()) || !grant.allows_address(&named, address) {
            continue;
        }
        let leads_there = tokio::net::lookup_host((name, address.port()))
            .await
            .is_ok_and(|mut found| found.any(|a| a.ip() == address.ip()));
        if leads_there {
            return true;
        }
    }
    false
}

/// A pure guest that wants to sleep is stopped with a plain word instead of blocking a worker: time stands still for it.
pub(super) fn trap_on_sleep(linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
    linker.allow_shadowing(true);
    let mut clock = linker.instance("wasi:clocks/monotonic-clock@0.2.12")?;
    let sleeps = |name: &'static str| {
        move |_: wasmtime::StoreContextMut<'_, HostState>, (_,): (u64,)| -> wasmtime::Result<(Resource<DynPollable>,)> {
            wasmtime::bail!(
                "the plugin called {name} to wait, but time stands still for pure plugins: do not sleep, use the moments of the data"
            )
        }
    };
    clock.func_wrap("subscribe-duration", sleeps("monotonic-clock.subscribe-duration"))?;
    clock.func_wrap("subscribe-instant", sleeps("monotonic-clock.subscribe-instant"))?;
    linker.allow_shadowing(false);
    Ok(())
}
