//! Which events of a stream a wait is for: the first or n-th that matches, the last one, or the
//! end.

use std::time::Instant;

use crate::engine::native::inbox::{Arrived, Ended};
use crate::engine::native::stream::Stream;
use crate::scenario::Awaited;
use crate::scenario::sse::Event;

/// What was waited for.
pub(super) enum Came {
    Event(Arrived<Event>),
    /// A clean end of the stream.
    End(Instant),
}

/// Waits until what is awaited has come; events that are passed over in counting are gone.
pub(super) async fn awaited(
    awaited: Awaited,
    stream: &Stream,
    mut is: impl FnMut(&Event) -> bool,
) -> Result<Came, Ended> {
    match awaited {
        Awaited::Events(count) => {
            for _ in 1..count {
                stream.find(&mut is).await?;
            }
            stream.find(is).await.map(Came::Event)
        }
        Awaited::Last | Awaited::End => {
            let mut last = None;
            let ended = loop {
                match stream.find(&mut is).await {
                    Ok(arrived) => last = Some(arrived),
                    Err(ended) => break ended,
                }
            };
            match (ended.is_clean(), last) {
                (true, Some(arrived)) => Ok(Came::Event(arrived)),
                (true, None) if awaited == Awaited::End => Ok(Came::End(ended.at)),
                _ => Err(ended),
            }
        }
    }
}
