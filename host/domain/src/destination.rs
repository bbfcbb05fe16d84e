//! Destinations in the network, and which of them a grant covers.
//!
//! A pattern is a host name (`bmc-07.example`), a suffix (`*.example`), an address, or a CIDR, each but the CIDR optionally
//! with a port. A name grants wherever the name leads, except to places that only a mistake or an attack would lead to:
//! loopback, link-local (cloud metadata lives there), unspecified and multicast addresses need an address or CIDR pattern of
//! their own, or `localhost`. An address or CIDR grants every name that leads into it.

use std::net::{IpAddr, SocketAddr};

/// Where a request wants to go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination {
    /// Host name or address, lower case, without brackets.
    pub host: String,
    /// Port.
    pub port: u16,
}

/// One pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Pattern {
    Name { name: String, port: Option<u16> },
    Suffix { suffix: String, port: Option<u16> },
    Network { network: Network, port: Option<u16> },
}

/// Addresses that share their first bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Network {
    address: IpAddr,
    prefix_bits: u32,
}

impl Network {
    fn single(address: IpAddr) -> Self {
        let address = address.to_canonical();
        Self { address, prefix_bits: if address.is_ipv4() { 32 } else { 128 } }
    }

    /// Reads `10.20.0.0/16`.
    fn parse(text: &str) -> Option<Self> {
        let (address, bits) = text.split_once('/')?;
        let (address, prefix_bits) = (address.parse::<IpAddr>().ok()?, bits.parse::<u32>().ok()?);
        (prefix_bits <= if address.is_ipv4() { 32 } else { 128 }).then_some(Self { address, prefix_bits })
    }

    fn contains(&self, ip: &IpAddr) -> bool {
        let same = |a: u128, b: u128, width: u32| self.prefix_bits == 0 || (a ^ b) >> (width - self.prefix_bits) == 0;
        match (self.address, ip) {
            (IpAddr::V4(a), IpAddr::V4(b)) => same(a.to_bits().into(), b.to_bits().into(), 32),
            (IpAddr::V6(a), IpAddr::V6(b)) => same(a.to_bits(), b.to_bits(), 128),
            _ => false,
        }
    }
}

/// A pattern that cannot be understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no destination; write host, host:port, *.suffix, an address or a CIDR such as 10.20.0.0/16")]
pub struct DestinationError(String);

/// A parsed grant.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DestinationGrant {
    patterns: Vec<Pattern>,
}

impl DestinationGrant {
    /// Parses patterns.
    ///
    /// # Errors
    /// Names the pattern that cannot be understood.
    pub fn parse(patterns: &[String]) -> Result<Self, DestinationError> {
        let patterns = patterns.iter().map(|text| pattern(text).ok_or_else(|| DestinationError(text.clone())));
        Ok(Self { patterns: patterns.collect::<Result<_, _>>()? })
    }

    /// Whether nothing is granted.
    pub fn is_empty(&self) -> bool {
        self.patterns.is_empty()
    }

    /// The host names among the patterns, with their ports.
    pub fn names(&self) -> impl Iterator<Item = (&str, Option<u16>)> {
        self.patterns.iter().filter_map(|pattern| match pattern {
            Pattern::Name { name, port } => Some((name.as_str(), *port)),
            _ => None,
        })
    }

    /// Whether a destination may be tried at all; what it resolves to is checked by [`DestinationGrant::allows_address`].
    pub fn may_resolve(&self, destination: &Destination) -> bool {
        match destination.host.parse::<IpAddr>() {
            Ok(address) => self.allows_address(destination, SocketAddr::new(address, destination.port)),
            Err(_) => self.patterns.iter().any(|pattern| match pattern {
                Pattern::Network { port, .. } => fits_port(*port, destination.port),
                named => named_fits(named, destination),
            }),
        }
    }

    /// Whether a destination may be reached at the address it resolved to.
    pub fn allows_address(&self, destination: &Destination, address: SocketAddr) -> bool {
        let ip = address.ip().to_canonical();
        self.patterns.iter().any(|pattern| match pattern {
            Pattern::Network { network, port } => network.contains(&ip) && fits_port(*port, address.port()),
            named => {
                named_fits(named, destination)
                    && (destination.host == "localhost" && ip.is_loopback() || !is_special(ip))
            }
        })
    }
}

fn named_fits(pattern: &Pattern, destination: &Destination) -> bool {
    match pattern {
        Pattern::Name { name, port } => *name == destination.host && fits_port(*port, destination.port),
        Pattern::Suffix { suffix, port } => {
            let longer = destination
                .host
                .strip_suffix(suffix.as_str())
                .is_some_and(|rest| rest.ends_with('.') && rest.len() > 1);
            longer && fits_port(*port, destination.port)
        }
        Pattern::Network { .. } => false,
    }
}

fn fits_port(granted: Option<u16>, asked: u16) -> bool {
    granted.is_none_or(|granted| granted == asked)
}

/// Addresses that a host name should never lead to.
fn is_special(ip: IpAddr) -> bool {
    let link_local = match ip {
        IpAddr::V4(v4) => v4.is_link_local() || v4.is_broadcast(),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    };
    link_local || ip.is_loopback() || ip.is_unspecified() || ip.is_multicast()
}

fn pattern(text: &str) -> Option<Pattern> {
    let text = text.trim().to_lowercase();
    if let Some(network) = Network::parse(&text) {
        return Some(Pattern::Network { network, port: None });
    }
    if let Ok(address) = text.trim_matches(['[', ']']).parse::<IpAddr>() {
        return Some(Pattern::Network { network: Network::single(address), port: None });
    }
    if let Ok(address) = text.parse::<SocketAddr>() {
        return Some(Pattern::Network { network: Network::single(address.ip()), port: Some(address.port()) });
    }
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) => (host, Some(port.parse().ok()?)),
        None => (text.as_str(), None),
    };
    let fits = |host: &str| {
        !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte))
    };
    match host.strip_prefix("*.") {
        Some(suffix) if fits(suffix) => Some(Pattern::Suffix { suffix: suffix.into(), port }),
        None if fits(host) => Some(Pattern::Name { name: host.into(), port }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(patterns: &[&str], host: &str, address: &str) -> bool {
        let patterns: Vec<String> = patterns.iter().map(|p| (*p).to_owned()).collect();
        let grant = DestinationGrant::parse(&patterns).expect("patterns");
        let address: SocketAddr = address.parse().expect("an address");
        let destination = Destination { host: host.into(), port: address.port() };
        grant.may_resolve(&destination) && grant.allows_address(&destination, address)
    }

    #[test]
    fn a_name_grants_its_name_and_nothing_special_behind_it() {
        assert!(allowed(&["bmc.example"], "bmc.example", "10.0.0.7:443"));
        assert!(!allowed(&["bmc.example"], "other.example", "10.0.0.7:443"));
        assert!(!allowed(&["bmc.example"], "bmc.example", "127.0.0.1:443"));
        assert!(!allowed(&["bmc.example"], "bmc.example", "169.254.169.254:80"));
        assert!(!allowed(&["bmc.example:443"], "bmc.example", "10.0.0.7:80"));
    }

    #[test]
    fn a_network_grants_every_name_that_leads_into_it() {
        assert!(allowed(&["10.20.0.0/16"], "anything.example", "10.20.3.4:443"));
        assert!(!allowed(&["10.20.0.0/16"], "anything.example", "10.21.3.4:443"));
        assert!(allowed(&["127.0.0.1:9100"], "127.0.0.1", "127.0.0.1:9100"));
        assert!(!allowed(&["127.0.0.1:9100"], "127.0.0.1", "127.0.0.1:9101"));
        assert!(allowed(&["10.20.0.0/16"], "mapped.example", "[::ffff:10.20.3.4]:443"));
        assert!(!allowed(&["10.0.0.0/8"], "x", "[::ffff:127.0.0.1]:443"));
    }

    #[test]
    fn a_suffix_grants_what_lies_below_it_and_localhost_is_loopback() {
        assert!(allowed(&["*.example"], "a.b.example", "10.0.0.7:80"));
        assert!(!allowed(&["*.example"], "example", "10.0.0.7:80"));
        assert!(!allowed(&["*.example"], "notexample", "10.0.0.7:80"));
        assert!(allowed(&["localhost:8080"], "localhost", "127.0.0.1:8080"));
        assert!(!allowed(&["*.localhost"], "localhost", "127.0.0.1:8080"));
    }

    #[test]
    fn nothing_is_granted_by_nothing_and_nonsense_is_named() {
        assert!(!allowed(&[], "a.example", "10.0.0.7:80"));
        assert_eq!(
            DestinationGrant::parse(&["10.0.0.0/40".into()]).expect_err("nonsense"),
            DestinationError("10.0.0.0/40".into())
        );
        assert!(DestinationGrant::parse(&["http://x".into()]).is_err());
    }
}
