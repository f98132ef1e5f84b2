//! Whoever follows a run: the terminal, the page of `--serve`, the server of `--remote-write`. All
//! are told the same.

use std::borrow::Cow;
use std::net::SocketAddr;

use super::{CommandError, Exit, leaving, secrets};
use crate::confidential::{self, Unwritable};
use crate::event::Event;
use crate::scenario::Allowed;
use crate::serve::{LivePage, RemoteWrite, Token};
use crate::term::Terminal;

/// The variable that holds the token of a page that others may see.
pub(super) const TOKEN: &str = "BREAKPOINT_TOKEN";

/// What was asked to follow the runs of one invocation.
pub(super) struct Observers<'a> {
    terminal: &'a mut Terminal,
    page: Option<LivePage>,
    remote: Option<RemoteWrite>,
}

impl<'a> Observers<'a> {
    /// Opens the page, if one is asked for, and says where it is.
    pub(super) async fn open(
        terminal: &'a mut Terminal,
        serve: Option<SocketAddr>,
        remote_write: Option<&str>,
        allowed: &Allowed,
    ) -> Result<Self, CommandError> {
        let address = remote_write.map(secrets::in_flag("--remote-write"));
        let address = address.transpose()?;
        if let Some(address) = &address {
            leaving::check_remote_write(address, allowed)?;
        }
        let remote = address.as_deref();
        let remote = remote.map(|a| RemoteWrite::start(a, allowed)).transpose();
        let remote = remote.map_err(|e| CommandError::new(Exit::Usage, e))?;
        let page = match serve {
            Some(address) => {
                let page = LivePage::start(address, token()?).await;
                Some(page.map_err(|e| CommandError::new(Exit::Usage, e))?)
            }
            None => None,
        };
        if let Some(page) = &page {
            let token = if page.wants_given_token() {
                format!(", for holders of the token in {TOKEN}")
            } else {
                String::new()
            };
            terminal.announce(&format!("live at {}{token}", page.url()));
        }
        Ok(Self {
            terminal,
            page,
            remote,
        })
    }

    /// Tells what happened.
    pub(super) fn on(&mut self, event: &Event) {
        match without_secrets(event) {
            Ok(event) => self.terminal.on(&event),
            Err(error) => self.terminal.error(&error.to_string()),
        }
        if let Some(page) = &self.page {
            page.show(self.terminal.live());
        }
        if let Some(remote) = &self.remote {
            remote.show(self.terminal.live());
            if let Some(trouble) = remote.trouble() {
                self.terminal.warning(&trouble);
            }
        }
    }

    pub(super) fn terminal(&self) -> &Terminal {
        self.terminal
    }

    pub(super) fn warning(&self, message: &str) {
        self.terminal.warning(message);
    }

    /// Lets everybody read the end.
    pub(super) async fn dismiss(self) {
        if let Some(page) = self.page {
            page.stop().await;
        }
        if let Some(remote) = self.remote
            && let Some(trouble) = remote.stop().await
        {
            self.terminal.warning(&trouble);
        }
    }
}

/// A record that is shown whole has no secrets; of what is shown of other events the terminal takes
/// them away.
fn without_secrets(event: &Event) -> Result<Cow<'_, Event>, Unwritable> {
    Ok(match event {
        Event::RunFinished(record) => match confidential::without(&**record)? {
            Cow::Borrowed(_) => Cow::Borrowed(event),
            Cow::Owned(record) => Cow::Owned(Event::RunFinished(Box::new(record))),
        },
        Event::RampFinished(record) => match confidential::without(&**record)? {
            Cow::Borrowed(_) => Cow::Borrowed(event),
            Cow::Owned(record) => Cow::Owned(Event::RampFinished(Box::new(record))),
        },
        _ => Cow::Borrowed(event),
    })
}

/// That of the environment, else one that nobody can guess.
fn token() -> Result<Token, CommandError> {
    match std::env::var(TOKEN) {
        Ok(token) if !token.is_empty() => Token::given(token)
            .map_err(|why| CommandError::new(Exit::Usage, format!("{TOKEN} {why}"))),
        _ => Ok(Token::made(format!("{:032x}", rand::random::<u128>()))),
    }
}
