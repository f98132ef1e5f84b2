//! An alarm that rings within some tens of microseconds. The runtime's own timer counts in
//! milliseconds, and arrivals that are rounded to those come in bursts that the asked-for process
//! does not have.

use std::time::Instant;

#[cfg(target_os = "linux")]
pub(super) use precise::Alarm;

#[cfg(target_os = "linux")]
mod precise {
    use std::io;
    use std::os::fd::AsFd;

    use nix::sys::time::TimeSpec;
    use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
    use tokio::net::unix::pipe;

    use super::Instant;

    /// One alarm of a thread.
    #[derive(Debug)]
    pub(in super::super) struct Alarm {
        timer: TimerFd,
        /// The same timer as the runtime watches it: like a pipe it gets readable, and a read
        /// empties it.
        rings: pipe::Receiver,
        set_to: Option<Instant>,
    }

    impl Alarm {
        /// An alarm of the runtime that this is called in.
        pub(in super::super) fn new() -> io::Result<Self> {
            let flags = TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC;
            let timer = TimerFd::new(ClockId::CLOCK_MONOTONIC, flags)?;
            let twin = timer.as_fd().try_clone_to_owned()?;
            Ok(Self {
                timer,
                rings: pipe::Receiver::from_owned_fd_unchecked(twin)?,
                set_to: None,
            })
        }

        /// Returns when it is `at`; never without a time. May be dropped and asked again.
        pub(in super::super) async fn ring(&mut self, at: Option<Instant>) -> io::Result<()> {
            let Some(at) = at else {
                return std::future::pending().await;
            };
            loop {
                let left = at.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    return Ok(());
                }
                if self.set_to != Some(at) {
                    let once = Expiration::OneShot(TimeSpec::from_duration(left));
                    self.timer.set(once, TimerSetTimeFlags::empty())?;
                    self.set_to = Some(at);
                }
                self.rings.readable().await?;
                match self.rings.try_read(&mut [0; 8]) {
                    // It may have rung for another time, or a little early: then it is set once
                    // more.
                    Ok(_) => self.set_to = None,
                    Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                    Err(e) => return Err(e),
                }
            }
        }
    }
}

/// Elsewhere the runtime's timer has to do.
#[cfg(not(target_os = "linux"))]
#[derive(Debug)]
pub(super) struct Alarm;

#[cfg(not(target_os = "linux"))]
impl Alarm {
    pub(super) fn new() -> std::io::Result<Self> {
        Ok(Self)
    }

    pub(super) async fn ring(&mut self, at: Option<Instant>) -> std::io::Result<()> {
        match at {
            Some(at) => tokio::time::sleep_until(at.into()).await,
            None => std::future::pending().await,
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn it_rings_not_before_its_time_and_again_when_set_anew() {
        let mut alarm = Alarm::new().unwrap();
        for ms in [3, 1, 0, 7] {
            let at = Instant::now() + Duration::from_millis(ms);
            alarm.ring(Some(at)).await.unwrap();
            assert!(Instant::now() >= at);
        }
    }

    #[tokio::test]
    async fn one_that_was_not_waited_for_rings_at_the_time_that_is_asked_next() {
        let mut alarm = Alarm::new().unwrap();
        let far = Instant::now() + Duration::from_secs(3600);
        let near = Instant::now() + Duration::from_millis(5);
        for at in [Some(far), None] {
            let waited = tokio::time::timeout(Duration::from_millis(2), alarm.ring(at)).await;
            assert!(waited.is_err());
        }
        alarm.ring(Some(near)).await.unwrap();
        assert!(Instant::now() >= near);
    }
}
