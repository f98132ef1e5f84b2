//! What a user asks: a request is rendered, sent, answered, checked, and what later steps need is
//! taken from its answer.

use super::body;
use super::follow::OpenAnswer;
use super::telling::FailedAnswer;
use super::{
    Answer, Connection, CookiesSpec, Encoding, Exchanged, FailureKind, Head, Instant, Keep, Origin,
    Rendered, RequestTemplate, ScenarioUser, Stop, Want, now_ms, refusal, why,
};

impl ScenarioUser<'_> {
    /// What one who looks wants of every answer, else what the step needs.
    pub(super) fn want<'t>(
        &self,
        template: &'t RequestTemplate,
        headers: bool,
        body: Keep,
    ) -> Want<'t> {
        let looks = self.kind.trace.is_some();
        Want {
            method: template.method(),
            headers: headers || looks,
            body: match body {
                Keep::Nothing if looks => Keep::Beginning,
                body => body,
            },
            expect: template.expect(),
            upgrades: false,
        }
    }

    pub(super) async fn request(&mut self, template: &RequestTemplate) -> Result<Instant, Stop> {
        let keep = if template.needs_body() || template.stream().is_some() {
            Keep::All(template.most_body())
        } else {
            Keep::Nothing
        };
        let headers = template.needs_headers() || template.stream().is_some();
        let want = self.want(template, headers, keep);
        let request = self.render(template)?;
        let answer = if template.is_link() {
            self.go_to_link(template, &request, want).await?
        } else {
            let (connection, head) = self.exchange(template.origin(), &request, want).await?;
            OpenAnswer {
                connection,
                head,
                keep: Some(template.origin()),
                asked: None,
            }
        };
        let answer = self.arrived(template, &request, want, answer).await?;
        self.rendered = request.into_buffer();
        let OpenAnswer {
            mut connection,
            head,
            keep,
            asked: _,
        } = answer;
        let refusal = refusal(template, &head);
        let again = refusal.is_some() && !self.fresh && self.scenario.starts_again(head.status);
        if let Some(Stop::Failed(kind)) = refusal
            && !again
        {
            Box::pin(self.refused_by(&head, &mut connection)).await;
            self.say_body(&head.headers, connection.beginning(), head.encoding);
            return Err(kind.into());
        }
        self.answered(&head, &connection);
        if let (Some(stream), None) = (template.stream(), &refusal) {
            let answer = OpenAnswer {
                connection,
                head,
                keep,
                asked: None,
            };
            return Box::pin(self.streamed(template, stream, answer)).await;
        }
        let body = connection.body().await?;
        let encoding = want.read_in(&head);
        self.say_body(&head.headers, &body, encoding);
        let at = self.arrival(&connection);
        if let Some(origin) = keep {
            self.client.keep(origin, connection);
        }
        if again {
            return Err(Stop::Again);
        }
        if let Some(shed) = refusal {
            return Err(shed);
        }
        let body = if matches!(want.body, Keep::All(_)) {
            &body[..]
        } else {
            &[]
        };
        self.judge(template, &head, body, encoding)?;
        Ok(at)
    }

    /// Checks an answer whose status is right, and takes from it what later steps need.
    pub(super) fn judge(
        &mut self,
        template: &RequestTemplate,
        head: &Head,
        body: &[u8],
        encoding: Encoding,
    ) -> Result<(), Stop> {
        if template.check().is_none() && template.extract().is_empty() {
            return Ok(());
        }
        let answer = Answer::new(head.status.as_u16(), &head.headers, body);
        let (scenario, values) = (self.scenario, &self.values);
        let rng = &mut self.rng;
        let check = template.check();
        let failure = check.and_then(|c| c.failure(&answer, |t| scenario.render(t, values, rng)));
        let judged = match failure {
            Some(text) => Err(why::note(FailureKind::Check, text)),
            None => self.extract(template.extract(), &answer),
        };
        judged.map_err(|kind| {
            if kind == FailureKind::Protocol && answer.json().is_none() && template.wants_json() {
                body::note_no_json(kind, body, head.encoding);
            }
            self.seen = Some(Box::new(FailedAnswer::new(head, body, encoding, false)));
            kind.into()
        })
    }

    /// The answer after any redirects. Most scenarios follow none, and keep no room for it.
    pub(super) async fn arrived(
        &mut self,
        template: &RequestTemplate,
        sent: &[u8],
        want: Want<'_>,
        answer: OpenAnswer,
    ) -> Result<OpenAnswer, Stop> {
        if self.scenario.redirects() == 0 {
            return Ok(answer);
        }
        Box::pin(self.follow(template, sent, want, answer)).await
    }

    /// Sends a request on the kept connection or a new one.
    pub(super) async fn exchange(
        &mut self,
        origin: usize,
        request: &[u8],
        want: Want<'_>,
    ) -> Result<Exchanged, Stop> {
        let to = &self.scenario.origins()[origin];
        let with_cookies = self.jar.add_to(to, request);
        let request = with_cookies.as_deref().unwrap_or(request);
        self.say_sent(request);
        let now = self.now;
        let answer = self.client.exchange(origin, now, request, want).await?;
        self.came(to, request, &answer.1);
        Ok(answer)
    }

    /// Sends a request on a connection of its own.
    pub(super) async fn exchange_anew(
        &mut self,
        origin: &Origin,
        request: &[u8],
        want: Want<'_>,
    ) -> Result<Exchanged, Stop> {
        let with_cookies = self.jar.add_to(origin, request);
        let request = with_cookies.as_deref().unwrap_or(request);
        self.say_sent(request);
        let answer = self.client.exchange_anew(origin, request, want).await?;
        self.came(origin, request, &answer.1);
        Ok(answer)
    }

    /// A head came: what it sets is kept.
    pub(super) fn came(&mut self, origin: &Origin, request: &[u8], head: &Head) {
        self.say_head(head);
        let keeps = self.scenario.cookies() != CookiesSpec::Off;
        if keeps && self.jar.take(origin, request, &head.headers) {
            let names = self.scenario.cookie_names();
            self.jar.fill_in(names, &mut self.values);
        }
    }

    /// When the last bytes came; that they were read later is the generator's own delay.
    pub(super) fn arrival(&self, connection: &Connection) -> Instant {
        let arrivals = connection.arrivals();
        self.recorder().read_late(arrivals.read_late);
        arrivals.at
    }

    pub(super) fn render<'t>(
        &mut self,
        template: &'t RequestTemplate,
    ) -> Result<Rendered<'t>, FailureKind> {
        self.has_cookies(template.cookies())?;
        if template.varies() {
            self.values.now_ms = now_ms();
        }
        let buffer = std::mem::take(&mut self.rendered);
        template
            .render(self.scenario, &self.values, &mut self.rng, buffer)
            .map_err(|e| why::note(FailureKind::Protocol, e.to_string()))
    }

    /// Whether every cookie was set whose value is taken.
    pub(super) fn has_cookies(
        &self,
        mut taken: impl Iterator<Item = usize>,
    ) -> Result<(), FailureKind> {
        let Some(missing) = taken.find(|c| self.values.cookie(*c).is_none()) else {
            return Ok(());
        };
        let name = &self.scenario.cookie_names()[missing];
        let text = format!(
            "no cookie `{name}` was set by an earlier answer of this user, and the request takes \
             its value"
        );
        Err(why::note(FailureKind::Protocol, text))
    }
}
