//! Finds entities that are in themselves. Cedar names one of them; who has to mend it wants the whole circle.

use std::collections::{HashMap, HashSet};

use cedar_policy::{Entity, EntityUid};

/// A circle of entities, each in the next and the last in the first, which is the first of them in order; if there is any.
pub(super) fn find<'e>(entities: impl Iterator<Item = &'e Entity>) -> Option<Vec<EntityUid>> {
    let order: Vec<(EntityUid, Vec<EntityUid>)> = entities.map(|entity| (entity.uid(), parents(entity))).collect();
    let above: HashMap<&EntityUid, &[EntityUid]> =
        order.iter().map(|(uid, parents)| (uid, parents.as_slice())).collect();
    let mut done: HashSet<&EntityUid> = HashSet::new();
    for (root, parents) in &order {
        // The way from the root, each with what is left to look at above it.
        let mut way: Vec<(&EntityUid, std::slice::Iter<'_, EntityUid>)> = vec![(root, parents.iter())];
        while let Some((at, left)) = way.last_mut() {
            let Some(next) = left.next() else {
                done.insert(*at);
                way.pop();
                continue;
            };
            if let Some(start) = way.iter().position(|(uid, _)| *uid == next) {
                let circle = way.into_iter().skip(start).map(|(uid, _)| uid.clone()).collect();
                return Some(from_first(circle, order.iter().map(|(uid, _)| uid)));
            }
            if let Some(parents) = above.get(next).filter(|_| !done.contains(next)) {
                way.push((next, parents.iter()));
            }
        }
    }
    None
}

/// What an entity is in directly, always in the same order.
fn parents(entity: &Entity) -> Vec<EntityUid> {
    let (_, _, parents) = entity.clone().into_inner();
    let mut parents: Vec<EntityUid> = parents.into_iter().collect();
    parents.sort_by_key(ToString::to_string);
    parents
}

fn from_first<'o>(mut circle: Vec<EntityUid>, mut order: impl Iterator<Item = &'o EntityUid>) -> Vec<EntityUid> {
    if let Some(start) = order.find_map(|uid| circle.iter().position(|member| member == uid)) {
        circle.rotate_left(start);
    }
    circle
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn uid(number: usize) -> EntityUid {
        format!("G::\"{number}\"").parse().unwrap()
    }

    proptest! {
        #[test]
        fn a_circle_is_found_exactly_if_cedar_finds_one(parents in prop::collection::vec(prop::collection::hash_set(0..7_usize, 0..3), 1..6)) {
            let entity = |(number, parents): (usize, &HashSet<usize>)| Entity::new_no_attrs(uid(number), parents.iter().map(|it| uid(*it)).collect());
            let entities: Vec<Entity> = parents.iter().enumerate().map(entity).collect();
            let found = find(entities.iter());
            prop_assert_eq!(found.is_some(), cedar_policy::Entities::from_entities(entities, None).is_err());
            if let Some(circle) = found {
                let numbers: Vec<usize> = circle.iter().map(|uid| uid.id().unescaped().parse().unwrap()).collect();
                prop_assert_eq!(numbers.iter().min(), numbers.first());
                for (at, number) in numbers.iter().enumerate() {
                    prop_assert!(parents[*number].contains(&numbers[(at + 1) % numbers.len()]));
                }
            }
        }
    }
}
