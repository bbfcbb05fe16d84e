//! Grants are two-sided: what a plugin asks for, and what the operator gives. Only what is in both is linked.

use crate::secrets::Secrets;
use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use tandem_domain::{Failure, FailureCode, destination::DestinationGrant, http::HttpGrant, plugin::Capability};

/// The value by which a plugin asks for the target being collected, whatever it is.
const TARGET: &str = "target";
/// The value by which a plugin asks for whatever the operator gives.
const ANYTHING: &str = "*";

/// What the operator gives one plugin.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OperatorGrants {
    /// Destinations over HTTP.
    pub http: Vec<String>,
    /// Destinations over TCP.
    pub tcp: Vec<String>,
    /// Destinations over UDP.
    pub udp: Vec<String>,
    /// Paths; `*` matches within one segment.
    pub files: Vec<String>,
    /// Certificates (PEM) of an own authority for HTTP.
    pub authority_pem: Option<String>,
    /// What takes the place of placeholders in the headers of its requests.
    pub secrets: Secrets,
    /// The file capabilities it asks for are given as asked: bundled plugins, whose narrow reads of kernel files were
    /// reviewed with the server.
    pub trusts_declared_files: bool,
}

/// What one plugin has, for one call.
#[derive(Debug, Clone, Default)]
pub(crate) struct Grants {
    pub(crate) http: HttpGrant,
    pub(crate) secrets: Secrets,
    pub(crate) tcp: DestinationGrant,
    pub(crate) udp: DestinationGrant,
    pub(crate) files: PathGrant,
    pub(crate) spaces: PathGrant,
}

/// The intersection, without a target.
pub(crate) fn granted(asked: &[Capability], operator: &OperatorGrants) -> Vec<Capability> {
    let mut both = Vec::new();
    for capability in asked {
        let given: &[String] = match capability.name.as_str() {
            "http" => &operator.http,
            "tcp" => &operator.tcp,
            "udp" => &operator.udp,
            "file" | "space" if operator.trusts_declared_files => {
                both.push(capability.clone());
                continue;
            }
            "file" | "space" => &operator.files,
            _ => continue,
        };
        for pattern in given.iter().filter_map(|given| narrower(&capability.value, given)) {
            both.push(Capability { value: pattern, ..capability.clone() });
        }
    }
    both
}

/// The narrower of two patterns where one covers the other; nothing where neither does.
fn narrower(asked: &str, given: &str) -> Option<String> {
    if asked == TARGET {
        return None;
    }
    if asked == ANYTHING || asked == given || covers(asked, given) {
        return Some(given.to_owned());
    }
    covers(given, asked).then(|| asked.to_owned())
}

/// Whether one pattern plainly covers another: a network an address, a suffix a name, a host its ports, a path glob a path.
fn covers(wide: &str, narrow: &str) -> bool {
    if wide.starts_with('/') {
        let segments = |path: &str| path.split('/').map(str::to_owned).collect::<Vec<_>>();
        let (wide, narrow) = (segments(wide), segments(narrow));
        return wide.len() == narrow.len() && wide.iter().zip(&narrow).all(|(w, n)| w == n || w == ANYTHING);
    }
    let Ok(grant) = DestinationGrant::parse(&[wide.to_owned()]) else { return false };
    let (host, port) = match narrow.rsplit_once(':') {
        Some((host, port)) => (host, port.parse().unwrap_or(0)),
        None => (narrow, 0),
    };
    let destination =
        tandem_domain::destination::Destination { host: host.trim_matches(['[', ']']).to_lowercase(), port };
    // A network covers addresses and no name: where a name leads is known only when it is resolved.
    let is_address = |host: &str| host.trim_matches(['[', ']']).parse::<std::net::IpAddr>().is_ok();
    let wide_host = wide.rsplit_once(':').map_or(wide, |(host, port)| if port.contains(']') { wide } else { host });
    let wide_is_network = wide.contains('/') || is_address(wide) || is_address(wide_host);
    if wide_is_network && !is_address(&destination.host) {
        return false;
    }
    !narrow.contains('/') && !narrow.starts_with("*.") && grant.may_resolve(&destination)
}

/// What a plugin has during a call for a target; the operator gave the target by naming it.
pub(crate) fn for_call(
    asked: &[Capability],
    granted: &[Capability],
    operator: &OperatorGrants,
    target: &str,
) -> Result<Grants, Failure> {
    let wants_target =
        |name: &str| asked.iter().any(|capability| capability.name == name && capability.value == TARGET);
    let of = |name: &str| -> Vec<String> {
        let mut patterns: Vec<String> = granted.iter().filter(|c| c.name == name).map(|c| c.value.clone()).collect();
        if wants_target(name) && !target.is_empty() {
            patterns.push(destination_of(target));
        }
        patterns
    };
    let destinations = |name: &str| {
        DestinationGrant::parse(&of(name))
            .map_err(|error| Failure::lasting(FailureCode::Misconfigured, error.to_string()))
    };
    Ok(Grants {
        http: HttpGrant { allow: of("http"), authority_pem: operator.authority_pem.clone(), ..HttpGrant::default() },
        secrets: operator.secrets.clone(),
        tcp: destinations("tcp")?,
        udp: destinations("udp")?,
        files: PathGrant::new(of("file"))?,
        spaces: PathGrant::new(of("space"))?,
    })
}

/// `host:port` of an address or URL.
fn destination_of(target: &str) -> String {
    let (scheme, rest) = target.split_once("://").unwrap_or(("", target));
    let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    let authority = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let bare = authority.rsplit_once(':').is_none_or(|(_, port)| port.ends_with(']'));
    match (bare, scheme) {
        (true, "https") => format!("{authority}:443"),
        (true, "http") => format!("{authority}:80"),
        _ => authority.to_owned(),
    }
}

/// Paths by pattern.
#[derive(Debug, Clone)]
pub(crate) struct PathGrant {
    patterns: Vec<String>,
    globs: GlobSet,
}

impl Default for PathGrant {
    fn default() -> Self {
        Self { patterns: Vec::new(), globs: GlobSet::empty() }
    }
}

impl PathGrant {
    fn new(patterns: Vec<String>) -> Result<Self, Failure> {
        let mut set = GlobSetBuilder::new();
        for pattern in &patterns {
            // Only `*` is special, and it stays within its segment.
            let escaped: String =
                pattern.chars().flat_map(|c| if "?[]{}!\\".contains(c) { vec!['\\', c] } else { vec![c] }).collect();
            let glob = GlobBuilder::new(&escaped).literal_separator(true).backslash_escape(true).build();
            set.add(
                glob.map_err(|error| {
                    Failure::lasting(FailureCode::Misconfigured, format!("path {pattern:?}: {error}"))
                })?,
            );
        }
        let globs = set.build().map_err(|error| Failure::lasting(FailureCode::Misconfigured, error.to_string()))?;
        Ok(Self { patterns, globs })
    }

    /// Whether the path itself is granted.
    pub(crate) fn allows(&self, path: &str) -> bool {
        self.globs.is_match(path)
    }

    /// Whether something granted lies below the path, or the path itself is: its names may be listed.
    pub(crate) fn allows_listing(&self, path: &str) -> bool {
        let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
        self.patterns.iter().any(|pattern| {
            let mut wanted = pattern.split('/').filter(|segment| !segment.is_empty());
            segments
                .iter()
                .all(|segment| wanted.next().is_some_and(|w| w == "*" || w == *segment || segment_fits(w, segment)))
        })
    }
}

/// `intel-rapl*` against `intel-rapl:0`.
fn segment_fits(pattern: &str, segment: &str) -> bool {
    let mut rest = segment;
    let mut parts = pattern.split('*').peekable();
    let Some(first) = parts.next() else { return false };
    let Some(after) = rest.strip_prefix(first) else { return false };
    rest = after;
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(name: &str, value: &str) -> Capability {
        Capability { name: name.into(), value: value.into(), reason: "test".into() }
    }

    fn values(asked_for: &[Capability], operator: &OperatorGrants) -> Vec<String> {
        granted(asked_for, operator).into_iter().map(|capability| capability.value).collect()
    }

    #[test]
    fn only_what_both_sides_name_is_granted() {
        let operator =
            OperatorGrants { http: vec!["10.20.0.0/16".into(), "*.example".into()], ..OperatorGrants::default() };
        assert_eq!(values(&[asked("http", "10.20.3.4:443")], &operator), ["10.20.3.4:443"]);
        assert_eq!(values(&[asked("http", "*")], &operator), ["10.20.0.0/16", "*.example"]);
        assert_eq!(values(&[asked("http", "bmc.example")], &operator), ["bmc.example"]);
        assert!(values(&[asked("http", "10.21.3.4")], &operator).is_empty());
        assert!(values(&[asked("tcp", "10.20.3.4:161")], &operator).is_empty());
        assert!(values(&[], &operator).is_empty());
        assert!(values(&[asked("http", "anything.other")], &OperatorGrants::default()).is_empty());
    }

    #[test]
    fn files_are_given_as_asked_only_to_those_who_are_trusted() {
        let file = [asked("file", "/proc/stat")];
        assert!(values(&file, &OperatorGrants::default()).is_empty());
        assert_eq!(
            values(&file, &OperatorGrants { trusts_declared_files: true, ..OperatorGrants::default() }),
            ["/proc/stat"]
        );
        assert_eq!(
            values(&file, &OperatorGrants { files: vec!["/proc/*".into()], ..OperatorGrants::default() }),
            ["/proc/stat"]
        );
        assert!(
            values(&file, &OperatorGrants { files: vec!["/sys/*".into()], ..OperatorGrants::default() }).is_empty()
        );
    }

    #[test]
    fn the_target_is_granted_for_the_call_when_it_is_asked_for() {
        let wants = [asked("http", "target")];
        let none = OperatorGrants::default();
        let grants = for_call(&wants, &granted(&wants, &none), &none, "https://user:secret@bmc-07.example/redfish/v1")
            .expect("fine");
        assert_eq!(grants.http.allow, ["bmc-07.example:443"]);
        assert!(for_call(&[], &[], &none, "https://bmc-07.example/").expect("fine").http.allow.is_empty());
    }

    #[test]
    fn a_star_stays_within_its_segment() {
        let grant = PathGrant::new(vec![
            "/sys/class/net/*/operstate".into(),
            "/sys/class/powercap/intel-rapl*/energy_uj".into(),
        ])
        .expect("fine");
        assert!(grant.allows("/sys/class/net/eth0/operstate"));
        assert!(!grant.allows("/sys/class/net/eth0/statistics/operstate"));
        assert!(!grant.allows("/sys/class/net/eth0/address"));
        assert!(grant.allows("/sys/class/powercap/intel-rapl:0/energy_uj"));
        assert!(grant.allows_listing("/sys/class/net") && grant.allows_listing("/sys/class/powercap/intel-rapl:0"));
        assert!(!grant.allows_listing("/sys/class/thermal") && !grant.allows_listing("/etc"));
    }
}
