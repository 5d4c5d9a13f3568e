//! A range of addresses as Cedar's `ipaddr` has it; it holds no request's address.

use std::{fmt, net::IpAddr};

/// All addresses that begin with the same bits.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct IpRange {
    // INVARIANT: what is behind the prefix is 0, and the prefix no longer than the address.
    network: IpAddr,
    prefix: u8,
}

impl IpRange {
    /// Every IPv4 address.
    pub const IPV4: &str = "0.0.0.0/0";
    /// Every IPv6 address.
    pub const IPV6: &str = "::/0";
    /// RFC 1122 §3.2.1.3, RFC 4291 §2.5.3.
    pub const LOOPBACK: [&str; 2] = ["127.0.0.0/8", "::1/128"];
    /// RFC 5771 §3, RFC 4291 §2.7.
    pub const MULTICAST: [&str; 2] = ["224.0.0.0/4", "ff00::/8"];

    /// Reads an address, or one with the length of a prefix; bits behind that do not count.
    pub fn parse(text: &str) -> Option<Self> {
        let (address, prefix) = match text.split_once('/') {
            None => (text, None),
            Some((_, digits)) if digits.is_empty() || digits.bytes().any(|byte| !byte.is_ascii_digit()) => return None,
            Some((address, digits)) => (address, Some(digits.parse::<u8>().ok()?)),
        };
        let address: IpAddr = address.parse().ok()?;
        let longest = if address.is_ipv4() { 32 } else { 128 };
        let prefix = prefix.unwrap_or(longest);
        (prefix <= longest).then(|| Self { network: mask(address, prefix), prefix })
    }

    /// Whether the address is in it; those of the other version never are.
    pub fn contains(&self, address: IpAddr) -> bool {
        address.is_ipv4() == self.network.is_ipv4() && mask(address, self.prefix) == self.network
    }
}

fn mask(address: IpAddr, prefix: u8) -> IpAddr {
    match address {
        IpAddr::V4(ip) => {
            let mask = u32::MAX.checked_shl(32_u32.saturating_sub(prefix.into())).unwrap_or(0);
            IpAddr::V4((u32::from(ip) & mask).into())
        }
        IpAddr::V6(ip) => {
            let mask = u128::MAX.checked_shl(128_u32.saturating_sub(prefix.into())).unwrap_or(0);
            IpAddr::V6((u128::from(ip) & mask).into())
        }
    }
}

impl fmt::Display for IpRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.network, self.prefix)
    }
}
