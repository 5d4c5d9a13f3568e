//! The name of everything a filter's memory rests on besides signals: policies and trust bundles; it holds neither.

use authz_core::plan::PolicyDigest;
use sha2::{Digest, Sha256};

use crate::identity::TrustDigest;

/// `Plan.digest` of the link. Other policies or other bundles give another name, also after a restart.
pub(super) fn basis(policy: PolicyDigest, trust: TrustDigest) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(policy.0);
    hash.update(trust.0);
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn either_change_gives_another_name_and_no_change_gives_the_same() {
        let name = |policy: u8, trust: u8| basis(PolicyDigest([policy; 32]), TrustDigest([trust; 32]));
        assert_eq!(name(1, 2), name(1, 2));
        for other in [name(2, 2), name(1, 1), name(2, 1)] {
            assert_ne!(name(1, 2), other);
        }
    }
}
