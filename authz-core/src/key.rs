//! Exact cache keys: the policy digest and, whole, every fact the policies read; no hash, so no collision.

use std::net::IpAddr;

use crate::{facts::HeaderValue, gate::Admitted, plan::Read};

impl Admitted<'_> {
    /// Writes the key of this request into `key`, replacing what it held; a reused buffer needs no allocation.
    ///
    /// Every part carries its length, so different facts can't give the same bytes.
    pub fn write_key(&self, key: &mut Vec<u8>) {
        key.clear();
        key.extend_from_slice(&self.plan().digest().0);
        put(key, Some(self.caller().credential().id().as_str().as_bytes()));
        put(key, Some(self.http().method.as_bytes()));
        for read in self.plan().reads() {
            self.put_read(read, key);
        }
    }

    fn put_read(&self, read: &Read, key: &mut Vec<u8>) {
        let http = self.http();
        match read {
            Read::Header(name) => match http.headers.one(name) {
                HeaderValue::One(text) => put(key, Some(text.as_bytes())),
                HeaderValue::Absent | HeaderValue::Many | HeaderValue::NotText => put(key, None),
            },
            Read::Host => put(key, Some(http.host.as_bytes())),
            Read::Path => put(key, Some(http.path.as_bytes())),
            Read::Protocol => put(key, Some(http.protocol.as_bytes())),
            Read::Query => put(key, http.query.map(str::as_bytes)),
            Read::Scheme => put(key, Some(http.scheme.as_bytes())),
            Read::Sni => put(key, self.facts().sni.map(str::as_bytes)),
            Read::SourceIp => match self.facts().source_ip {
                None => put(key, None),
                Some(IpAddr::V4(ip)) => put(key, Some(&ip.octets())),
                Some(IpAddr::V6(ip)) => put(key, Some(&ip.octets())),
            },
        }
    }
}

/// One part: its length plus one, or 0 for an absent one, then its bytes.
fn put(key: &mut Vec<u8>, part: Option<&[u8]>) {
    let length = part.map_or(0, |bytes| u32::try_from(bytes.len()).unwrap_or(u32::MAX - 1).saturating_add(1));
    key.extend_from_slice(&length.to_le_bytes());
    key.extend_from_slice(part.unwrap_or_default());
}

#[cfg(test)]
mod tests;
