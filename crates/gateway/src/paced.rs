//! A stream whose reader must keep up: what is written has to be taken over in time.
//!
//! The time begins when the peer first takes no more, and ends when everything that was written is
//! flushed. An answer is flushed once, at its end, so that neither a reader that stops nor one that
//! takes a byte now and then holds an answer, and its place, for longer. A stream is flushed after
//! each of its items, and learns by it that the item was taken ([`Taken`]).

use std::fmt;
use std::io::{self, ErrorKind, IoSlice};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

/// The reader did not keep up: what is inside the error of the stream then.
#[derive(Debug)]
pub(crate) struct Unread;

impl fmt::Display for Unread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("what was written was not read in time")
    }
}

impl std::error::Error for Unread {}

/// Whether what was last given to be written has gone into the socket. Clones share it.
#[derive(Clone, Default)]
pub(crate) struct Taken(Arc<Under>);

#[derive(Default)]
struct Under {
    way: AtomicBool,
    late: AtomicBool,
    waits: Mutex<Option<Waker>>,
}

impl Taken {
    /// Something is given to be written.
    pub(crate) fn gives(&self) {
        self.0.way.store(true, Ordering::SeqCst);
    }

    /// Waits until what was given was taken.
    pub(crate) fn poll(&self, cx: &Context<'_>) -> Poll<()> {
        // First the waker: what is flushed in between wakes it.
        *self.waits() = Some(cx.waker().clone());
        if self.0.way.load(Ordering::SeqCst) { Poll::Pending } else { Poll::Ready(()) }
    }

    /// Whether it was not taken in time.
    pub(crate) fn is_late(&self) -> bool {
        self.0.late.load(Ordering::SeqCst)
    }

    fn flushed(&self) {
        if self.0.way.swap(false, Ordering::SeqCst)
            && let Some(waits) = self.waits().take()
        {
            waits.wake();
        }
    }

    fn waits(&self) -> std::sync::MutexGuard<'_, Option<Waker>> {
        self.0.waits.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A stream with a time for writing.
pub(crate) struct Paced<S> {
    stream: S,
    time: Duration,
    /// Runs while something is written that was not flushed.
    running: Option<Pin<Box<Sleep>>>,
    taken: Taken,
}

impl<S: AsyncWrite + Unpin> Paced<S> {
    pub(crate) fn new(stream: S, time: Duration) -> Paced<S> {
        Paced { stream, time, running: None, taken: Taken::default() }
    }

    /// Tells what was taken of what is written here.
    pub(crate) fn taken(&self) -> Taken {
        self.taken.clone()
    }

    fn in_time<T>(
        &mut self,
        cx: &mut Context<'_>,
        outcome: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if outcome.is_ready() {
            return outcome;
        }
        let running = self.running.get_or_insert_with(|| Box::pin(sleep(self.time)));
        ready!(running.as_mut().poll(cx));
        self.taken.0.late.store(true, Ordering::SeqCst);
        Poll::Ready(Err(io::Error::new(ErrorKind::TimedOut, Unread)))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Paced<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Paced<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.in_time(cx, outcome)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write_vectored(cx, parts);
        self.in_time(cx, outcome)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let outcome = Pin::new(&mut self.stream).poll_flush(cx);
        if matches!(outcome, Poll::Ready(Ok(()))) {
            self.running = None;
            self.taken.flushed();
        }
        self.in_time(cx, outcome)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let outcome = Pin::new(&mut self.stream).poll_shutdown(cx);
        self.in_time(cx, outcome)
    }
}

#[cfg(test)]
mod tests {
    use super::{Paced, Unread};
    use std::time::Duration;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    fn is_unread(error: &std::io::Error) -> bool {
        error.get_ref().is_some_and(|inner| inner.is::<Unread>())
    }

    #[tokio::test]
    async fn a_reader_that_stops_or_dawdles_is_cut_off() {
        let soon = Duration::from_millis(20);
        let much = vec![0; 64 << 20];
        let (ours, theirs) = duplex(64);
        let mut paced = Paced::new(ours, soon);
        assert!(is_unread(&paced.write_all(&much).await.unwrap_err()));
        drop(theirs);
        // A byte now and then is progress, and not enough.
        let (ours, mut theirs) = duplex(64);
        let mut paced = Paced::new(ours, soon);
        let reading = async { while theirs.read_u8().await.is_ok() {} };
        let writing = async {
            let error = paced.write_all(&much).await.unwrap_err();
            drop(paced);
            error
        };
        let (error, ()) = tokio::join!(writing, reading);
        assert!(is_unread(&error));
    }

    #[tokio::test]
    async fn what_was_flushed_in_time_leaves_the_next_answer_its_own_time() {
        let (ours, mut theirs) = duplex(64);
        let mut paced = Paced::new(ours, Duration::from_secs(60));
        for _ in 0..2 {
            let mut read = vec![1; 1_000];
            let (written, got) = tokio::join!(
                async {
                    paced.write_all(&[0; 1_000]).await.unwrap();
                    assert!(paced.running.is_some());
                    paced.flush().await
                },
                theirs.read_exact(&mut read)
            );
            assert_eq!((written.is_ok(), got.is_ok(), read), (true, true, vec![0; 1_000]));
            assert!(paced.running.is_none());
        }
    }
}
