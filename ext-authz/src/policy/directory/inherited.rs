//! Attributes that hold for every workload below a path or in a trust domain, until something nearer says otherwise. It reads no file.

use std::collections::HashMap;

use authz_core::identity::SpiffeId;

/// What paths and trust domains say of the workloads in them.
#[derive(Default)]
pub(super) struct Inherited {
    /// By attribute, then by the text of a path (`spiffe://td/a`) or the name of a trust domain: no text is both.
    stated: HashMap<&'static str, HashMap<Box<str>, Box<str>>>,
}

impl Inherited {
    /// A path or trust domain states an attribute.
    pub fn state(&mut self, attribute: &'static str, above: &str, value: &str) {
        self.stated.entry(attribute).or_default().insert(above.into(), value.into());
    }

    /// What the nearest path above `id` (or `id` itself as a path) says, else its trust domain.
    pub fn of(&self, attribute: &str, id: &SpiffeId) -> Option<&str> {
        let stated = self.stated.get(attribute)?;
        let by_path = id.prefixes().filter_map(|prefix| stated.get(prefix)).last();
        by_path.or_else(|| stated.get(id.trust_domain())).map(AsRef::as_ref)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ABOVE: [&str; 5] = ["td", "spiffe://td/a", "spiffe://td/a/b", "spiffe://td/ab", "ud"];
    const IDS: [&str; 6] =
        ["spiffe://td/a", "spiffe://td/a/b", "spiffe://td/a/b/c", "spiffe://td/ab", "spiffe://td/c", "spiffe://ud/a"];

    proptest! {
        #[test]
        fn the_nearest_above_wins(stated in prop::collection::vec(prop::option::of("[xy]"), 5)) {
            let mut inherited = Inherited::default();
            for (above, value) in ABOVE.iter().zip(&stated) {
                if let Some(value) = value {
                    inherited.state("owner", above, value);
                }
            }
            for id in IDS {
                // The longest that fits, by comparing texts.
                let fits = |above: &str| id == above || id.starts_with(&format!("{above}/")) || id.starts_with(&format!("spiffe://{above}/"));
                let expected = ABOVE.iter().zip(&stated).filter(|(above, value)| fits(above) && value.is_some());
                let expected = expected.max_by_key(|(above, _)| above.len()).and_then(|(_, value)| value.as_deref());
                let id = SpiffeId::parse(id).unwrap();
                prop_assert_eq!(inherited.of("owner", &id), expected);
                prop_assert_eq!(inherited.of("environment", &id), None);
            }
        }
    }
}
