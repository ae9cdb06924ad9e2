//! A stream on the wire: server-sent events (WHATWG HTML §9.2), one item at a time.
//!
//! The next item is asked for when the one before was taken: when all that was written has gone
//! into the socket. So nothing waits here, and a reader that takes nothing has one event of its own
//! in memory, until it is cut off ([`crate::paced`]).

use crate::paced::Taken;
use http_body_util::Full;
use hyper::body::{Body, Bytes, Frame, SizeHint};
use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use twinpact_node::egress::Item;
use twinpact_node::stream::Stream;

/// The media type of a stream.
pub(crate) const EVENT_STREAM: &str = "text/event-stream";

/// The body of an answer: all of it, or a stream.
pub(crate) enum Answered {
    Whole(Full<Bytes>),
    Events(Events),
}

impl Body for Answered {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match self.get_mut() {
            Answered::Whole(body) => Pin::new(body).poll_frame(cx),
            Answered::Events(events) => events.poll(cx).map(|bytes| Some(Ok(Frame::data(bytes?)))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Answered::Whole(body) => body.is_end_stream(),
            Answered::Events(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Answered::Whole(body) => body.size_hint(),
            Answered::Events(_) => SizeHint::default(),
        }
    }
}

type Next = Pin<Box<dyn Future<Output = (Box<Stream>, Option<Item>)> + Send>>;

/// The events of a stream.
pub(crate) struct Events {
    stream: Option<Box<Stream>>,
    next: Option<Next>,
    taken: Taken,
}

impl Events {
    /// Those of that stream, over a connection that says what was taken.
    pub(crate) fn of(stream: Box<Stream>, taken: Taken) -> Events {
        Events { stream: Some(stream), next: None, taken }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        ready!(self.taken.poll(cx));
        if let Some(stream) = self.stream.take() {
            self.next = Some(Box::pin(next(stream)));
        }
        let Some(asked) = &mut self.next else { return Poll::Ready(None) };
        let (stream, item) = ready!(asked.as_mut().poll(cx));
        self.next = None;
        let Some(item) = item else { return Poll::Ready(None) };
        self.stream = Some(stream);
        self.taken.gives();
        Poll::Ready(Some(Bytes::from(event(&item))))
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        if let Some(stream) = &mut self.stream
            && self.taken.is_late()
        {
            stream.cut();
        }
    }
}

async fn next(mut stream: Box<Stream>) -> (Box<Stream>, Option<Item>) {
    let item = stream.next().await;
    (stream, item)
}

/// An item as an event. What stands in a line of data is JSON, which has no line ends of its own.
fn event(item: &Item) -> String {
    match item {
        Item::Rows { position, delivered } => {
            format!("id: {position}\nevent: rows\ndata: {}\n\n", delivered.body())
        }
        Item::Beat => ": \n\n".to_owned(),
        Item::End(document) => format!("event: end\ndata: {document}\n\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::event;
    use serde_json::json;
    use twinpact_node::egress::Item;

    #[test]
    fn an_event_is_a_few_lines() {
        assert_eq!(event(&Item::Beat), ": \n\n");
        let end = Item::End(json!({ "detail": "two\nlines" }));
        assert_eq!(event(&end), "event: end\ndata: {\"detail\":\"two\\nlines\"}\n\n");
    }
}
