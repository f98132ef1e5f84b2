//! One open event stream of a VU, read all the time so that no event and no end of the stream is seen late.

use std::cell::RefCell;
use std::rc::Rc;

use tokio::task::AbortHandle;

use super::http::Connection;
use super::inbox::{self, Arrived, Inbox, Waited};
use super::why;
use crate::measure::FailureKind;
use crate::scenario::sse::{Event, Parser};

/// Closing is dropping: the reading task and its connection go with it.
pub(super) struct Stream {
    inbox: Rc<RefCell<Inbox<Event>>>,
    reader: AbortHandle,
}

impl Stream {
    /// Begins to read a stream whose head was read from `connection`.
    pub(super) fn start(connection: Connection) -> Self {
        let inbox = Rc::new(RefCell::new(Inbox::default()));
        let reader = tokio::task::spawn_local(read(connection, Rc::clone(&inbox)));
        Self {
            inbox,
            reader: reader.abort_handle(),
        }
    }

    /// Waits for the first event that `wanted` accepts and takes it; the others stay for later waits.
    ///
    /// Fails when the stream has ended and no event that came before will do.
    pub(super) async fn find(
        &self,
        wanted: impl FnMut(&Event) -> bool,
    ) -> Result<Arrived<Event>, FailureKind> {
        inbox::find(&self.inbox, wanted).await
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

impl Waited for Event {
    fn size(&self) -> usize {
        self.name.len() + self.data.len()
    }
}

async fn read(mut connection: Connection, inbox: Rc<RefCell<Inbox<Event>>>) {
    let mut parser = Parser::default();
    let ended = connection
        .stream(|bytes, at| {
            let mut inbox = inbox.borrow_mut();
            let mut came = false;
            let fed = parser.feed(bytes, |event| {
                inbox.push(event, at);
                came = true;
            });
            if came {
                inbox.wake();
            }
            fed.map_err(|_| {
                why::note(
                    FailureKind::Protocol,
                    "the stream holds a line or an event that is too large",
                )
            })
        })
        .await;
    inbox.borrow_mut().end(ended, why::take(ended));
}
