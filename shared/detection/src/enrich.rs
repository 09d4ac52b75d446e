//! What is known about an address beside the event: the zone it lies in.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use threatstream_domain::SourceZone;

/// The networks that an operator named. Empty by default: nothing is trusted or hostile unasked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Networks {
    /// Sources that are expected to do unusual things: scanners of one's own, a partner's gateway.
    pub trusted: Vec<IpNet>,
    /// Sources that are known to be hostile. A network in both lists is hostile.
    pub hostile: Vec<IpNet>,
}

/// The zone of an address: as the operator named it, else internal or external by its range.
///
/// An IPv4 address mapped into IPv6 (`::ffff:10.0.0.1`) is the IPv4 address.
#[must_use]
pub fn zone(ip: IpAddr, networks: &Networks) -> SourceZone {
    let ip = ip.to_canonical();
    let within = |list: &[IpNet]| list.iter().any(|network| network.contains(&ip));
    if within(&networks.hostile) {
        SourceZone::Hostile
    } else if within(&networks.trusted) {
        SourceZone::Trusted
    } else if is_internal(ip) {
        SourceZone::Internal
    } else {
        SourceZone::External
    }
}

/// Whether an address can only be on this host or its own network: private, shared, loopback, link-local, unique local
/// or unspecified.
#[must_use]
pub fn is_internal(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => is_internal_v4(ip),
        IpAddr::V6(ip) => is_internal_v6(ip),
    }
}

fn is_internal_v4(ip: Ipv4Addr) -> bool {
    // 100.64.0.0/10 is a carrier's own side of its translation (RFC 6598): an address in it names nobody on the internet.
    let shared = ip.octets()[0] == 100 && ip.octets()[1] & 0xC0 == 64;
    ip.is_private() || ip.is_loopback() || ip.is_link_local() || ip.is_unspecified() || shared
}

fn is_internal_v6(ip: Ipv6Addr) -> bool {
    ip.is_loopback() || ip.is_unspecified() || ip.is_unique_local() || ip.is_unicast_link_local()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zone_of(ip: &str) -> SourceZone {
        let networks = Networks {
            trusted: vec!["198.51.100.0/24".parse().unwrap(), "203.0.113.0/24".parse().unwrap()],
            hostile: vec!["203.0.113.0/28".parse().unwrap(), "10.66.0.0/16".parse().unwrap()],
        };
        zone(ip.parse().unwrap(), &networks)
    }

    #[test]
    fn private_loopback_and_link_local_addresses_are_internal() {
        for ip in [
            "10.0.0.1",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "127.0.0.1",
            "169.254.1.1",
            "100.64.0.1",
        ] {
            assert_eq!(zone_of(ip), SourceZone::Internal, "{ip}");
        }
        for ip in ["::1", "fe80::1", "fd00::1", "::ffff:10.0.0.1", "::"] {
            assert_eq!(zone_of(ip), SourceZone::Internal, "{ip}");
        }
    }

    #[test]
    fn every_other_address_is_external() {
        for ip in ["8.8.8.8", "172.32.0.1", "100.128.0.1", "2a02:cf40::1", "::ffff:8.8.8.8"] {
            assert_eq!(zone_of(ip), SourceZone::External, "{ip}");
        }
    }

    #[test]
    fn the_operators_word_comes_first_and_hostile_before_trusted() {
        assert_eq!(zone_of("198.51.100.7"), SourceZone::Trusted);
        assert_eq!(zone_of("203.0.113.7"), SourceZone::Hostile);
        assert_eq!(zone_of("203.0.113.200"), SourceZone::Trusted);
        assert_eq!(zone_of("::ffff:10.66.1.1"), SourceZone::Hostile);
    }
}
