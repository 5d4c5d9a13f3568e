//! The models of the protocols, searched as far as a test may take: nothing that must not be is reached, and mistakes made on purpose are.

use std::{io::stderr, time::Duration};

use countersign_tests::model::{link, replicas, search};

/// Far more than it takes: nothing is asserted about the time.
const PATIENCE: Duration = Duration::from_mins(30);

#[test]
fn no_order_of_events_lets_a_filter_allow_what_is_proven_revoked_or_a_sidecar_forget_it() {
    for (name, model, depth) in link::models() {
        let found = search(model, depth, PATIENCE, |_, _, _| ());
        found.write(name, &mut stderr()).unwrap();
        assert!(found.broken.is_empty() && found.is_whole, "{name}: {} states", found.states);
    }
}

#[test]
fn no_order_of_events_makes_replicas_differ_or_one_follow_a_stream_that_was_set_back() {
    for (name, model, depth) in replicas::models() {
        let found = search(model, depth, PATIENCE, |_, _, _| ());
        found.write(name, &mut stderr()).unwrap();
        assert!(found.broken.is_empty() && found.is_whole, "{name}: {} states", found.states);
    }
}

#[test]
fn each_mistake_made_on_purpose_is_found() {
    for (model, depth) in link::seeded() {
        let seed = model.seed;
        let found = search(model, depth, PATIENCE, |_, _, _| ());
        found.write(&format!("{seed:?}"), &mut stderr()).unwrap();
        assert!(!found.broken.is_empty(), "{seed:?} was not found in {} states", found.states);
    }
}
