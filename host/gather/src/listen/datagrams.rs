//! Datagrams: a socket with room in the kernel, who may send, and the account of what the kernel had no room for.

use super::{
    config::Senders,
    metrics::{Door, Dropped},
};
use std::{
    io,
    net::{IpAddr, SocketAddr},
    os::fd::AsRawFd,
    time::Duration,
};
use tandem_wire::statsd::MAX_DATAGRAM_BYTES;
use tokio::net::UdpSocket;

/// Room that the kernel is asked for, in bytes: half a second of 100,000 datagrams a second. The kernel grants what its
/// `net.core.rmem_max` allows.
const KERNEL_QUEUE_BYTES: usize = 8 << 20;
/// Datagrams taken in a row before others have their turn.
pub(crate) const MAX_AT_ONCE: usize = 256;

/// How long to wait for what is on its way when the server stops.
const LAST_LOOK: Duration = Duration::from_millis(20);

/// A socket that receives.
pub(crate) struct Datagrams {
    socket: UdpSocket,
    senders: Senders,
    buffer: Vec<u8>,
    /// Datagrams the kernel lost, as far as they are counted.
    lost: u64,
}

impl Datagrams {
    /// Listens.
    pub(crate) fn bind(listen: SocketAddr, senders: Senders) -> io::Result<Self> {
        let socket = std::net::UdpSocket::bind(listen)?;
        socket.set_nonblocking(true)?;
        // Less room is no reason not to listen.
        let _ = socket2::SockRef::from(&socket).set_recv_buffer_size(KERNEL_QUEUE_BYTES);
        Ok(Self { socket: UdpSocket::from_std(socket)?, senders, buffer: vec![0; MAX_DATAGRAM_BYTES], lost: 0 })
    }

    pub(crate) fn address(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Waits a moment for what is on its way, when the server stops.
    pub(crate) async fn last_look(&self) {
        // That there is nothing is no failure.
        let _ = tokio::time::timeout(LAST_LOOK, self.readable()).await;
    }

    /// Waits until there is something to take; may be called off.
    pub(crate) async fn readable(&self) {
        if let Err(error) = self.socket.readable().await {
            tracing::warn!("a socket for datagrams does not tell when there are any: {error}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// The next datagram of a sender that may send; none when there is none at present.
    pub(crate) fn take(&mut self, door: &Door) -> Option<(IpAddr, &[u8])> {
        loop {
            let Ok((length, from)) = self.socket.try_recv_from(&mut self.buffer) else { return None };
            door.received(1);
            let from = from.ip().to_canonical();
            if self.senders.admit(from) {
                return Some((from, &self.buffer[..length]));
            }
            door.dropped(Dropped::SenderNotAllowed, 1);
        }
    }

    /// Counts what the kernel lost since it was last asked.
    pub(crate) fn count_lost(&mut self, door: &Door) {
        let lost = lost_by_kernel(self.socket.as_raw_fd()).unwrap_or(self.lost);
        door.dropped(Dropped::KernelQueueFull, lost.saturating_sub(self.lost));
        self.lost = lost;
    }
}

/// Datagrams that the kernel dropped for want of room in a socket's queue, by its tables of sockets; none where there are no
/// such tables.
fn lost_by_kernel(socket: i32) -> Option<u64> {
    let link = std::fs::read_link(format!("/proc/self/fd/{socket}")).ok()?;
    let inode = link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.to_owned();
    ["/proc/self/net/udp", "/proc/self/net/udp6"].iter().find_map(|table| {
        let text = std::fs::read_to_string(table).ok()?;
        text.lines().find_map(|line| drops_of(line, &inode))
    })
}

/// The count at the end of the line of a socket. The tenth column is its inode.
fn drops_of(line: &str, inode: &str) -> Option<u64> {
    let columns: Vec<&str> = line.split_whitespace().collect();
    (columns.get(9) == Some(&inode)).then(|| columns.last()?.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_count_is_found_by_inode() {
        let line = " 1183: 0100007F:1FBD 00000000:0000 07 00000000:00000000 00:00000000 00000000  1000        0 81211 2 \
                    0000000000000000 42";
        assert_eq!((drops_of(line, "81211"), drops_of(line, "81212")), (Some(42), None));
        assert_eq!(drops_of("  sl  local_address rem_address   st", "81211"), None);
    }

    #[tokio::test]
    async fn what_the_kernel_has_no_room_for_is_counted() {
        let (door, senders) = (Door::default(), Senders::of(&[]));
        let mut datagrams = Datagrams::bind("127.0.0.1:0".parse().expect("an address"), senders).expect("a socket");
        let address = datagrams.address().expect("bound");
        let sender = std::net::UdpSocket::bind("127.0.0.1:0").expect("a socket");
        // More than the kernel grants anybody, of the longest kind that loopback carries in one piece.
        let sent = (0..600).filter(|_| sender.send_to(&[b'x'; 60_000], address).is_ok()).count();
        datagrams.readable().await;
        let mut taken = 0;
        while datagrams.take(&door).is_some() {
            taken += 1;
        }
        datagrams.count_lost(&door);
        if lost_by_kernel(datagrams.socket.as_raw_fd()).is_some() {
            assert_eq!(taken + datagrams.lost as usize, sent, "what was not taken is counted");
        }
    }
}
