//! What a generator is asked to do, and at which levels.

use std::fmt;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// A kind of work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Work {
    /// GET on kept connections.
    Get,
    /// The same over HTTP/2 with TLS, one stream a connection.
    Http2,
    /// POST of a small JSON body.
    Post,
    /// The same with a body that differs from request to request; ours against ours.
    Template,
    /// POST by a user with a cookie jar, whose JSON answer is checked and searched for a value.
    Session,
    /// POST whose answer is a stream of 50 events, as a language model writes.
    Tokens,
    /// A script: one GET and one check.
    Script,
    /// A script: a POST with four checks, its JSON read twice, and a GET.
    Typical,
    /// Open a stream, ask, wait for the answer on the stream, close.
    Sse,
    /// Memory of idle VUs, and how long it takes to have them.
    Memory,
    /// Memory of the VUs of a script that wait for an answer.
    MemoryScript,
    /// Memory of VUs that hold a stream and a connection of their own for their questions.
    MemorySse,
    /// What is reported of a server whose latencies are known.
    Clock,
}

/// A kind of work at a level.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Cell {
    pub(crate) work: Work,
    pub(crate) vus: u32,
}

impl Work {
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        Self::value_variants().iter().copied()
    }

    pub(crate) fn cells(self) -> impl Iterator<Item = Cell> {
        let levels: &[u32] = match self {
            Self::Get
            | Self::Http2
            | Self::Post
            | Self::Session
            | Self::Tokens
            | Self::Script
            | Self::Typical => &[50, 500],
            Self::Template => &[50],
            Self::Sse | Self::MemoryScript => &[500, 2_000],
            Self::Memory => &[1_000, 5_000, 10_000],
            // Two connections a VU, within 20 000 descriptors.
            Self::MemorySse => &[1_000, 5_000, 9_000],
            Self::Clock => &[100, 1_000],
        };
        levels.iter().map(move |vus| Cell {
            work: self,
            vus: *vus,
        })
    }

    /// The route that the generators' scripts know by this name as well.
    pub(crate) fn route(self) -> &'static str {
        match self {
            Self::Get | Self::Http2 => "get",
            Self::Post | Self::Template => "post",
            Self::Session => "session",
            Self::Tokens => "tokens",
            Self::Sse | Self::MemorySse => "sse",
            Self::Script => "script",
            Self::Typical => "typical",
            Self::Memory | Self::MemoryScript => "hold",
            Self::Clock => "sleep",
        }
    }

    /// Whether its requests send the question.
    pub(crate) fn posts(self) -> bool {
        matches!(
            self,
            Self::Post | Self::Template | Self::Session | Self::Tokens
        )
    }

    /// Whether every user runs a script.
    pub(crate) fn scripted(self) -> bool {
        matches!(self, Self::Script | Self::Typical | Self::MemoryScript)
    }

    /// Whether answers come on a stream that is held apart from the questions.
    pub(crate) fn streams(self) -> bool {
        matches!(self, Self::Sse | Self::MemorySse)
    }
}

impl Cell {
    /// How long after a question its answer comes, milliseconds.
    pub(crate) fn answer_after_ms(self) -> u64 {
        match self.work {
            Work::MemorySse => 120_000,
            _ if self.vus > 500 => 1_000,
            _ => 250,
        }
    }
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} at {} VUs", self.work, self.vus)
    }
}
