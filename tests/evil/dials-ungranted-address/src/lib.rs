//! Attack: opens a TCP connection of its own, beside the checked way over HTTP. The test puts the address into the target.

use evil_honest::{Collecting, Errand, nothing};
use tandem_sdk::{
    collector::{CollectRequest, Collection, Host},
    types::Failure,
};

#[allow(missing_docs, unused, clippy::all, reason = "generated")]
mod sockets {
    wit_bindgen::generate!({
        inline: r#"
            package evil:sockets@1.0.0;
            world guest {
                import wasi:sockets/instance-network@0.2.12;
                import wasi:sockets/tcp-create-socket@0.2.12;
                import wasi:sockets/tcp@0.2.12;
            }
        "#,
        path: "../../../wit",
        world: "evil:sockets/guest",
        generate_all,
    });
}

use sockets::wasi::sockets::{
    instance_network::instance_network,
    network::{IpAddressFamily, IpSocketAddress, Ipv4SocketAddress},
    tcp_create_socket::create_tcp_socket,
};

/// The guest.
#[derive(Debug)]
pub struct DialsUngrantedAddress;

impl Errand for DialsUngrantedAddress {
    const NAME: &str = "evil-dials-ungranted-address";
    const ASKS: &[(&str, &str)] = &[("http", "target"), ("tcp", "*")];

    fn collect(request: &CollectRequest, _: &dyn Host) -> Result<Collection, Failure> {
        let (_, port) = request.target.rsplit_once(':').unwrap_or(("", "9"));
        let port: u16 = port.trim_end_matches('/').parse().map_err(|_| Failure::misconfigured("no port"))?;
        let socket = create_tcp_socket(IpAddressFamily::Ipv4).map_err(|code| Failure::refused(format!("{code:?}")))?;
        let address = IpSocketAddress::Ipv4(Ipv4SocketAddress { port, address: (127, 0, 0, 1) });
        socket.start_connect(&instance_network(), address).map_err(|code| Failure::refused(format!("{code:?}")))?;
        while let Err(code) = socket.finish_connect() {
            if code != sockets::wasi::sockets::network::ErrorCode::WouldBlock {
                return Err(Failure::refused(format!("{code:?}")));
            }
            socket.subscribe().block();
        }
        Ok(nothing())
    }
}

type Plugin = Collecting<DialsUngrantedAddress>;
tandem_sdk::collector!(Plugin, nothing);
