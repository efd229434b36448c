//! An answer that goes on until whoever gives it has no more, or its connection is to end.
//!
//! It then ends politely, behind what is whole, with the last chunk of its body: nobody takes it for one that was cut off.
//! What is half there has the connection's grace to become whole.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum::Extension;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use hyper::body::{Body, Bytes, Frame};
use tokio::sync::watch;

use crate::control::{Piece, Pieces};

/// Becomes true when a request's connection is to end; its answer should then come to an end. Put into each request by the
/// connection.
#[derive(Clone, Debug)]
pub(super) struct Closing(pub(super) watch::Receiver<bool>);

/// The body.
struct Streaming {
    pieces: Pieces,
    /// Ready when the connection is to end; none once it was.
    closing: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    /// Nothing is half there.
    is_whole: bool,
}

/// An answer of this media type, which goes on with these pieces until `closing`.
pub(super) fn answer(kind: &'static str, pieces: Pieces, closing: Option<Extension<Closing>>) -> Response {
    let body = Streaming::new(pieces, closing.map(|Extension(closing)| closing));
    ([(header::CONTENT_TYPE, kind)], axum::body::Body::new(body)).into_response()
}

impl Streaming {
    /// These pieces, until `closing`; where nobody says that, until they end.
    fn new(pieces: Pieces, closing: Option<Closing>) -> Streaming {
        Streaming { pieces, closing: Some(Box::pin(closed(closing))), is_whole: true }
    }
}

async fn closed(closing: Option<Closing>) {
    match closing {
        // A connection that is gone is as good as one that says so.
        Some(Closing(mut closing)) => _ = closing.wait_for(|closing| *closing).await,
        None => std::future::pending().await,
    }
}

impl Body for Streaming {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if self.closing.as_mut().is_some_and(|closing| closing.as_mut().poll(cx).is_ready()) {
            self.closing = None;
        }
        // Where nobody sends any more, what is there is the end.
        if self.closing.is_none() && self.is_whole && !self.pieces.is_closed() {
            return Poll::Ready(None);
        }
        let Some(Piece { bytes, is_whole }) = ready!(self.pieces.poll_recv(cx)) else {
            // Where that is in the middle of something, the connection breaks.
            return Poll::Ready((!self.is_whole).then(|| Err(io::ErrorKind::UnexpectedEof.into())));
        };
        self.is_whole = is_whole;
        Poll::Ready(Some(Ok(Frame::data(bytes))))
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::sync::mpsc;

    use super::*;

    /// The frames of an answer whose only piece waits when nobody sends any more, and its connection is to end.
    async fn frames(is_whole: bool) -> Vec<Result<(), io::ErrorKind>> {
        let (sender, pieces) = mpsc::channel(1);
        sender.try_send(Piece { bytes: "x".into(), is_whole }).unwrap();
        drop(sender);
        let closing = watch::Sender::new(true);
        let mut body = Box::pin(Streaming::new(pieces, Some(Closing(closing.subscribe()))));
        let mut frames = Vec::new();
        while let Some(frame) = poll_fn(|cx| body.as_mut().poll_frame(cx)).await {
            frames.push(frame.map(drop).map_err(|error| error.kind()));
            if frames.len() > 1 {
                break;
            }
        }
        frames
    }

    #[tokio::test]
    async fn what_is_there_at_the_end_goes_out_and_what_is_half_there_breaks_the_connection() {
        assert_eq!(frames(true).await, [Ok(())]);
        assert_eq!(frames(false).await, [Ok(()), Err(io::ErrorKind::UnexpectedEof)]);
    }
}
