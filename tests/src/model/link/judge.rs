//! What must hold in every state.

use authz_core::time::Timestamp;

use super::{cast, world::World};

/// (a) After the sidecar said that a revocation is in force everywhere, no memory undoes it.
pub(super) fn memory_keeps_to_the_proof(world: &World) -> bool {
    world.may_allow_after(world.known.proven) || !world.memory_allows()
}

/// (a) A filter that has acknowledged a revocation has ended what it had let in.
pub(super) fn open_requests_keep_to_the_acknowledgement(world: &World) -> bool {
    world.filter.open.is_empty() || world.may_allow_after(world.known.acknowledged)
}

/// (b) What was acknowledged to its sender stays: in the log, and in whatever a sidecar that runs decides by.
pub(super) fn accepted_is_in_force(world: &World) -> bool {
    let Some(sidecar) = &world.sidecar else { return world.known.accepted <= world.log.len() as u64 };
    let position = usize::try_from(sidecar.view.seq.0).unwrap();
    let revokes = sidecar.view.revocations.revokes(cast::caller(), Timestamp::from_millis(1)).is_some();
    world.known.accepted <= sidecar.view.seq.0 && revokes == cast::revoked(&world.log[..position])
}

/// A proof with the filter's word.
pub(super) fn is_proven_by_word(world: &World) -> bool {
    world.known.proven > 0 && world.known.acknowledged >= world.known.proven
}

/// A proof without it, of something that the filter does not know.
pub(super) fn is_proven_by_time(world: &World) -> bool {
    world.known.proven > world.known.acknowledged && world.now > 0
}
