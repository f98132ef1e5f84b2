//! Whoever follows a run: the terminal, the page of `--serve`, the server of `--remote-write`. All are told the same.

use std::net::SocketAddr;

use super::{Exit, Refusal, secrets};
use crate::event::Event;
use crate::serve::{LivePage, RemoteWrite};
use crate::term::Terminal;

/// The variable that holds the token of a page that others may see.
const TOKEN: &str = "BREAKPOINT_TOKEN";

/// What was asked to follow the runs of one invocation.
pub(super) struct Audience<'a> {
    terminal: &'a mut Terminal,
    page: Option<LivePage>,
    remote: Option<RemoteWrite>,
}

impl<'a> Audience<'a> {
    /// Opens the page, if one is asked for, and says where it is.
    pub(super) async fn gather(
        terminal: &'a mut Terminal,
        serve: Option<SocketAddr>,
        remote_write: Option<&str>,
    ) -> Result<Self, Refusal> {
        let address = remote_write.map(secrets::in_flag("--remote-write"));
        let address = address.transpose()?;
        let remote = address.as_deref().map(RemoteWrite::start).transpose();
        let remote = remote.map_err(|e| Refusal::new(Exit::Usage, e))?;
        let page = match serve {
            Some(address) => {
                let page = LivePage::start(address, token()).await;
                Some(page.map_err(|e| Refusal::new(Exit::Usage, e))?)
            }
            None => None,
        };
        if let Some(page) = &page {
            terminal.announce(&format!("live at {}", page.url()));
        }
        Ok(Self {
            terminal,
            page,
            remote,
        })
    }

    /// Tells what happened.
    pub(super) fn on(&mut self, event: &Event) {
        self.terminal.on(event);
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

/// That of the environment, else one that nobody can guess.
fn token() -> String {
    match std::env::var(TOKEN) {
        Ok(token) if !token.is_empty() => token,
        _ => format!("{:032x}", rand::random::<u128>()),
    }
}
