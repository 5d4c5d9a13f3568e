//! What must be known of the machine to read a number measured on it. It must not tell which machine it was.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread;

use serde::Serialize;

/// The machine a report was made on, without anything that names it.
#[derive(Clone, Debug, Serialize)]
pub struct Machine {
    /// Cores this process may use.
    pub cores: usize,
    /// The processor's model, as the kernel calls it.
    pub processor: String,
    /// The instruction set, such as `x86_64`.
    pub architecture: &'static str,
    /// Memory in MiB; 0 if the kernel does not say.
    pub memory_mib: u64,
    /// The operating system and the version of its kernel.
    pub system: String,
    /// The version Envoy reports.
    pub envoy: String,
}

impl Machine {
    /// Looks at this machine, and asks the program `envoy` for its version.
    pub fn look(envoy: &Path) -> Self {
        Self {
            cores: thread::available_parallelism().map_or(1, usize::from),
            processor: field("/proc/cpuinfo", "model name"),
            architecture: std::env::consts::ARCH,
            memory_mib: field("/proc/meminfo", "MemTotal").trim_end_matches(" kB").parse::<u64>().unwrap_or(0) / 1024,
            system: format!("{} {}", std::env::consts::OS, plain_release(&read("/proc/sys/kernel/osrelease"))),
            envoy: envoy_version(envoy),
        }
    }
}

fn envoy_version(envoy: &Path) -> String {
    let output = Command::new(envoy).arg("--version").output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    short_version(&text).unwrap_or(UNKNOWN).to_owned()
}

/// `1.40.0` out of `…/envoy  version: 0123abcd/1.40.0/Clean/RELEASE/BoringSSL`.
fn short_version(text: &str) -> Option<&str> {
    text.split_once("version:")?.1.split('/').nth(1)
}

/// The numbers of a kernel's release; what follows the first dash was named by whoever built it.
fn plain_release(text: &str) -> &str {
    text.split(['-', '+', '\n']).next().unwrap_or_default()
}

fn field(file: &str, name: &str) -> String {
    let text = read(file);
    let value = text.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        (key.trim() == name).then(|| value.trim().to_owned())
    });
    value.unwrap_or_else(|| UNKNOWN.to_owned())
}

fn read(file: &str) -> String {
    fs::read_to_string(file).unwrap_or_default()
}

const UNKNOWN: &str = "unknown";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_of_envoy_is_found_in_what_it_prints() {
        let text = "\n/usr/bin/envoy  version: 0123abcd/1.40.0/Clean/RELEASE/BoringSSL\n";
        assert_eq!(short_version(text), Some("1.40.0"));
        assert_eq!(short_version("something else"), None);
    }

    #[test]
    fn a_kernel_is_known_by_its_number_only() {
        for (text, expected) in
            [("6.12.9-acme-prod\n", "6.12.9"), ("6.1.0+\n", "6.1.0"), ("5.15.3\n", "5.15.3"), ("", "")]
        {
            assert_eq!(plain_release(text), expected);
        }
    }

    #[test]
    fn a_machine_has_cores_and_no_name() {
        let machine = serde_json::to_value(Machine::look(Path::new("/nowhere/envoy"))).unwrap();
        let host = read("/proc/sys/kernel/hostname");
        assert!(machine["cores"].as_u64().unwrap() >= 1);
        assert_eq!(machine["envoy"], UNKNOWN);
        assert!(host.trim().is_empty() || !machine.to_string().contains(host.trim()), "the host name leaked");
    }
}
