//! What changes the speed of the service.

use rand::RngExt;
use rand::rngs::SmallRng;

use super::law::{Law, exponential};
use super::spec::{
    HysteresisSpec, ModesSpec, NeighbourSpec, OutagesSpec, PauseKind, PausesSpec, Positive,
    SystemSpec, WarmUpSpec,
};

const GIB: f64 = 1024.0 * 1024.0 * 1024.0;

/// Everything that changes the speed; the speed is the product of all factors.
#[derive(Debug)]
pub(super) struct Effects {
    pauses: Option<Alternation>,
    neighbour: Option<Alternation>,
    /// They change no speed, but come and go by themselves as the others do.
    outages: Option<Alternation>,
    modes: Option<Modes>,
    hysteresis: Option<Hysteresis>,
    warm_up: Option<WarmUp>,
    /// Slower by this share per second since the engine started; below zero, faster.
    drift: f64,
    /// Slower by this share per second since the process started.
    leak: f64,
    /// The factor of drift and leak, as of the last tick.
    slow: f64,
    /// When the next of them changes by itself.
    next: f64,
}

impl Effects {
    pub(super) fn new(spec: &SystemSpec, rng: &mut SmallRng) -> Self {
        let drift = spec.drift.map_or(0.0, |drift| drift.slower_per_hour);
        let leak = spec.leak.map_or(0.0, |leak| {
            leak.slower_per_gib.map_or(0.0, Positive::get) * leak.bytes_per_s.bytes() / GIB
        });
        let mut effects = Self {
            pauses: spec.pauses.map(|p| Alternation::pauses(&p, rng)),
            neighbour: spec.neighbour.map(|n| Alternation::neighbour(&n, rng)),
            modes: spec.modes.map(|m| Modes::new(m, rng)),
            outages: spec.outages.map(|o| Alternation::outages(&o, rng)),
            hysteresis: spec.hysteresis.map(|spec| Hysteresis { spec, slow: false }),
            warm_up: spec.warm_up.map(|spec| WarmUp { spec, served: 0 }),
            drift: drift / 3600.0,
            leak,
            slow: 1.0,
            next: f64::INFINITY,
        };
        effects.find_next();
        effects
    }

    /// When the speed next changes by itself.
    pub(super) fn next(&self) -> f64 {
        self.next
    }

    /// Lets pass what changes at or before `now`.
    pub(super) fn pass(&mut self, now: f64, rng: &mut SmallRng) {
        let alternations = [&mut self.pauses, &mut self.neighbour, &mut self.outages];
        for alternation in alternations.into_iter().flatten() {
            alternation.pass(now, rng);
        }
        if let Some(modes) = &mut self.modes
            && modes.until <= now
        {
            modes.draw(now, rng);
        }
        self.find_next();
    }

    fn find_next(&mut self) {
        let of = |alternation: &Option<Alternation>| {
            alternation.as_ref().map_or(f64::INFINITY, |a| a.until)
        };
        let modes = self.modes.as_ref().map_or(f64::INFINITY, |m| m.until);
        let alternations = of(&self.pauses).min(of(&self.neighbour));
        self.next = alternations.min(of(&self.outages)).min(modes);
    }

    /// Whether nobody answers now.
    pub(super) fn is_out(&self) -> bool {
        self.outages.as_ref().is_some_and(|outages| outages.on)
    }

    /// Takes note of a request that was served; whether that changed the speed.
    pub(super) fn served(&mut self) -> bool {
        let Some(warm_up) = &mut self.warm_up else {
            return false;
        };
        warm_up.served = warm_up.served.saturating_add(1);
        warm_up.served == warm_up.spec.requests
    }

    /// Takes note of how many are in the system; whether that changed the speed.
    pub(super) fn crowd(&mut self, in_system: u32) -> bool {
        let Some(hysteresis) = &mut self.hysteresis else {
            return false;
        };
        let slow = if hysteresis.slow {
            in_system >= hysteresis.spec.below
        } else {
            in_system > hysteresis.spec.above
        };
        std::mem::replace(&mut hysteresis.slow, slow) != slow
    }

    /// Takes note of the time, for what changes so slowly that its value in the middle of a second
    /// stands for all of it.
    pub(super) fn tick(&mut self, now: f64, up_since: f64) {
        let middle = now + 0.5;
        let drift = if self.drift < 0.0 {
            1.0 - self.drift * middle
        } else {
            1.0 / (1.0 + self.drift * middle)
        };
        self.slow = drift / (1.0 + self.leak * (middle - up_since).max(0.0));
    }

    /// The process starts anew.
    pub(super) fn restart(&mut self, now: f64, rng: &mut SmallRng) {
        if let Some(hysteresis) = &mut self.hysteresis {
            hysteresis.slow = false;
        }
        if let Some(modes) = &mut self.modes {
            modes.draw(now, rng);
        }
        if let Some(warm_up) = &mut self.warm_up
            && warm_up.spec.again
        {
            warm_up.served = 0;
        }
        self.find_next();
    }

    /// The speed now; 1 is normal.
    pub(super) fn speed(&self) -> f64 {
        let of = |alternation: &Option<Alternation>| match alternation {
            Some(a) if a.on => a.speed,
            _ => 1.0,
        };
        let modes = match &self.modes {
            Some(modes) if modes.slow => modes.spec.speed.get(),
            _ => 1.0,
        };
        let hysteresis = match &self.hysteresis {
            Some(h) if h.slow => h.spec.speed.get(),
            _ => 1.0,
        };
        let warm_up = match &self.warm_up {
            Some(w) if w.served < w.spec.requests => w.spec.speed.get(),
            _ => 1.0,
        };
        of(&self.pauses) * of(&self.neighbour) * modes * hysteresis * warm_up * self.slow
    }
}

/// On and off in turn, each for a random time.
#[derive(Debug)]
struct Alternation {
    on: bool,
    until: f64,
    on_for: Law,
    off_mean: f64,
    /// Speed while on.
    speed: f64,
}

impl Alternation {
    fn pauses(spec: &PausesSpec, rng: &mut SmallRng) -> Self {
        let length = spec.length.s();
        let off_mean = spec.every.s();
        Self {
            on: false,
            until: exponential(off_mean, rng),
            on_for: match spec.kind {
                PauseKind::Constant => Law::Constant { value: length },
                PauseKind::Exponential => Law::Exponential { mean: length },
            },
            off_mean,
            speed: 0.0,
        }
    }

    fn outages(spec: &OutagesSpec, rng: &mut SmallRng) -> Self {
        let off_mean = spec.every.s();
        Self {
            on: false,
            until: exponential(off_mean, rng),
            on_for: Law::Constant {
                value: spec.length.s(),
            },
            off_mean,
            // Who is let in then is refused and does not meet the servers.
            speed: 1.0,
        }
    }

    /// The neighbour was there before us: it starts in either state with its long-run probability.
    fn neighbour(spec: &NeighbourSpec, rng: &mut SmallRng) -> Self {
        let (slow_for, every) = (spec.slow_for.s(), spec.every.s());
        let off_mean = every - slow_for;
        let on = rng.random::<f64>() < slow_for / every;
        Self {
            on,
            until: exponential(if on { slow_for } else { off_mean }, rng),
            on_for: Law::Exponential { mean: slow_for },
            off_mean,
            speed: spec.speed.get(),
        }
    }

    fn pass(&mut self, now: f64, rng: &mut SmallRng) {
        while self.until <= now {
            self.on = !self.on;
            self.until += if self.on {
                self.on_for.sample(rng)
            } else {
                exponential(self.off_mean, rng)
            };
        }
    }
}

#[derive(Debug)]
struct Modes {
    spec: ModesSpec,
    slow: bool,
    until: f64,
}

impl Modes {
    fn new(spec: ModesSpec, rng: &mut SmallRng) -> Self {
        let mut modes = Self {
            spec,
            slow: false,
            until: 0.0,
        };
        modes.draw(0.0, rng);
        modes
    }

    fn draw(&mut self, now: f64, rng: &mut SmallRng) {
        self.slow = rng.random::<f64>() < self.spec.share.get();
        self.until = now + exponential(self.spec.dwell.s(), rng);
    }
}

#[derive(Debug)]
struct Hysteresis {
    spec: HysteresisSpec,
    slow: bool,
}

#[derive(Debug)]
struct WarmUp {
    spec: WarmUpSpec,
    /// Requests served since the process was cold.
    served: u32,
}
