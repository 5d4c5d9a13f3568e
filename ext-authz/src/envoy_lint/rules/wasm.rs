//! Rules about Countersign's own wasm filter: what happens when its VM is gone, and what its module may do.

use super::{
    super::{
        model::Model,
        spot::{Hole, Spot},
    },
    Rule, error, warning,
};

pub(in super::super) const RULES: &[Rule] = &[
    error(
        "wasm-fails-open",
        wasm_fails_open,
        "whoever crashes the filter's VM is let in",
        "failure_policy: FAIL_RELOAD",
    ),
    warning(
        "wasm-stays-down",
        wasm_stays_down,
        "once its VM has crashed, a worker refuses everything until the configuration changes",
        "failure_policy: FAIL_RELOAD",
    ),
    warning(
        "wasm-unrestricted",
        wasm_unrestricted,
        "the module may use all that Envoy offers modules: a wrong module can do more harm than it needs to",
        "capability_restriction_config with what envoy/filter.yaml lists",
    ),
];

fn wasm_fails_open(model: &Model<'_>) -> Vec<Hole> {
    let open = model.plugins().filter(fails_open);
    open.map(|plugin| plugin.hole_at(if plugin.is_on("fail_open") { "fail_open" } else { "failure_policy" })).collect()
}

fn wasm_stays_down(model: &Model<'_>) -> Vec<Hole> {
    let closed = model.plugins().filter(|plugin| !fails_open(plugin));
    let stays = closed.filter(|plugin| !plugin.is_one_of("failure_policy", &[("FAIL_RELOAD", 1)]));
    stays.map(|plugin| plugin.hole_at("failure_policy")).collect()
}

fn wasm_unrestricted(model: &Model<'_>) -> Vec<Hole> {
    let places = ["capability_restriction_config", "vm_config.capability_restriction_config"];
    let lists = |plugin: &Spot<'_>, place: &str| {
        let allowed = plugin.at(place).and_then(|it| it.get("allowed_capabilities"));
        allowed.is_some_and(|allowed| allowed.keys().next().is_some())
    };
    let free = model.plugins().filter(|plugin| !places.iter().any(|place| lists(plugin, place)));
    free.map(|plugin| plugin.hole("capability_restriction_config is not set or empty")).collect()
}

fn fails_open(plugin: &Spot<'_>) -> bool {
    plugin.is_on("fail_open") || plugin.is_one_of("failure_policy", &[("FAIL_OPEN", 3)])
}
