//! Which addresses are never blocked, whatever a log line says.
//!
//! The address comes from log text, and whoever writes the log could make the product lock its own network out. So only a
//! well-formed address of the public internet is blocked. The documentation ranges (192.0.2.0/24, 198.51.100.0/24,
//! 203.0.113.0/24, 2001:db8::/32) are nobody's, drills use them, and they may be.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

/// Why an address is not blocked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NeverBlocked {
    /// The text is no address.
    #[error("the source is not an address")]
    NotAnAddress,
    /// It lies in a range that is not the internet.
    #[error("{ip} is {kind} and is never blocked")]
    Internal {
        /// The address.
        ip: IpAddr,
        /// What it is, as `a private address`.
        kind: &'static str,
    },
    /// The operator exempted it.
    #[error("{ip} lies in {range} of NEVER_BLOCK")]
    Exempt {
        /// The address.
        ip: IpAddr,
        /// The operator's range.
        range: IpNet,
    },
}

/// The address in its canonical form (an IPv4 address mapped into IPv6 as IPv4), if it may be blocked.
pub(crate) fn blockable(text: &str, exempt: &[IpNet]) -> Result<IpAddr, NeverBlocked> {
    let ip = text
        .parse::<IpAddr>()
        .map_err(|_| NeverBlocked::NotAnAddress)?
        .to_canonical();
    let internal = match ip {
        IpAddr::V4(v4) => internal_v4(v4),
        IpAddr::V6(v6) => internal_v6(v6),
    };
    if let Some(kind) = internal {
        return Err(NeverBlocked::Internal { ip, kind });
    }
    if let Some(range) = exempt.iter().find(|range| range.contains(&ip)) {
        return Err(NeverBlocked::Exempt { ip, range: *range });
    }
    Ok(ip)
}

fn internal_v4(ip: Ipv4Addr) -> Option<&'static str> {
    let [a, b, c, _] = ip.octets();
    match (a, b, c) {
        (0, ..) => Some("an unspecified address"),
        (127, ..) => Some("a loopback address"),
        (10, ..) | (192, 168, _) => Some("a private address"),
        (172, 16..=31, _) => Some("a private address"),
        (169, 254, _) => Some("a link-local address"),
        (100, 64..=127, _) => Some("a shared carrier address"),
        (192, 0, 0) | (192, 88, 99) | (198, 18..=19, _) => Some("a reserved address"),
        (224..=239, ..) => Some("a multicast address"),
        (240..=255, ..) => Some("a reserved address"),
        _ => None,
    }
}

fn internal_v6(ip: Ipv6Addr) -> Option<&'static str> {
    let s = ip.segments();
    let embedded = |high: u16, low: u16| {
        let [a, b] = high.to_be_bytes();
        let [c, d] = low.to_be_bytes();
        internal_v4(Ipv4Addr::new(a, b, c, d))
    };
    match s {
        [0, 0, 0, 0, 0, 0, 0, 0] => Some("an unspecified address"),
        [0, 0, 0, 0, 0, 0, 0, 1] => Some("a loopback address"),
        [0xfc00..=0xfdff, ..] => Some("a private address"),
        [0xfe80..=0xfebf, ..] => Some("a link-local address"),
        [0xff00..=0xffff, ..] => Some("a multicast address"),
        // NAT64 and 6to4 carry an IPv4 address: what it is, they are.
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0x2002, high, low, ..] => embedded(high, low),
        // Teredo carries its client's address obfuscated.
        [0x2001, 0, ..] => Some("a tunnel address"),
        [0x2000..=0x3fff, ..] => None,
        // The rest is not assigned to the internet.
        _ => Some("a reserved address"),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn internal_and_malformed_addresses_are_never_blocked() {
        for text in [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.5",
            "10.255.255.255",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "127.255.255.254",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.8",
            "192.168.1.1",
            "198.18.0.1",
            "224.0.0.1",
            "239.255.255.250",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::10.0.0.1",
            "::ffff:10.0.0.5",
            "::ffff:127.0.0.1",
            "::ffff:c0a8:101",
            "64:ff9b::10.0.0.1",
            "64:ff9b::7f00:1",
            "64:ff9b:1::1",
            "2002:0a00:0001::1",
            "2002:7f00:1::",
            "2001::1",
            "fc00::1",
            "fdff::1",
            "fe80::1",
            "febf::1",
            "fec0::1",
            "ff02::1",
            "100::1",
            "4000::1",
        ] {
            let refused = blockable(text, &[]);
            assert!(
                matches!(refused, Err(NeverBlocked::Internal { .. })),
                "{text}: {refused:?}"
            );
        }
        for text in [
            "",
            " ",
            "localhost",
            "attacker.example",
            "203.0.113.7 ",
            "203.0.113.7:22",
            "203.0.113.7/32",
            "010.0.0.1",
            "203.0.113",
            "203.0.113.256",
            "0x7f.1",
            "2130706433",
            "fe80::1%eth0",
            "[2001:db8::1]",
            "203.0.113.7\n10.0.0.1",
            "<b>203.0.113.7</b>",
            "\u{1b}[31m203.0.113.7",
        ] {
            assert_eq!(blockable(text, &[]), Err(NeverBlocked::NotAnAddress), "{text:?}");
        }
    }

    #[test]
    fn addresses_of_the_internet_are_blocked_in_one_spelling() {
        for (text, canonical) in [
            ("203.0.113.7", "203.0.113.7"),
            ("198.51.100.1", "198.51.100.1"),
            ("192.0.2.1", "192.0.2.1"),
            ("8.8.8.8", "8.8.8.8"),
            ("172.15.255.255", "172.15.255.255"),
            ("172.32.0.0", "172.32.0.0"),
            ("100.63.255.255", "100.63.255.255"),
            ("100.128.0.0", "100.128.0.0"),
            ("223.255.255.255", "223.255.255.255"),
            ("::ffff:203.0.113.7", "203.0.113.7"),
            ("::FFFF:CB00:7107", "203.0.113.7"),
            ("2001:DB8:0:0::1", "2001:db8::1"),
            ("2606:4700::1111", "2606:4700::1111"),
        ] {
            assert_eq!(
                blockable(text, &[]).map(|ip| ip.to_string()).as_deref(),
                Ok(canonical),
                "{text}"
            );
        }
    }

    #[test]
    fn the_operators_own_ranges_are_exempt() {
        let exempt = ["203.0.113.0/29".parse().unwrap(), "2001:db8::/32".parse().unwrap()];
        assert!(matches!(
            blockable("203.0.113.7", &exempt),
            Err(NeverBlocked::Exempt { .. })
        ));
        assert!(matches!(
            blockable("::ffff:203.0.113.7", &exempt),
            Err(NeverBlocked::Exempt { .. })
        ));
        assert!(matches!(
            blockable("2001:db8::9", &exempt),
            Err(NeverBlocked::Exempt { .. })
        ));
        assert!(blockable("203.0.113.8", &exempt).is_ok());
    }

    proptest! {
        #[test]
        fn no_spelling_of_an_internal_address_gets_through(bits in any::<u32>()) {
            let v4 = Ipv4Addr::from(bits);
            let internal = v4.is_private() || v4.is_loopback() || v4.is_link_local() || v4.is_multicast()
                || v4.is_unspecified() || v4.is_broadcast() || (v4.octets()[0] == 100 && v4.octets()[1] & 0xc0 == 64);
            for text in [v4.to_string(), v4.to_ipv6_mapped().to_string(), format!("64:ff9b::{v4}")] {
                if internal {
                    prop_assert!(blockable(&text, &[]).is_err(), "{}", text);
                }
            }
        }

        #[test]
        fn what_is_blocked_is_an_address_of_the_internet(text in "\\PC{0,40}|[0-9a-f:.]{0,40}") {
            if let Ok(ip) = blockable(&text, &[]) {
                prop_assert!(!ip.is_loopback() && !ip.is_unspecified() && !ip.is_multicast());
                prop_assert_eq!(blockable(&ip.to_string(), &[]), Ok(ip));
            }
        }

        #[test]
        fn any_v6_outside_global_unicast_is_internal(bits in any::<u128>()) {
            let ip = Ipv6Addr::from(bits);
            let first = ip.segments()[0];
            if !(0x2000..=0x3fff).contains(&first) && first != 0x64 && ip.to_ipv4_mapped().is_none() {
                prop_assert!(blockable(&ip.to_string(), &[]).is_err());
            }
        }
    }
}
