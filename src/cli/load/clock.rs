//! The time of a run, and an exact timer: tokio's own timer has a resolution of a millisecond, which is longer than
//! many answers take.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::time::{Duration, Instant};

use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
use tokio::io::unix::AsyncFd;

/// When the run began; the same for all threads.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock {
    began: Instant,
}

impl Clock {
    pub(super) fn starting_at(began: Instant) -> Self {
        Self { began }
    }

    /// The moment this many seconds after the start.
    pub(super) fn at(self, seconds: f64) -> Instant {
        self.began + Duration::from_secs_f64(seconds)
    }

    /// Seconds since the start; 0 before it.
    pub(super) fn seconds(self, moment: Instant) -> f64 {
        moment.saturating_duration_since(self.began).as_secs_f64()
    }

    /// The whole second of the run that a moment is in.
    pub(super) fn second(self, moment: Instant) -> u64 {
        moment.saturating_duration_since(self.began).as_secs()
    }
}

/// Adds the raw descriptor, which tokio needs, to nix's timer.
struct Timer(TimerFd);

impl AsFd for Timer {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl AsRawFd for Timer {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}

/// The kernel's timer, exact to some ten microseconds.
pub(super) struct ExactTimer {
    timer: AsyncFd<Timer>,
}

impl ExactTimer {
    pub(super) fn new() -> io::Result<Self> {
        let flags = TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC;
        let timer = TimerFd::new(ClockId::CLOCK_MONOTONIC, flags)?;
        #[expect(
            deprecated,
            reason = "its successor is unsafe code; this descriptor is owned and stays the same"
        )]
        let timer = AsyncFd::new(Timer(timer))?;
        Ok(Self { timer })
    }

    /// Returns at the moment, or at once when it has passed.
    pub(super) async fn sleep_until(&mut self, moment: Instant) -> io::Result<()> {
        let wait = moment.saturating_duration_since(Instant::now());
        if wait.is_zero() {
            return Ok(());
        }
        let expiration = Expiration::OneShot(TimeSpec::from_duration(wait));
        self.timer.get_ref().0.set(expiration, TimerSetTimeFlags::empty())?;
        // Setting the timer again clears an earlier expiration.
        let mut ready = self.timer.readable().await?;
        while Instant::now() < moment {
            ready.clear_ready();
            ready = self.timer.readable().await?;
        }
        self.timer.get_ref().0.wait().ok();
        ready.clear_ready();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[actix_web::test]
    async fn nobody_is_woken_before_the_moment() {
        let mut timer = ExactTimer::new().unwrap();
        for microseconds in [0, 50, 300, 2_000, 100] {
            let moment = Instant::now() + Duration::from_micros(microseconds);
            timer.sleep_until(moment).await.unwrap();
            assert!(Instant::now() >= moment);
        }
    }
}
