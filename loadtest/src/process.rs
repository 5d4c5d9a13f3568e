//! What the kernel knows of another process of ours: its processor time, its memory. It must not touch it.

use std::fs;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// The processor time that all threads of a process have used; zero where the kernel does not say.
pub fn processor_time(process: u32) -> Duration {
    let threads = fs::read_dir(format!("/proc/{process}/task"));
    let each = threads.into_iter().flatten().flatten().filter_map(|thread| {
        let text = fs::read_to_string(thread.path().join("schedstat")).ok()?;
        text.split(' ').next()?.parse::<u64>().ok()
    });
    Duration::from_nanos(each.sum())
}

/// The memory of a process that is in memory now, in bytes; zero where the kernel does not say.
pub fn resident_bytes(process: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok()).map_or(0, |kib| kib * 1024)
}

/// Lets this process and its children open as many files as the system allows it to: a thousand filters are as many sockets
/// on each side.
pub fn open_many_files() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    // Where even this is refused, what can't be opened says so itself.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_used_time_and_memory_and_one_that_is_not_there_has_not() {
        let own = std::process::id();
        assert!(processor_time(own) > Duration::ZERO && resident_bytes(own) > 0);
        assert_eq!((processor_time(0), resident_bytes(0)), (Duration::ZERO, 0));
    }
}
