//! What a step waits for on a stream that is open.

use super::super::event::EventSpec;
use super::super::spec::{EventPick, EventPickName, StepSpec, WaitSpec};
use super::super::template::Escape;
use super::super::{Action, Awaited, Conditions, EventMatch, Wait};
use super::Compiler;

impl<'a> Compiler<'a> {
    pub(super) fn wait(
        &mut self,
        step: &'a StepSpec,
        spec: &'a WaitSpec,
    ) -> Result<Action, String> {
        let stream = if let Some(name) = &spec.on {
            self.open_stream(name)?
        } else {
            let mut open = self.streams.iter().filter(|(_, open)| *open);
            match (open.next(), open.next()) {
                (Some((name, _)), None) => self.open_stream(name)?,
                (None, _) => {
                    return Err(
                        "no stream is open here; open one with `open` in an earlier step"
                            .to_owned(),
                    );
                }
                (Some(_), Some(_)) => {
                    return Err(
                        "several streams are open; say which with `on = \"...\"`".to_owned()
                    );
                }
            }
        };
        let since = spec
            .since
            .as_deref()
            .map(|name| {
                self.step_of_cycle(name)
                    .map_err(|m| format!("`since`: {m}"))
            })
            .transpose()?;
        if self.sockets.contains(&stream) {
            return self.receive(step, spec, stream, since).map(Action::Socket);
        }
        let template = |text: &str| self.template(text, Escape::None);
        let awaited = awaited(step, spec)?;
        let ends = matches!(awaited, Awaited::End | Awaited::Last);
        if ends && self.reconnecting.contains(&stream) {
            return Err(
                "the stream is opened again when it ends (`reconnect`), and so has no end to \
                 wait for; remove one of them"
                    .to_owned(),
            );
        }
        Ok(Action::Wait(Wait {
            stream,
            events: EventMatch::compile(&spec.events(), template)?,
            awaited,
            expect: Conditions::compile(&spec.expect, template)
                .map_err(|m| format!("`expect`: {m}"))?,
            since,
            extract: self.extractions(step)?,
        }))
    }
}

/// Which of the events that match a wait is for.
fn awaited(step: &StepSpec, spec: &WaitSpec) -> Result<Awaited, String> {
    if spec.end {
        let more = spec.events() != EventSpec::default()
            || spec.pick != EventPick::default()
            || !spec.expect.is_empty()
            || !step.extract.is_empty();
        return if more {
            Err(
                "`end` waits for the end of the stream, which is no event; remove what says which \
                 event, and wait for that in a step before"
                    .to_owned(),
            )
        } else {
            Ok(Awaited::End)
        };
    }
    match spec.pick {
        EventPick::Named(EventPickName::First) => Ok(Awaited::Events(1)),
        EventPick::Named(EventPickName::Last) => Ok(Awaited::Last),
        EventPick::Number(0) => Err("`pick`: the first event is 1".to_owned()),
        EventPick::Number(n) => Ok(Awaited::Events(n)),
    }
}
