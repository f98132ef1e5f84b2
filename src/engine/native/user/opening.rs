//! Opening an event stream that the VU holds.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use http::header::CONTENT_TYPE;

use super::follow::OpenAnswer;
use super::telling::FailedAnswer;
use super::{Head, Keep, ScenarioUser, Stop, refusal};
use crate::engine::native::http::Connection;
use crate::engine::native::stream::{Again, Stream, is_event_stream};
use crate::engine::native::why;
use crate::measure::FailureKind;
use crate::scenario::{Answer, Opened, RequestTemplate};

impl ScenarioUser<'_> {
    /// A stream takes a connection of its own for as long as it is open.
    pub(super) async fn open(
        &mut self,
        template: &RequestTemplate,
        opened: Opened,
    ) -> Result<Instant, Stop> {
        let want = self.want(template, true, Keep::All(template.most_body()));
        let request = self.render(template)?;
        let again = (opened.reconnect).then(|| self.again(template, &request));
        let origin = &self.scenario.origins()[template.origin()];
        let (connection, head) = self.exchange_anew(origin, &request, want).await?;
        let answer = OpenAnswer {
            connection,
            head,
            keep: None,
            asked: None,
        };
        let answer = self.arrived(template, &request, want, answer).await?;
        self.rendered = request.into_buffer();
        let OpenAnswer {
            mut connection,
            head,
            ..
        } = answer;
        if let Some(stop) = refusal(template, &head) {
            if !self.fresh && self.scenario.starts_again(head.status) {
                return Err(Stop::Again);
            }
            if matches!(stop, Stop::Failed(_)) {
                Box::pin(self.refused_by(&head, &mut connection)).await;
                self.say_body(&head.headers, connection.beginning(), head.encoding);
            }
            return Err(stop);
        }
        if !is_event_stream(&head.headers) {
            return Err(self.no_stream(&head, &connection).into());
        }
        let answer = Answer::new(head.status.as_u16(), &head.headers, &[]);
        self.extract(template.extract(), &answer)?;
        let at = self.arrival(&connection);
        self.streams[opened.stream] = Some(Stream::start(connection, again));
        Ok(at)
    }

    /// What is needed to open a stream again that ends.
    fn again(&mut self, template: &RequestTemplate, request: &[u8]) -> Again {
        let origin = &self.scenario.origins()[template.origin()];
        let with_cookies = self.jar.add_to(origin, request);
        Again {
            thread: Rc::clone(&self.kind.thread),
            scenario: Arc::clone(&self.kind.scenario),
            origin: template.origin(),
            vu: self.values.vu,
            method: template.method().clone(),
            request: with_cookies.unwrap_or_else(|| request.to_vec()),
        }
    }

    /// Notes that an answer is no event stream, and what it is.
    pub(super) fn no_stream(&mut self, head: &Head, connection: &Connection) -> FailureKind {
        let beginning = connection.beginning();
        self.seen = Some(Box::new(FailedAnswer::new(
            head,
            beginning,
            head.encoding,
            false,
        )));
        let is = head.headers.get(CONTENT_TYPE);
        let is = is.map(|v| String::from_utf8_lossy(v.as_bytes()));
        let is = is.map_or_else(|| "missing".to_owned(), |is| format!("`{is}`"));
        let text = format!(
            "the response is not an event stream: its content-type is {is}, not text/event-stream"
        );
        why::note(FailureKind::Protocol, text)
    }
}
