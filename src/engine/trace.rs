//! One cycle as it happens, line by line, for whoever looks at it.

use tokio::sync::mpsc::UnboundedSender;

/// What a line of a trace tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    /// A step begins: what it does, and what it is judged by.
    Step,
    /// Sent.
    Sent,
    /// Came.
    Came,
    /// What was done or noticed beside that.
    Note,
    /// A step passed.
    Passed,
    /// A step failed, or was refused by design.
    Failed,
}

impl Mark {
    /// What stands before the line.
    pub fn sign(self) -> &'static str {
        match self {
            Self::Step => "#",
            Self::Sent => ">",
            Self::Came => "<",
            Self::Note => "*",
            Self::Passed => "+",
            Self::Failed => "!",
        }
    }
}

/// One line, in which nothing is secret and nothing acts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// What it tells.
    pub mark: Mark,
    /// The line.
    pub text: String,
}

/// Where lines go.
#[derive(Debug, Clone)]
pub struct Trace(UnboundedSender<Line>);

impl Trace {
    /// A trace that goes there.
    pub fn new(sender: UnboundedSender<Line>) -> Self {
        Self(sender)
    }

    /// Tells lines of a text.
    pub fn say(&self, mark: Mark, text: &str) {
        for line in crate::excerpt::visible(text).split('\n') {
            let text = line.to_owned();
            // Who does not look any more need not be told.
            let _ = self.0.send(Line { mark, text });
        }
    }
}
