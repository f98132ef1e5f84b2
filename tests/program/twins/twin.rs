//! The twins: what each does, how it is searched, and where it breaks.

use std::time::Duration;

use breakpoint::stats::queue::{ClosedQueue, mmcn_threshold};

use super::line::{Line, Service};
use super::server::{Growth, Limit, Work};

/// A service whose breakpoint is known.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Twin {
    /// 2, 4, 8, 16 workers of 50 ms (exponential), doubled 45 s after 30 s above 70 % busy; users
    /// think 5 s.
    ///
    /// Truth: that of the 16 workers in the end, M/M/16//N with p99 < 2 s by the closed form, 2122.
    Autoscaler,
    /// 100 requests a second with a burst of 3000, 429 beyond, 50 ms; users think 5 s.
    ///
    /// Truth: 506. In the long run 100 are let through a second, of users with a cycle of 5.05 s:
    /// 505 of them. Each of the others is refused once a second (the mean back-off; two refusals in
    /// a row are rare), and of 101 requests one may be: one user more. It takes hours to see: 3000
    /// tokens feed 510 users for 50 minutes. An interval that holds 500 to 510 is right.
    TokenBucket,
    /// At most 300 requests at once, 503 beyond, 1 s; users do not think.
    ///
    /// Truth: a step at 300 that the back-off of the users smears. Who is served asks again at
    /// once, so that one user too many is refused again and again: once a second at first, once in
    /// 10 s in the end. 1 % of 303 requests a second are refused with 3 users too many at first,
    /// and with 30 in the end (fewer where a free place is met by chance).
    LimitConn,
    /// At most 300 connections, closed at once beyond; 200 ms, and users think 800 ms.
    ///
    /// Truth: as with [`Self::LimitConn`]; 300 cycles a second, and who has a connection keeps it.
    Connections,
    /// `limit_req` of nginx without a burst, 100 a second: a request within 10 ms of the last that
    /// passed gets 503. Rates, evenly spaced.
    ///
    /// Truth: 100 a second for arrivals without any jitter. Its clock counts milliseconds, and at
    /// 91 to 100 a second arrivals are 10 ms and a part of a millisecond apart: jitter of that part
    /// refuses one, and refused is one in a hundred already where the jitter of two arrivals is
    /// above it once in a hundred. With 2.5 ms at that quantile (a machine that does much else) it
    /// is 80 a second. (Poisson arrivals come within 10 ms of the last that passed with probability
    /// `1 - exp(-r / 100)`, a share of `r / (100 + r)` of all: 1 % at one a second.)
    LimitReq,
    /// One worker, constant 1/70 s; users do not think.
    ///
    /// Truth: N users wait N/70 s, less the moment in which a user turns round: 69 take 0.986 s, 70
    /// take 1 s less that moment.
    Fifo,
    /// Four workers of 50 ms, normal with a standard deviation of 5 %; users think 1 s.
    ///
    /// Truth: a simulation of two million requests per number of users (`line.rs`), which is itself
    /// checked against M/M/4//N.
    FourWorkers,
}

/// How a twin works and is searched.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Facts {
    pub(crate) name: &'static str,
    pub(crate) limit: Limit,
    pub(crate) work: Work,
    /// The think step's value in the profile.
    pub(crate) think: Option<&'static str>,
    pub(crate) slo: &'static str,
    /// Levels are rates, with arrivals of this kind.
    pub(crate) rate: Option<&'static str>,
    pub(crate) budget: &'static str,
    /// Cycles one after the other that must pass between probes.
    pub(crate) canaries: u32,
    pub(crate) silence: Silence,
}

/// When a search may name no interval.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Silence {
    Never,
    /// Where it saw capacity grow.
    AfterGrowth,
    Undecided,
}

/// Between which levels it breaks, both included.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Truth {
    pub(crate) low: u32,
    pub(crate) high: u32,
}

const THINK_5S: Option<&str> = Some("{ exponential = \"5s\" }");
/// Workers of the one that grows, in the end.
const MOST: u32 = 16;
const FOUR: Line = Line {
    workers: 4,
    service: Service::Normal {
        mean_s: 0.05,
        sd_s: 0.0025,
    },
    think_s: 1.0,
};

impl Twin {
    pub(crate) const ALL: [Self; 7] = [
        Self::Autoscaler,
        Self::TokenBucket,
        Self::LimitConn,
        Self::Connections,
        Self::LimitReq,
        Self::Fifo,
        Self::FourWorkers,
    ];

    pub(crate) fn facts(self) -> Facts {
        match self {
            Self::Autoscaler => autoscaler(),
            Self::TokenBucket => Facts {
                name: "token-bucket",
                limit: Limit::Tokens {
                    per_s: 100.0,
                    burst: 3000.0,
                },
                think: THINK_5S,
                budget: "8m",
                silence: Silence::Undecided,
                ..beside(0.05)
            },
            Self::LimitConn => Facts {
                name: "limit-conn",
                limit: Limit::Requests { most: 300 },
                ..beside(1.0)
            },
            Self::Connections => Facts {
                name: "connections",
                limit: Limit::Connections { most: 300 },
                think: Some("\"800ms\""),
                ..beside(0.2)
            },
            Self::LimitReq => Facts {
                name: "limit-req",
                limit: Limit::Apart { ms: 10 },
                rate: Some("constant"),
                // One after the other is too fast.
                canaries: 0,
                // A page that is there already.
                ..beside(0.0)
            },
            Self::Fifo => in_line("fifo", 1, Service::Constant { mean_s: 1.0 / 70.0 }),
            Self::FourWorkers => Facts {
                think: Some("{ exponential = \"1s\" }"),
                ..in_line("four-workers", FOUR.workers, FOUR.service)
            },
        }
    }

    pub(crate) fn truth(self) -> Truth {
        let (low, high) = match self {
            Self::Autoscaler => {
                let all = ClosedQueue {
                    servers: MOST,
                    mu: 20.0,
                    think_s: 5.0,
                };
                let exact = mmcn_threshold(&all, 0.99, 2.0, 20_000).unwrap();
                (exact, exact)
            }
            Self::TokenBucket => (500, 510),
            Self::LimitConn | Self::Connections => (300, 330),
            Self::LimitReq => (80, 100),
            Self::Fifo => (69, 70),
            Self::FourWorkers => {
                let simulated = FOUR.threshold(0.01, 1.0, 400);
                (simulated, simulated)
            }
        };
        Truth { low, high }
    }
}

fn autoscaler() -> Facts {
    let growth = Growth {
        above_pct: 70,
        after: Duration::from_secs(30),
        delay: Duration::from_secs(45),
        most: MOST as usize,
    };
    Facts {
        name: "autoscaler",
        work: Work::Line {
            workers: 2,
            service: Service::Exponential { mean_s: 0.05 },
            growth: Some(growth),
        },
        think: THINK_5S,
        slo: "p99<2s",
        budget: "9m",
        silence: Silence::AfterGrowth,
        ..beside(0.0)
    }
}

/// Requests that do not wait for each other, and users who do not think.
fn beside(s: f64) -> Facts {
    Facts {
        name: "",
        limit: Limit::Nothing,
        work: Work::Beside { s },
        think: None,
        slo: "errors<1%",
        rate: None,
        budget: "5m",
        canaries: 3,
        silence: Silence::Never,
    }
}

/// A line before workers who stay, and users who do not think.
fn in_line(name: &'static str, workers: usize, service: Service) -> Facts {
    Facts {
        name,
        work: Work::Line {
            workers,
            service,
            growth: None,
        },
        slo: "p99<1s",
        budget: "4m",
        ..beside(0.0)
    }
}
