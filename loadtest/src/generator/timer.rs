//! Waits for a moment with the kernel's high-resolution timer. It must not wake early, nor round as tokio's does.

use std::io;
use std::os::fd::OwnedFd;
use std::time::Instant;

use rustix::time::{Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec};
use tokio::io::unix::AsyncFd;

/// One reusable timer, registered with the runtime once.
#[derive(Debug)]
pub struct Timer {
    descriptor: AsyncFd<OwnedFd>,
}

impl Timer {
    /// A timer that is not running. Must be called inside a runtime.
    #[expect(
        deprecated,
        reason = "its successor is unsafe for types that lie about their descriptor; OwnedFd does not"
    )]
    pub fn new() -> io::Result<Self> {
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let descriptor = rustix::time::timerfd_create(TimerfdClockId::Monotonic, flags)?;
        Ok(Self { descriptor: AsyncFd::new(descriptor)? })
    }

    /// Returns at `moment`, or at once if that is past.
    pub async fn until(&mut self, moment: Instant) -> io::Result<()> {
        let wait = moment.saturating_duration_since(Instant::now());
        if wait.is_zero() {
            return Ok(());
        }
        let none = Timespec { tv_sec: 0, tv_nsec: 0 };
        let value = Timespec::try_from(wait).map_err(io::Error::other)?;
        let setting = Itimerspec { it_interval: none, it_value: value };
        rustix::time::timerfd_settime(&self.descriptor, TimerfdTimerFlags::empty(), &setting)?;
        self.fired().await
    }

    async fn fired(&mut self) -> io::Result<()> {
        loop {
            let mut ready = self.descriptor.readable().await?;
            let mut expirations = [0_u8; 8];
            match ready.try_io(|timer| Ok(rustix::io::read(timer, &mut expirations)?)) {
                Ok(read) => return read.map(|_| ()),
                Err(_would_block) => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn a_timer_never_fires_early_and_can_be_used_again() {
        let mut timer = Timer::new().unwrap();
        for micros in [0, 150, 900] {
            let moment = Instant::now() + Duration::from_micros(micros);
            timer.until(moment).await.unwrap();
            assert!(Instant::now() >= moment, "{micros} µs");
        }
    }
}
