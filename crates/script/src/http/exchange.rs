//! One request of a script with its redirects.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rquickjs::{Array, ArrayBuffer, Ctx, IntoJs as _, Result, Value};
use url::Url;

use super::digest::{self, Account};
use crate::exchange::{
    Answer, BodyUse, Expected, Failed, Happened, HttpRequest, Op, OpId, RequestName, Tags,
};
use crate::host::Host;

/// In which form a script gets a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BodyForm {
    Text,
    Binary,
    Nothing,
}

/// A cookie that a request brings along.
#[derive(Debug, Clone)]
pub(crate) struct OwnCookie {
    pub(crate) name: String,
    pub(crate) value: String,
    /// One of the same name from the jar stays at home.
    pub(crate) replaces: bool,
}

/// A request of a script with its redirects.
#[derive(Debug)]
pub(crate) struct Exchange {
    pub(crate) method: String,
    /// As the script has it, and as it was understood.
    pub(crate) address: String,
    pub(crate) url: Option<Url>,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) cookies: Vec<OwnCookie>,
    /// Those that the last hop took along.
    pub(crate) sent: Vec<OwnCookie>,
    pub(crate) body: Option<Arc<[u8]>>,
    pub(crate) timeout: Duration,
    pub(crate) form: BodyForm,
    pub(crate) redirects: u32,
    /// Which jar.
    pub(crate) jar: u32,
    pub(crate) name: RequestName,
    pub(crate) tags: Arc<Tags>,
    pub(crate) expected: Expected,
    pub(crate) keeps_connection: bool,
    pub(crate) max_bytes: usize,
    pub(crate) came: Option<Came>,
    /// When its last hop was begun, and how long it was waited for where no answer came.
    pub(crate) began: Duration,
    pub(crate) waited: Duration,
    /// Under which number the script waits for it: that of its first hop.
    pub(crate) first: Option<OpId>,
    /// The script gets to see its body, which it has in another form.
    pub(crate) shows_body: bool,
    /// Who answers a challenge; nobody once it was answered.
    pub(crate) digest: Option<Account>,
}

/// What came of the last hop.
#[derive(Debug)]
pub(crate) enum Came {
    Answer(Box<Answer>),
    Failed(Failed),
}

impl Exchange {
    /// The next hop. An address that is none goes along as it is: the driver says so, and counts a
    /// request that failed.
    pub(crate) fn next_op(&mut self, host: &Host) -> Op {
        let mut headers = self.headers.clone();
        self.sent = match &self.url {
            Some(url) => self.cookies_for(host, url),
            None => Vec::new(),
        };
        if !self.sent.is_empty() {
            let cookies = in_header(&self.sent);
            // There is one such line (RFC 6265, section 5.4), also where the script writes it.
            let own = headers
                .iter_mut()
                .find(|(name, _)| name.eq_ignore_ascii_case("cookie"));
            match own {
                Some((_, own)) => *own = format!("{own}; {cookies}"),
                None => headers.push(("Cookie".into(), cookies)),
            }
        }
        self.began = host.now.get();
        Op::Http(Box::new(HttpRequest {
            method: self.method.clone(),
            url: match &self.url {
                Some(url) => url.as_str().to_owned(),
                None => self.address.clone(),
            },
            headers,
            body: self.body.clone(),
            timeout: self.timeout,
            body_use: match self.form {
                BodyForm::Nothing => BodyUse::Discarded,
                BodyForm::Text | BodyForm::Binary => BodyUse::Kept,
            },
            name: self.name.clone(),
            tags: Arc::clone(&self.tags),
            expected: self.expected_now(),
            keeps_connection: self.keeps_connection,
            max_bytes: self.max_bytes,
        }))
    }

    /// Which statuses are no failure of this hop: who is to be asked for a password expects that.
    fn expected_now(&self) -> Expected {
        match (&self.expected, &self.digest) {
            (Expected::Statuses(all), Some(_)) => {
                Expected::Statuses(all.iter().cloned().chain([401..=401]).collect())
            }
            (expected, _) => expected.clone(),
        }
    }

    /// Why there is no answer.
    pub(crate) fn failure(&self) -> Failed {
        match &self.came {
            Some(Came::Failed(failed)) => failed.clone(),
            _ => Failed {
                code: 1000,
                message: "no answer".into(),
            },
        }
    }

    /// Its own cookies, and those of the jar that they do not replace.
    fn cookies_for(&self, host: &Host, url: &Url) -> Vec<OwnCookie> {
        let mut all = self.cookies.clone();
        let replaced = |name: &str| {
            self.cookies
                .iter()
                .any(|own| own.replaces && own.name == name)
        };
        host.jars.borrow().each(self.jar, url, |name, value| {
            if !replaced(name) {
                all.push(OwnCookie {
                    name: name.to_owned(),
                    value: value.to_owned(),
                    replaces: false,
                });
            }
        });
        all
    }

    /// Takes what came of a hop; gives the next one where it leads on.
    pub(crate) fn take(&mut self, host: &Host, happened: Happened) -> Option<Op> {
        match happened {
            Happened::Answered(answer) => {
                if let Some(url) = &self.url {
                    host.jars.borrow_mut().keep(self.jar, url, &answer.headers);
                }
                let leads_on = self.answer_challenge(&answer) || self.follow(&answer);
                self.came = Some(Came::Answer(answer));
                leads_on.then(|| self.next_op(host))
            }
            Happened::Failed(failed) => {
                self.waited = host.now.get().saturating_sub(self.began);
                self.came = Some(Came::Failed(failed));
                None
            }
            other => {
                let message = format!("the driver said {other:?} of a request");
                self.came = Some(Came::Failed(Failed {
                    code: 1000,
                    message,
                }));
                None
            }
        }
    }

    /// Whether an answer asks who we are, and gets to know that.
    fn answer_challenge(&mut self, answer: &Answer) -> bool {
        if answer.status != 401 {
            return false;
        }
        let (Some(account), Some(url)) = (self.digest.take(), &self.url) else {
            return false;
        };
        let mut own_nonce = [0; 8];
        if getrandom::fill(&mut own_nonce).is_err() {
            return false;
        }
        let uri = &url[url::Position::BeforePath..url::Position::AfterQuery];
        let challenges = answer
            .headers
            .iter()
            .filter(|(name, _)| name.eq_ignore_ascii_case("www-authenticate"));
        let text = challenges.into_iter().find_map(|(_, challenge)| {
            digest::answer(
                &account,
                challenge,
                &self.method,
                uri,
                &digest::hex(&own_nonce),
            )
        });
        let Some(text) = text else { return false };
        self.headers
            .retain(|(name, _)| !name.eq_ignore_ascii_case("authorization"));
        self.headers.push(("Authorization".into(), text));
        true
    }

    /// Whether an answer leads on, to an address that is this exchange's then.
    fn follow(&mut self, answer: &Answer) -> bool {
        if !matches!(answer.status, 301 | 302 | 303 | 307 | 308) || self.redirects == 0 {
            return false;
        }
        let to = answer
            .headers
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case("location"));
        let (Some((_, to)), Some(from)) = (to, &self.url) else {
            return false;
        };
        let Ok(mut next) = from.join(to) else {
            return false;
        };
        if !matches!(next.scheme(), "http" | "https") {
            return false;
        }
        if next.fragment().is_none() {
            next.set_fragment(from.fragment());
        }
        self.redirects -= 1;
        if !matches!(answer.status, 307 | 308) {
            if self.method != "HEAD" {
                self.method = "GET".into();
            }
            self.body = None;
            self.headers
                .retain(|(name, _)| !name.to_ascii_lowercase().starts_with("content-"));
        }
        // Secrets are for whom they were meant.
        if from.host_str() != next.host_str() {
            self.cookies.clear();
            self.headers.retain(|(name, _)| {
                !["authorization", "cookie", "www-authenticate", "host"]
                    .contains(&name.to_ascii_lowercase().as_str())
            });
        }
        self.url = Some(next);
        true
    }

    /// What `Response` is made of, in the order that it takes.
    pub(crate) fn outcome<'js>(self, ctx: &Ctx<'js>) -> Result<Array<'js>> {
        let to = Array::new(ctx.clone())?;
        let url = self.url.as_ref().map_or(self.address.as_str(), Url::as_str);
        to.set(2, url)?;
        if let Some(Came::Answer(answer)) = &self.came {
            self.of_answer(ctx, &to, answer)?;
        } else {
            let failed = self.failure();
            to.set(0, 0)?;
            to.set(1, "")?;
            to.set(3, "")?;
            to.set(4, "")?;
            to.set(5, 0)?;
            to.set(6, self.body_value(ctx, None)?)?;
            to.set(7, failed.message)?;
            to.set(8, failed.code)?;
            to.set(9, "")?;
        }
        for (index, part) in (10..).zip(self.timings()) {
            to.set(index, part.as_secs_f64() * 1e3)?;
        }
        to.set(16, self.method)?;
        if !self.headers.is_empty() {
            to.set(17, lines(&self.headers))?;
        }
        if self.shows_body {
            let body = self.body.as_deref().map(String::from_utf8_lossy);
            to.set(18, body.unwrap_or_default().as_ref())?;
        }
        if !self.sent.is_empty() {
            let marked = self.sent.iter().map(|one| {
                let mark = if one.replaces { '+' } else { '-' };
                (format!("{mark}{}", one.name), one.value.clone())
            });
            to.set(20, lines(&marked.collect::<Vec<_>>()))?;
        }
        Ok(to)
    }

    fn of_answer<'js>(&self, ctx: &Ctx<'js>, to: &Array<'js>, answer: &Answer) -> Result<()> {
        to.set(0, answer.status)?;
        to.set(
            1,
            format!("{} {}", answer.status, answer.status_text).trim_end(),
        )?;
        to.set(3, answer.protocol)?;
        to.set(
            4,
            answer
                .remote
                .as_ref()
                .map(|at| at.ip().to_string())
                .unwrap_or_default(),
        )?;
        to.set(5, answer.remote.as_ref().map_or(0, SocketAddr::port))?;
        to.set(6, self.body_value(ctx, answer.body.as_deref())?)?;
        to.set(7, "")?;
        // Answers that are errors have numbers of their own.
        let code = if answer.status >= 400 {
            1000 + answer.status
        } else {
            0
        };
        to.set(8, code)?;
        to.set(9, lines(&answer.headers))
    }

    fn body_value<'js>(&self, ctx: &Ctx<'js>, body: Option<&[u8]>) -> Result<Value<'js>> {
        let body = match (self.form, body) {
            (BodyForm::Nothing, _) | (_, None) => return Ok(Value::new_null(ctx.clone())),
            (BodyForm::Text, Some(body)) => {
                return String::from_utf8_lossy(body).into_js(ctx);
            }
            (BodyForm::Binary, Some(body)) => body,
        };
        ArrayBuffer::new_copy(ctx.clone(), body)?.into_js(ctx)
    }

    /// In the order of `timingsOf`.
    fn timings(&self) -> [Duration; 6] {
        let timings = match &self.came {
            Some(Came::Answer(answer)) => answer.timings,
            // Whoever got no answer waited for one: a mean of durations must not fall as a target
            // hangs.
            _ => crate::exchange::Timings {
                waiting: self.waited,
                ..crate::exchange::Timings::default()
            },
        };
        [
            timings.blocked,
            timings.connecting,
            timings.tls_handshaking,
            timings.sending,
            timings.waiting,
            timings.receiving,
        ]
    }
}

/// As the header `Cookie` has them.
fn in_header(cookies: &[OwnCookie]) -> String {
    let all: Vec<String> = cookies
        .iter()
        .map(|one| format!("{}={}", one.name, one.value))
        .collect();
    all.join("; ")
}

/// Names and values, a line each.
pub(crate) fn lines(headers: &[(String, String)]) -> String {
    let mut text = String::with_capacity(headers.len() * 32);
    for (name, value) in headers {
        for part in [name, value] {
            // A header has no line break; should one come nevertheless, it ends no line here.
            match part.contains(['\r', '\n']) {
                breaks if breaks => text.push_str(&part.replace(['\r', '\n'], " ")),
                _ => text.push_str(part),
            }
            text.push('\n');
        }
    }
    text
}
