//! Which VUs of k6 run, and which function of the script each of them. Values only.
//!
//! VUs have seats in the order in which they first asked. Those with the first seats run, as many
//! as the level says; so whatever the level is, the functions are in their proportions. The level
//! moves at the pace.

use std::collections::HashMap;
use std::time::Duration;

/// What a VU that asks is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reply {
    /// It shall run the function with this number.
    Run(usize),
    /// It shall wait; this is its seat.
    Wait(usize),
}

/// All VUs.
#[derive(Debug)]
pub(super) struct Fleet {
    weights: Vec<f64>,
    /// Of the functions, how far each is behind its share.
    credit: Vec<f64>,
    pace_per_s: f64,
    /// Seats by the VU's number in k6.
    of_vu: HashMap<u32, usize>,
    seats: Vec<Seat>,
    order: Order,
    running: u32,
    /// Whether each function shall run as often as the others, whatever their weights.
    evenly: bool,
}

#[derive(Debug, Clone, Copy)]
struct Seat {
    function: usize,
    /// Told to run, and not yet back to ask.
    running: bool,
    /// Waits to be told.
    waiting: bool,
}

/// The last level that was asked for.
#[derive(Debug, Clone, Copy)]
struct Order {
    /// How many VUs were to run when it was asked for.
    from: u32,
    level: u32,
    at: Duration,
}

impl Fleet {
    /// Without VUs yet. `weights` are those of the functions, one at least and all above zero.
    pub(super) fn new(weights: Vec<f64>, pace_per_s: f64) -> Self {
        Self {
            credit: vec![0.0; weights.len()],
            weights,
            pace_per_s,
            of_vu: HashMap::new(),
            seats: Vec::new(),
            order: Order {
                from: 0,
                level: 0,
                at: Duration::ZERO,
            },
            running: 0,
            evenly: false,
        }
    }

    /// Each function shall run as often as the others, or as its weight says.
    pub(super) fn set_evenly(&mut self, evenly: bool) {
        self.evenly = evenly;
    }

    /// Asks for a level from `now` on.
    pub(super) fn set_level(&mut self, level: u32, now: Duration) {
        self.order = Order {
            from: self.target(now),
            level,
            at: now,
        };
    }

    /// VUs that run, those that are to come back at their next question among them.
    pub(super) fn running(&self) -> u32 {
        self.running
    }

    /// How many shall run.
    fn target(&self, now: Duration) -> u32 {
        let Order { from, level, at } = self.order;
        let passed = now.saturating_sub(at).as_secs_f64();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "it saturates"
        )]
        // The first one at once.
        let moved = (passed * self.pace_per_s + 1.0) as u32;
        if level >= from {
            from.saturating_add(moved).min(level)
        } else {
            from.saturating_sub(moved).max(level)
        }
    }

    /// When the next one shall run; `None` when the level is reached, or falls.
    pub(super) fn next_due(&self, now: Duration) -> Option<Duration> {
        let Order { from, level, at } = self.order;
        let target = self.target(now);
        let next = f64::from((target + 1).saturating_sub(from)) - 1.0;
        (target < level).then(|| at + Duration::from_secs_f64(next.max(0.0) / self.pace_per_s))
    }

    /// A VU asks what it shall do.
    pub(super) fn ask(&mut self, vu: u32, now: Duration) -> Reply {
        let index = self.seat_of(vu);
        let is_wanted = index < self.target_seats(now);
        let function = self.function(index);
        self.set_running(index, is_wanted);
        self.seats[index].waiting = !is_wanted;
        if is_wanted {
            Reply::Run(function)
        } else {
            Reply::Wait(index)
        }
    }

    /// Those who wait and shall run now, with their functions; from now on they do.
    pub(super) fn due(&mut self, now: Duration) -> Vec<(usize, usize)> {
        let wanted = self.target_seats(now).min(self.seats.len());
        let waiting: Vec<usize> = (0..wanted).filter(|i| self.seats[*i].waiting).collect();
        for index in &waiting {
            self.set_running(*index, true);
            self.seats[*index].waiting = false;
        }
        waiting.into_iter().map(|i| (i, self.function(i))).collect()
    }

    fn target_seats(&self, now: Duration) -> usize {
        usize::try_from(self.target(now)).unwrap_or(usize::MAX)
    }

    fn set_running(&mut self, index: usize, running: bool) {
        let seat = &mut self.seats[index];
        match (seat.running, running) {
            (false, true) => self.running += 1,
            (true, false) => self.running -= 1,
            _ => {}
        }
        seat.running = running;
    }

    fn function(&self, index: usize) -> usize {
        if self.evenly {
            index % self.weights.len()
        } else {
            self.seats[index].function
        }
    }

    fn seat_of(&mut self, vu: u32) -> usize {
        if let Some(index) = self.of_vu.get(&vu) {
            return *index;
        }
        let function = self.next_function();
        let index = self.seats.len();
        self.of_vu.insert(vu, index);
        self.seats.push(Seat {
            function,
            running: false,
            waiting: false,
        });
        index
    }

    /// Smooth weighted round robin: the one that is furthest behind its share.
    fn next_function(&mut self) -> usize {
        let all: f64 = self.weights.iter().sum();
        for (credit, weight) in self.credit.iter_mut().zip(&self.weights) {
            *credit += weight;
        }
        let furthest = (0..self.credit.len()).reduce(|best, i| {
            if self.credit[i] > self.credit[best] {
                i
            } else {
                best
            }
        });
        let furthest = furthest.unwrap_or(0);
        self.credit[furthest] -= all;
        furthest
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: Duration = Duration::from_secs(100);

    fn after(ms: u64) -> Duration {
        NOW + Duration::from_millis(ms)
    }

    /// A fleet in which so many wait.
    fn waiting(n: u32, weights: &[f64], pace: f64) -> Fleet {
        let mut fleet = Fleet::new(weights.to_vec(), pace);
        for vu in 1..=n {
            assert!(matches!(fleet.ask(vu * 3, NOW), Reply::Wait(_)));
        }
        fleet
    }

    #[test]
    fn vus_are_let_in_at_the_pace() {
        let mut fleet = waiting(10, &[1.0], 2.0);
        assert_eq!(fleet.next_due(NOW), None);
        fleet.set_level(4, NOW);
        assert_eq!(fleet.due(NOW).len(), 1);
        assert_eq!(fleet.next_due(NOW), Some(after(500)));
        assert!(fleet.due(after(499)).is_empty());
        assert_eq!(fleet.due(after(500)), [(1, 0)]);
        assert_eq!(fleet.due(after(9000)), [(2, 0), (3, 0)]);
        assert_eq!((fleet.running(), fleet.next_due(after(9000))), (4, None));
        assert_eq!(
            fleet.ask(12, after(9000)),
            Reply::Run(0),
            "the fourth that came"
        );
        assert_eq!(fleet.ask(15, after(9000)), Reply::Wait(4));
    }

    #[test]
    fn they_leave_when_they_ask_again() {
        let mut fleet = waiting(3, &[1.0], 1000.0);
        fleet.set_level(3, NOW);
        assert_eq!(fleet.due(after(100)).len(), 3);
        fleet.set_level(0, after(100));
        assert_eq!(fleet.running(), 3, "they are within their iterations");
        assert_eq!(fleet.ask(3, after(900)), Reply::Wait(0));
        assert_eq!(fleet.ask(9, after(900)), Reply::Wait(2));
        assert_eq!(fleet.running(), 1);
        fleet.set_level(1, after(1000));
        assert_eq!(fleet.due(after(1000)), [(0, 0)]);
    }

    #[test]
    fn a_level_that_changes_on_its_way_goes_on_from_where_it_is() {
        let mut fleet = waiting(100, &[1.0], 10.0);
        fleet.set_level(100, NOW);
        assert_eq!(fleet.due(after(1000)).len(), 11);
        fleet.set_level(5, after(1000));
        assert_eq!(fleet.target(after(1200)), 8);
        fleet.set_level(20, after(1200));
        assert_eq!(fleet.target(after(1300)), 10);
        assert_eq!(fleet.target(after(9300)), 20);
    }

    #[test]
    fn one_that_comes_late_runs_at_once() {
        let mut fleet = Fleet::new(vec![1.0], 10.0);
        fleet.set_level(2, NOW);
        assert!(fleet.due(after(1000)).is_empty());
        assert_eq!(fleet.ask(7, after(1000)), Reply::Run(0));
        assert_eq!(fleet.ask(7, after(1100)), Reply::Run(0));
        assert_eq!(fleet.running(), 1);
    }

    #[test]
    fn a_look_around_sees_every_function() {
        let mut fleet = waiting(2, &[99.0, 1.0], 1000.0);
        fleet.set_evenly(true);
        fleet.set_level(2, NOW);
        assert_eq!(fleet.due(after(100)), [(0, 0), (1, 1)]);
        fleet.set_evenly(false);
        assert_eq!(fleet.ask(6, after(200)), Reply::Run(0));
    }

    proptest! {
        #[test]
        fn any_level_has_the_right_mix(
            weights in proptest::collection::vec(0.1..10.0_f64, 1..6),
            n in 1..200_usize,
        ) {
            let mut fleet = Fleet::new(weights.clone(), 1.0);
            for vu in 0..n {
                fleet.seat_of(u32::try_from(vu).unwrap());
            }
            let all: f64 = weights.iter().sum();
            for (function, weight) in weights.iter().enumerate() {
                let float = |n: usize| f64::from(u32::try_from(n).unwrap());
                let has = float(fleet.seats.iter().filter(|s| s.function == function).count());
                let share = float(n) * weight / all;
                prop_assert!((has - share).abs() < float(weights.len()), "{has} {share}");
            }
        }

        #[test]
        fn it_is_known_how_many_run(
            asks in proptest::collection::vec((0..20_u32, 0..15_u32, 0..400_u64), 0..80),
        ) {
            let mut fleet = Fleet::new(vec![1.0, 2.0], 20.0);
            let mut now = NOW;
            for (vu, level, ms) in asks {
                now += Duration::from_millis(ms);
                if ms % 3 == 0 {
                    fleet.set_level(level, now);
                }
                fleet.due(now);
                let before = fleet.running();
                let reply = fleet.ask(vu, now);
                prop_assert!(fleet.running().abs_diff(before) <= 1);
                let counted = fleet.seats.iter().filter(|s| s.running).count();
                prop_assert_eq!(u32::try_from(counted).unwrap(), fleet.running());
                let has_seat = fleet.of_vu[&vu] < fleet.target_seats(now);
                prop_assert_eq!(matches!(reply, Reply::Run(_)), has_seat);
            }
        }
    }
}
