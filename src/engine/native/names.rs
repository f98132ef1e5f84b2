//! Names and the addresses that they lead to: each is asked for once, whoever and how many wait for
//! it.
//!
//! A look-up blocks a thread of the runtime until the system gives up, which may take half a minute
//! and cannot be called off. Were every VU to ask by itself, each of its tries against a name
//! server that is silent would leave another one behind.

use std::cell::RefCell;
use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::why;
use crate::measure::FailureKind;

/// How long an address that a name led to is used again.
const NAME_LIFE: Duration = Duration::from_secs(10);

type Found = Result<Vec<IpAddr>, FailureKind>;
/// The same with the words of a failure.
type ExplainedLookup = Result<Vec<IpAddr>, (FailureKind, String)>;

/// What is known of names; one per thread.
#[derive(Debug, Clone, Default)]
pub(super) struct Names {
    known: RefCell<HashMap<String, (Instant, Vec<IpAddr>)>>,
    /// Look-ups whose answer is still to come.
    asked: RefCell<HashMap<String, watch::Receiver<Option<ExplainedLookup>>>>,
}

impl Names {
    /// The addresses of a host that were found not long ago.
    pub(super) fn known(&self, host: &str) -> Option<Vec<IpAddr>> {
        let known = self.known.borrow();
        let (at, addresses) = known.get(host)?;
        (at.elapsed() < NAME_LIFE).then(|| addresses.clone())
    }

    /// Keeps the addresses of a host for a while.
    pub(super) fn keep(&self, host: &str, addresses: &[IpAddr]) {
        let mut known = self.known.borrow_mut();
        // A target may redirect to ever new names.
        known.retain(|_, (at, _)| at.elapsed() < NAME_LIFE);
        known.insert(host.to_owned(), (Instant::now(), addresses.to_vec()));
    }

    /// Asks for a host, or waits for the answer to whoever asked before.
    pub(super) async fn look_up<F>(&self, host: &str, ask: impl FnOnce() -> F) -> Found
    where
        F: Future<Output = io::Result<Vec<IpAddr>>> + 'static,
    {
        let mut answer = self.asked(host, ask);
        let found = match answer.wait_for(Option::is_some).await {
            Ok(found) => found.clone(),
            Err(_) => None,
        };
        match found {
            Some(found) => found.map_err(|(kind, text)| why::note(kind, text)),
            None => Err(FailureKind::Dns),
        }
    }

    /// The answer to come. It is asked for in a task of its own, which a VU that gives up waiting
    /// leaves alone.
    fn asked<F>(
        &self,
        host: &str,
        ask: impl FnOnce() -> F,
    ) -> watch::Receiver<Option<ExplainedLookup>>
    where
        F: Future<Output = io::Result<Vec<IpAddr>>> + 'static,
    {
        let mut asked = self.asked.borrow_mut();
        asked.retain(|_, answer| answer.borrow().is_none() && answer.has_changed().is_ok());
        if let Some(answer) = asked.get(host) {
            return answer.clone();
        }
        let (tell, answer) = watch::channel(None);
        asked.insert(host.to_owned(), answer.clone());
        let asking = ask();
        tokio::task::spawn_local(async move {
            let found = asking.await.map_err(|e| match why::of_io(&e) {
                FailureKind::NoDescriptors => (FailureKind::NoDescriptors, why::chain(&e)),
                _ => (FailureKind::Dns, why::chain(&e)),
            });
            tell.send_replace(Some(found));
        });
        answer
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::rc::Rc;

    use tokio::task::LocalSet;
    use tokio::time::timeout;

    use super::*;

    #[tokio::test]
    async fn a_name_server_that_is_silent_is_asked_once_however_many_wait_and_give_up() {
        let names = Names::default();
        let asked = Rc::new(Cell::new(0));
        let ask = || {
            asked.set(asked.get() + 1);
            std::future::pending()
        };
        let waiting = async {
            for _ in 0..100 {
                let answer = names.look_up("silent", ask);
                assert!(timeout(Duration::from_millis(1), answer).await.is_err());
            }
        };
        LocalSet::new().run_until(waiting).await;
        assert_eq!(asked.get(), 1);
    }

    #[tokio::test]
    async fn an_answer_is_everybodys_and_a_failure_is_asked_for_again() {
        let names = Names::default();
        let asked = Rc::new(Cell::new(0));
        let address: IpAddr = [127, 0, 0, 1].into();
        let ask = || {
            let (asked, nth) = (Rc::clone(&asked), asked.get());
            asked.set(nth + 1);
            async move {
                tokio::task::yield_now().await;
                match nth {
                    0 => Err(io::Error::other("no such name")),
                    _ => Ok(vec![address]),
                }
            }
        };
        let both = async {
            for want in [Err(FailureKind::Dns), Ok(vec![address])] {
                let (a, b) = tokio::join!(names.look_up("a", ask), names.look_up("a", ask));
                assert_eq!((&a, &b), (&want, &want));
            }
        };
        LocalSet::new().run_until(both).await;
        assert_eq!(asked.get(), 2);
    }
}
