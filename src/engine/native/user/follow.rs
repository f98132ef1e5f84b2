//! Redirects of a VU: the request goes on to where the answer points, the clock of its step runs
//! on.

use http::header::LOCATION;

use super::{Connection, FailureKind, Head, RequestTemplate, ScenarioUser, Stop, Want, why};
use crate::scenario::{Origin, Redirect, is_redirect, same_origin};

/// An answer whose body is still to be read, and where it came from.
pub(super) struct OpenAnswer {
    pub(super) connection: Box<Connection>,
    pub(super) head: Head,
    /// Index of the scenario's origin whose kept connection this is; `None` where it is not to be
    /// kept.
    pub(super) keep: Option<usize>,
    /// How it was asked for, where that is not as the step says.
    pub(super) asked: Option<Box<Redirect>>,
}

impl ScenarioUser<'_> {
    /// Follows an answer's redirects, as many as the scenario allows; the answer after the last is
    /// the step's.
    ///
    /// A status that the step expects is its success, also where it is a redirect.
    pub(super) async fn follow(
        &mut self,
        template: &RequestTemplate,
        sent: &[u8],
        want: Want<'_>,
        answer: OpenAnswer,
    ) -> Result<OpenAnswer, Stop> {
        let mut answer = answer;
        let mut last = answer.asked.take();
        let mut from = match &last {
            Some(link) => link.origin.clone(),
            None => self.scenario.origins()[template.origin()].clone(),
        };
        for _ in 0..self.scenario.redirects() {
            let status = answer.head.status;
            let location = answer.head.headers.get(LOCATION);
            let Some(location) =
                location.filter(|_| is_redirect(status) && !template.expect().holds(status))
            else {
                break;
            };
            let unreadable = |text: &str| why::note(FailureKind::Protocol, text);
            let location = location
                .to_str()
                .map_err(|_| unreadable("the response redirects to a location that is not text"))?;
            let (request, method) = match &last {
                Some(last) => (&last.request[..], &last.method),
                None => (sent, template.method()),
            };
            let next = Redirect::after(request, &from, method, status, location)
                .map_err(|why| unreadable(&format!("a redirect that cannot be followed: {why}")))?;
            let keeps = answer.keep.is_some();
            self.leave(answer, want).await?;
            let want = Want {
                method: &next.method,
                ..want
            };
            answer = self.arrive(&next, want, keeps).await?;
            from.clone_from(&next.origin);
            last = Some(Box::new(next));
        }
        Ok(answer)
    }

    /// Sends a request to an address that an answer gave.
    pub(super) async fn go_to_link(
        &mut self,
        template: &RequestTemplate,
        request: &[u8],
        want: Want<'_>,
    ) -> Result<OpenAnswer, Stop> {
        let origin = &self.scenario.origins()[template.origin()];
        let next = Redirect::to_link(request, origin, template.method());
        let next = next.map_err(|_| {
            let text = "the address that an answer gave is not one of http or https";
            why::note(FailureKind::Protocol, text)
        })?;
        let mut answer = self.arrive(&next, want, true).await?;
        answer.asked = Some(Box::new(next));
        Ok(answer)
    }

    /// Reads an answer that only pointed elsewhere, so that its connection can be used again.
    async fn leave(&mut self, answer: OpenAnswer, want: Want<'_>) -> Result<(), Stop> {
        let OpenAnswer {
            mut connection,
            head,
            keep,
            asked: _,
        } = answer;
        if let Some(origin) = keep {
            let body = connection.body().await?;
            self.say_body(&head.headers, &body, want.read_in(&head));
            self.arrival(&connection);
            self.client.keep(origin, connection);
        }
        Ok(())
    }

    /// Sends a redirected request: on the kept connection where the scenario knows the origin, else
    /// on one of its own.
    async fn arrive(
        &mut self,
        next: &Redirect,
        want: Want<'_>,
        keeps: bool,
    ) -> Result<OpenAnswer, Stop> {
        let known = |o: &Origin| same_origin(o, &next.origin);
        let keep = (self.scenario.origins().iter().position(known)).filter(|_| keeps);
        let (connection, head) = match keep {
            Some(origin) => self.exchange(origin, &next.request, want).await?,
            None => {
                self.exchange_anew(&next.origin, &next.request, want)
                    .await?
            }
        };
        Ok(OpenAnswer {
            connection,
            head,
            keep,
            asked: None,
        })
    }
}
