//! One line to the server at work in one phase. It must not know about other lines except through the shared arrivals.

use std::time::Instant;

use super::arrivals::Arrivals;
use super::connection::ExchangeFailed;
use super::line::Line;
use super::measurement::Recorder;
use super::request::Request;
use super::timer::Timer;

/// A line with its timer and its scratch memory.
#[derive(Debug)]
pub struct Worker {
    line: Line,
    timer: Timer,
    bytes: Vec<u8>,
}

impl Worker {
    /// Puts `line` to work.
    pub fn new(line: Line, timer: Timer) -> Self {
        Self { line, timer, bytes: Vec::with_capacity(256) }
    }

    /// Sends one request after the other until `end`; answers that come after it don't count.
    pub async fn saturate(
        &mut self,
        request: &Request,
        recorder: &Recorder,
        end: Instant,
    ) -> Result<(), ExchangeFailed> {
        loop {
            request.write(&mut self.bytes);
            let status = self.line.exchange(&self.bytes).await?;
            if Instant::now() >= end {
                return Ok(());
            }
            recorder.answered(status);
        }
    }

    /// Takes arrival after arrival, waits until it is due if it is not yet, and measures from the moment it was due.
    pub async fn pace(
        &mut self,
        request: &Request,
        recorder: &Recorder,
        arrivals: &Arrivals,
    ) -> Result<(), ExchangeFailed> {
        while let Some(due) = arrivals.claim(Instant::now()) {
            self.timer.until(due).await.map_err(ExchangeFailed::Timer)?;
            request.write(&mut self.bytes);
            let status = self.line.exchange(&self.bytes).await?;
            recorder.answered(status);
            recorder.took(due.elapsed());
        }
        Ok(())
    }
}
