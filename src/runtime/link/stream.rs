//! The stream of a link: plain or TLS.

use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use openssl::ssl;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::SemaphorePermit;
use tokio_openssl::SslStream;

use crate::engine::Addr;
use crate::runtime::tls::{Failure, Tls};

/// A handshake that takes longer has not to do with this machine, and others have their turn.
const SLOW: Duration = Duration::from_millis(250);

/// An established connection.
#[derive(Debug)]
pub(super) enum Stream {
    Plain(TcpStream),
    // Boxed: a plain link stays small.
    Tls(Box<SslStream<TcpStream>>),
}

impl Stream {
    /// Shakes hands on a connection to `addr`.
    ///
    /// # Errors
    /// The system's error, or a [`Failure`], which is logged. There is no time limit: the engine gives up
    /// attempts that hang.
    pub(super) async fn shake_hands(
        stream: TcpStream,
        addr: &Addr,
        tls: &Tls,
        turn: SemaphorePermit<'_>,
    ) -> io::Result<Self> {
        let ssl = tls.client(&addr.host).map_err(io::Error::other)?;
        let mut stream = Box::new(SslStream::new(ssl, stream).map_err(io::Error::other)?);
        let waiting = Waiting { addr, tls, since: Some(Instant::now()) };
        let shaken = {
            let mut shaking = pin!(Pin::new(&mut *stream).connect());
            tokio::select! {
                shaken = &mut shaking => shaken,
                // It is the other side that takes its time: somebody else's turn.
                () = tokio::time::sleep(SLOW) => {
                    drop(turn);
                    shaking.await
                }
            }
        };
        waiting.ends();
        shaken.map_err(|error| {
            let failure = Failure::of(&error, stream.ssl());
            if failure.is_telling() {
                tls.complain(addr, &failure);
            }
            // The system's own error tells whose doing it was.
            error.into_io_error().unwrap_or_else(|_| io::Error::other(failure))
        })?;
        Ok(Self::Tls(stream))
    }

    /// What the other side said against us, in an error that ended the connection: with TLSv1.3 it may refuse our
    /// certificate after the handshake.
    pub(super) fn failure(&self, error: &io::Error) -> Option<Failure> {
        match self {
            Self::Plain(_) => None,
            Self::Tls(stream) => {
                let error = error.get_ref()?.downcast_ref::<ssl::Error>()?;
                Some(Failure::of(error, stream.ssl())).filter(Failure::is_telling)
            }
        }
    }
}

/// A handshake under way. Dropped before its end, after a while, it says that nothing was heard: a port without
/// TLS may wait for more of what it takes for a command.
struct Waiting<'a> {
    addr: &'a Addr,
    tls: &'a Tls,
    since: Option<Instant>,
}

/// An attempt that ends earlier was ended for another reason.
const LONG: Duration = Duration::from_millis(900);

impl Waiting<'_> {
    fn ends(mut self) {
        self.since = None;
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let waited = self.since.map(|since| since.elapsed());
        if let Some(waited) = waited.filter(|waited| *waited >= LONG) {
            self.tls.complain(self.addr, &Failure::silence(waited));
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buffer),
            Self::Tls(stream) => Pin::new(&mut **stream).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Tls(stream) => Pin::new(&mut **stream).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(&mut **stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(&mut **stream).poll_shutdown(cx),
        }
    }
}
