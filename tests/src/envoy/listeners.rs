//! Listeners beside those of a configuration, and listeners that are replaced while Envoy runs, by file.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use super::Envoy;
use crate::eventually::eventually;

/// Adds the listeners of `other`, the first under `name`.
pub(super) fn add(config: &mut Value, other: &Value, name: &str) {
    let mut listener = other["static_resources"]["listeners"][0].clone();
    listener["name"] = json!(name);
    config["static_resources"]["listeners"].as_array_mut().expect("a list of listeners").push(listener);
}

/// Has Envoy read its listeners from a file of their own.
pub(super) fn move_to_file(config: &mut Value, dir: &Path) {
    let resources = config["static_resources"].as_object_mut().expect("static resources");
    let listeners = resources.remove("listeners").expect("a list of listeners");
    write(dir, &listeners);
    config["dynamic_resources"] = json!({ "lds_config": {
        "resource_api_version": "V3",
        "path_config_source": { "path": dir.join(FILE), "watched_directory": { "path": dir.join(DIRECTORY) } },
    }});
}

impl Envoy {
    /// Replaces its listeners, as a control plane does, and waits until it has taken or refused the new ones; returns
    /// whether it took them.
    pub async fn change_listeners(&self, change: impl FnOnce(&mut Value)) -> bool {
        let text = fs::read_to_string(self.dir().join(FILE)).expect("its listeners are in a file");
        let mut listeners = serde_json::from_str::<Value>(&text).unwrap()["resources"].take();
        change(&mut listeners);
        let [taken, refused] = self.verdicts().await;
        write(self.dir(), &listeners);
        let is_taken = eventually("a verdict on the new listeners", async || {
            let now = self.verdicts().await;
            (now != [taken, refused]).then_some(now[1] == refused)
        })
        .await;
        eventually("an end of their start", async || {
            (self.stats("listener_manager.total_listeners_warming").await == 0).then_some(())
        })
        .await;
        is_taken
    }

    async fn verdicts(&self) -> [u64; 2] {
        let [taken, refused] = ["success", "rejected"].map(|it| format!("listener_manager.lds.update_{it}"));
        [self.stats(&taken).await, self.stats(&refused).await]
    }
}

fn write(dir: &Path, listeners: &Value) {
    let typed = listeners.as_array().expect("a list of listeners").iter().map(|listener| {
        let mut listener = listener.clone();
        listener["@type"] = json!("type.googleapis.com/envoy.config.listener.v3.Listener");
        listener
    });
    let response = json!({ "resources": typed.collect::<Vec<_>>() });
    fs::create_dir_all(dir.join(DIRECTORY)).unwrap();
    let next = dir.join(DIRECTORY).join("next");
    fs::write(&next, response.to_string()).unwrap();
    // By rename, the only way that Envoy notices.
    fs::rename(next, dir.join(FILE)).unwrap();
}

const DIRECTORY: &str = "listeners";
const FILE: &str = "listeners/lds.json";
