//! A TCP socket that knows when its bytes came: the kernel stamps each segment as it arrives, so
//! that a read that comes late, because the generator has no CPU, does not make the target look
//! slow.
//!
//! The stamp is that of the last segment that a read took from (Linux, `SO_TIMESTAMPNS`: wall-clock
//! time, taken back to the monotonic clock by its age at the read). Where there is none, the time
//! of the read itself stands in.

use std::cell::Cell;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::{TcpSocket, TcpStream};

/// A stamp older than this is no stamp: somebody set the wall clock.
const OLDEST: Duration = Duration::from_secs(60);

/// A connected socket, registered with the thread's runtime.
#[derive(Debug)]
pub(super) struct Socket {
    tcp: TcpStream,
    arrivals: Cell<Arrivals>,
}

/// What was read so far.
#[derive(Debug, Clone, Copy)]
pub(super) struct Arrivals {
    /// When the last bytes came.
    pub(super) at: Instant,
    /// How much later they were read.
    pub(super) read_late: Duration,
    pub(super) bytes: u64,
}

impl Socket {
    /// Connects, from a given local address if there is one.
    pub(super) async fn connect(to: SocketAddr, from: Option<IpAddr>) -> io::Result<Self> {
        let socket = if to.is_ipv4() {
            TcpSocket::new_v4()?
        } else {
            TcpSocket::new_v6()?
        };
        socket.set_nodelay(true)?;
        stamps::ask_for(&socket);
        if let Some(from) = from {
            ports::leave_to_connect(&socket);
            socket.bind(SocketAddr::new(from, 0))?;
        }
        let tcp = socket.connect(to).await?;
        let arrivals = Cell::new(Arrivals {
            at: Instant::now(),
            read_late: Duration::ZERO,
            bytes: 0,
        });
        Ok(Self { tcp, arrivals })
    }

    pub(super) fn arrivals(&self) -> Arrivals {
        self.arrivals.get()
    }

    /// Reads what is there into `into`; 0 bytes is the end.
    pub(super) fn poll_receive(
        &self,
        cx: &mut Context<'_>,
        into: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.tcp.poll_read_ready(cx))?;
            let received =
                (self.tcp).try_io(Interest::READABLE, || stamps::receive(&self.tcp, into));
            match received {
                Ok((read, age)) => {
                    // A read that did not fill the buffer has emptied the socket: the next event
                    // says when there is more, and no read has to find out that there is not.
                    if (1..into.len()).contains(&read) {
                        let empty = || Err::<(), _>(io::ErrorKind::WouldBlock.into());
                        let _ = self.tcp.try_io(Interest::READABLE, empty);
                    }
                    self.note(read, age);
                    return Poll::Ready(Ok(read));
                }
                Err(e) if is_passing(&e) => {}
                Err(e) => return Poll::Ready(Err(e)),
            }
        }
    }

    /// Writes as much as the socket takes.
    pub(super) fn poll_send(&self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.tcp.poll_write_ready(cx))?;
            match self.tcp.try_write(bytes) {
                Err(e) if is_passing(&e) => {}
                result => return Poll::Ready(result),
            }
        }
    }

    fn note(&self, read: usize, age: Option<Duration>) {
        let before = self.arrivals.get();
        self.arrivals.set(before.then(Instant::now(), read, age));
    }
}

impl Arrivals {
    /// After a read at `now` of bytes that came this long before, by the wall clock.
    ///
    /// Bytes cannot have come before those that were read before them. A wall clock that was set
    /// between their coming and their reading therefore moves the time of one answer by no more
    /// than the pause before it, and the delay of the generator too.
    fn then(self, now: Instant, read: usize, age: Option<Duration>) -> Self {
        let age = age.filter(|a| *a < OLDEST).unwrap_or_default();
        let at = now.checked_sub(age).unwrap_or(now).max(self.at);
        Self {
            at,
            read_late: now.saturating_duration_since(at),
            bytes: self.bytes + read as u64,
        }
    }
}

fn is_passing(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
    )
}

impl AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = ready!(self.poll_receive(cx, buf.initialize_unfilled()))?;
        buf.advance(read);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_send(cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().tcp).poll_shutdown(cx)
    }
}

#[cfg(target_os = "linux")]
mod ports {
    use nix::sys::socket::{setsockopt, sockopt};

    use super::TcpSocket;

    /// A port taken when the address is bound is taken for every target; one taken while connecting
    /// is for this target only, so that other connections from the same address may share it.
    /// Without the option both still work.
    pub(super) fn leave_to_connect(socket: &TcpSocket) {
        let _ = setsockopt(socket, sockopt::IpBindAddressNoPort, &true);
    }
}

#[cfg(not(target_os = "linux"))]
mod ports {
    pub(super) fn leave_to_connect(_: &super::TcpSocket) {}
}

#[cfg(target_os = "linux")]
mod stamps {
    use std::cell::RefCell;
    use std::io::IoSliceMut;
    use std::os::fd::AsRawFd as _;
    use std::time::SystemTime;

    use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg, setsockopt, sockopt};

    use super::{Duration, TcpSocket, TcpStream, io};

    thread_local! {
        /// Room for one stamp beside the data.
        static CONTROL: RefCell<Vec<u8>> = RefCell::new(nix::cmsg_space!(nix::sys::time::TimeSpec));
    }

    /// A socket that does not stamp still works.
    pub(super) fn ask_for(socket: &TcpSocket) {
        let _ = setsockopt(socket, sockopt::ReceiveTimestampns, &true);
    }

    /// Bytes read, and how long ago the last of them came.
    pub(super) fn receive(
        tcp: &TcpStream,
        into: &mut [u8],
    ) -> io::Result<(usize, Option<Duration>)> {
        CONTROL.with_borrow_mut(|control| {
            let mut pieces = [IoSliceMut::new(into)];
            let message = recvmsg::<()>(
                tcp.as_raw_fd(),
                &mut pieces,
                Some(control),
                MsgFlags::empty(),
            )?;
            let age = message.cmsgs()?.find_map(|c| match c {
                ControlMessageOwned::ScmTimestampns(at) => age(Duration::from(at)),
                _ => None,
            });
            Ok((message.bytes, age))
        })
    }

    fn age(at: Duration) -> Option<Duration> {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        now.ok()?.checked_sub(at)
    }
}

#[cfg(not(target_os = "linux"))]
mod stamps {
    use super::{Duration, TcpSocket, TcpStream, io};

    pub(super) fn ask_for(_: &TcpSocket) {}

    pub(super) fn receive(
        tcp: &TcpStream,
        into: &mut [u8],
    ) -> io::Result<(usize, Option<Duration>)> {
        tcp.try_read(into).map(|read| (read, None))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::net::TcpListener;

    use super::*;

    /// Runs in real time on one thread that does nothing else meanwhile: the read is late, its
    /// stamp is not.
    #[tokio::test]
    #[cfg(target_os = "linux")]
    async fn bytes_that_are_read_late_have_the_time_at_which_they_came() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let socket = Socket::connect(address, None).await.unwrap();
        let (mut peer, _) = listener.accept().unwrap();
        let mut into = [0; 100];
        // The kernel begins to stamp shortly after it was asked to for the first time.
        for last in [false, true] {
            let before = Instant::now();
            peer.write_all(b"hello").unwrap();
            let after = Instant::now();
            std::thread::sleep(Duration::from_millis(200));
            let read = std::future::poll_fn(|cx| socket.poll_receive(cx, &mut into)).await;
            assert_eq!(read.unwrap(), 5);
            let came = socket.arrivals();
            if last {
                let slack = Duration::from_millis(5);
                assert!(
                    before <= came.at + slack && came.at <= after + slack,
                    "{came:?}"
                );
                assert!(came.read_late >= Duration::from_millis(150), "{came:?}");
            }
        }
        assert_eq!(socket.arrivals().bytes, 10);
    }

    #[test]
    fn a_wall_clock_that_is_set_moves_no_arrival_before_the_last_one() {
        let s = Duration::from_secs_f64;
        let start = Instant::now();
        let before = Arrivals {
            at: start,
            read_late: Duration::ZERO,
            bytes: 7,
        };
        let now = start + s(0.5);
        for (age, at_s, late_s) in [
            // Nobody touched it.
            (Some(s(0.1)), 0.4, 0.1),
            // Set forward by ten seconds, and by a day, while the bytes lay in the kernel.
            (Some(s(10.1)), 0.0, 0.5),
            (Some(s(86_400.1)), 0.5, 0.0),
            // Set back: the stamp lies in the future, and there is no age.
            (None, 0.5, 0.0),
        ] {
            let after = before.then(now, 3, age);
            assert_eq!(after.at, start + s(at_s), "{age:?}");
            assert_eq!(after.read_late, s(late_s), "{age:?}");
            assert_eq!(after.bytes, 10);
        }
    }

    #[tokio::test]
    async fn a_port_without_a_server_is_refused_and_an_ended_connection_reads_nothing() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let local: IpAddr = "127.0.0.9".parse().unwrap();
        let socket = Socket::connect(address, Some(local)).await.unwrap();
        let (peer, from) = listener.accept().unwrap();
        assert_eq!(from.ip(), local);
        drop(peer);
        let mut into = [0; 100];
        let read = std::future::poll_fn(|cx| socket.poll_receive(cx, &mut into)).await;
        assert_eq!(read.unwrap(), 0);
        drop(listener);
        let refused = Socket::connect(address, None).await.unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
    }
}
