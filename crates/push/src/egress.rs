//! The egress guard: which addresses may be called.
//!
//! Whoever may set a target could otherwise have the server call what only the server can reach: itself, its neighbours,
//! the metadata service of its cloud. So an address that is not public is refused unless the operator's configuration
//! allows its network. The guard judges addresses, never names: a name is resolved once, and the connection goes to an
//! address that was judged.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::network::Network;

/// What may be called.
#[derive(Clone, Debug, Default)]
pub struct Egress {
    /// Networks that may be called although they are not public.
    pub allowed: Vec<Network>,
    /// The only networks that may be called; any where there are none.
    pub only: Vec<Network>,
}

/// Why an address is not called.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refused {
    /// It is not public, and not allowed.
    #[error("{address} is {what}, which is not called unless `push.allow_networks` has its network")]
    NotPublic {
        /// The address.
        address: IpAddr,
        /// What it is.
        what: &'static str,
    },
    /// It is in none of the networks to which the target keeps.
    #[error("{address} is in none of the target's networks")]
    Elsewhere {
        /// The address.
        address: IpAddr,
    },
}

impl Egress {
    /// Whether `address` may be called.
    pub fn check(&self, address: IpAddr) -> Result<(), Refused> {
        let has = |networks: &[Network]| networks.iter().any(|network| network.contains(address));
        if !self.only.is_empty() && !has(&self.only) {
            return Err(Refused::Elsewhere { address });
        }
        match special(address) {
            Some(what) if !has(&self.allowed) => Err(Refused::NotPublic { address, what }),
            _ => Ok(()),
        }
    }
}

/// What an address is where it is not public.
fn special(address: IpAddr) -> Option<&'static str> {
    match address {
        IpAddr::V4(address) => special_v4(address),
        IpAddr::V6(address) => special_v6(address),
    }
}

/// The registry of special-purpose addresses of IPv4 (RFC 6890 and its updates).
fn special_v4(address: Ipv4Addr) -> Option<&'static str> {
    Some(match address.octets() {
        [0, ..] => "an address of this network",
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] => "a private address",
        [127, ..] => "a loopback address",
        [100, 64..=127, ..] => "a shared address (carrier-grade NAT)",
        [169, 254, ..] => "a link-local address, where metadata services are",
        [192, 0, 0, _] => "an address for protocols",
        [192, 0, 2, _] | [198, 51, 100, _] | [203, 0, 113, _] => "an address for documentation",
        [192, 88, 99, _] => "a relay to IPv6",
        [198, 18..=19, ..] => "an address for benchmarks",
        [224..=239, ..] => "a multicast address",
        [255, 255, 255, 255] => "the broadcast address",
        [240..=255, ..] => "a reserved address",
        _ => return None,
    })
}

/// The registry of special-purpose addresses of IPv6, and the forms in which it carries addresses of IPv4: those are
/// judged as what they carry, since a gateway or the system itself may take them for that.
fn special_v6(address: Ipv6Addr) -> Option<&'static str> {
    let segments = address.segments();
    let last = |at: u32| Ipv4Addr::from_bits((address.to_bits() >> at) as u32);
    match segments {
        [0, 0, 0, 0, 0, 0, 0, 0] => Some("the unspecified address"),
        [0, 0, 0, 0, 0, 0, 0, 1] => Some("a loopback address"),
        // Compatible and translated addresses of IPv4; then mapped ones.
        [0, 0, 0, 0, 0 | 0xffff, 0, ..] => Some("an address of IPv4 in an old form"),
        // NAT64: the well-known prefix, and the one for networks of one's own.
        [0, 0, 0, 0, 0, 0xffff, ..] | [0x64, 0xff9b, 0, 0, 0, 0, ..] => special_v4(last(0)),
        [0x64, 0xff9b, 1, ..] => Some("an address of a translator to IPv4"),
        [0x100, 0, 0, 0, ..] => Some("a discarded address"),
        // Teredo and other protocols; documentation; 6to4.
        [0x2001, 0..=0x1ff, ..] => Some("an address for protocols"),
        [0x2001, 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] => Some("an address for documentation"),
        [0x2002, ..] => special_v4(last(80)),
        [0x5f00, ..] => Some("an address for segment routing"),
        [0xfc00..=0xfdff, ..] => Some("a unique local address"),
        [0xfe80..=0xfebf, ..] => Some("a link-local address"),
        [0xfec0..=0xfeff, ..] => Some("a site-local address"),
        [0xff00..=0xffff, ..] => Some("a multicast address"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(egress: &Egress, address: &str) -> bool {
        egress.check(address.parse().unwrap()).is_ok()
    }

    #[test]
    fn only_public_addresses_are_called() {
        let egress = Egress::default();
        for address in [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "100.64.0.1",
            "100.100.100.200",
            "127.0.0.1",
            "127.255.255.254",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.192",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::7f00:1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::ffff:169.254.169.254",
            "::ffff:0:127.0.0.1",
            "64:ff9b::127.0.0.1",
            "64:ff9b:1::8.8.8.8",
            "100::1",
            "2001::1",
            "2001:db8::1",
            "2002:7f00:1::",
            "2002:a00:1::",
            "3fff::1",
            "5f00::1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ] {
            assert!(!check(&egress, address), "{address} is called");
        }
        for address in [
            "1.1.1.1",
            "8.8.8.8",
            "100.63.255.255",
            "100.128.0.1",
            "172.15.0.1",
            "172.32.0.1",
            "169.253.1.1",
            "198.20.0.1",
            "223.255.255.255",
            "::ffff:8.8.8.8",
            "64:ff9b::8.8.8.8",
            "2002:808:808::",
            "2606:4700::1111",
            "2a00:1450::1",
        ] {
            assert!(check(&egress, address), "{address} is refused");
        }
    }

    #[test]
    fn a_network_that_is_allowed_may_be_called_and_no_other() {
        let egress = Egress { allowed: vec!["127.0.0.0/8".parse().unwrap()], only: Vec::new() };
        assert!(check(&egress, "127.0.0.1") && check(&egress, "::ffff:127.0.0.1") && check(&egress, "8.8.8.8"));
        assert!(!check(&egress, "10.0.0.1") && !check(&egress, "::1"));
    }

    #[test]
    fn a_target_that_keeps_to_networks_leaves_them_for_none() {
        let only = vec!["8.8.8.0/24".parse().unwrap(), "10.0.0.0/8".parse().unwrap()];
        let egress = Egress { allowed: Vec::new(), only };
        assert!(check(&egress, "8.8.8.8"));
        assert!(!check(&egress, "8.8.4.4"));
        assert!(!check(&egress, "10.0.0.1"), "what a target says allows nothing");
        let refused = egress.check("8.8.4.4".parse().unwrap()).unwrap_err();
        assert_eq!(refused.to_string(), "8.8.4.4 is in none of the target's networks");
    }

    proptest! {
        #[test]
        fn an_address_of_ipv4_is_judged_the_same_in_its_mapped_form(bits: u32) {
            let address = Ipv4Addr::from_bits(bits);
            let egress = Egress::default();
            let plain = egress.check(address.into()).is_ok();
            prop_assert_eq!(plain, egress.check(address.to_ipv6_mapped().into()).is_ok());
        }
    }
}
