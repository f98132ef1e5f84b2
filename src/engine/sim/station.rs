//! The servers: requests that wait and requests that are served.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use super::clock::WorkClock;
use super::spec::Discipline;

/// A request in the system. The count tells it from others that had its place before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ticket {
    place: u32,
    count: u32,
}

/// Who waits for a request, and since when.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Client {
    pub(super) vu: u32,
    pub(super) asked: f64,
}

#[derive(Debug, Clone, Copy)]
struct Job {
    count: u32,
    state: JobState,
    /// `None` when the client gave up and the server works on.
    client: Option<Client>,
    /// Seconds at speed 1.
    work: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum JobState {
    Gone,
    Waiting,
    Served,
}

/// A queue and its servers.
///
/// With one line, each served request's work passes at the system's speed. With processor sharing
/// all requests are served and their work passes at `speed * min(1, servers / n)`. Both are one
/// clock of work, so completions are ordered by the work time at which they end, whatever the speed
/// does.
#[derive(Debug)]
pub(super) struct Station {
    servers: u32,
    discipline: Discipline,
    speed: f64,
    clock: WorkClock,
    jobs: Vec<Job>,
    free: Vec<u32>,
    /// Waiting requests in order; those that left are skipped.
    line: VecDeque<Ticket>,
    /// Completions by work time.
    ends: BinaryHeap<Reverse<u128>>,
    served: u32,
    waiting: u32,
    /// Server-seconds in which a request was served, up to `counted_to`.
    busy_s: f64,
    counted_to: f64,
}

impl Station {
    pub(super) fn new(servers: u32, discipline: Discipline) -> Self {
        Self {
            servers,
            discipline,
            speed: 1.0,
            clock: WorkClock::new(),
            jobs: Vec::new(),
            free: Vec::new(),
            line: VecDeque::new(),
            ends: BinaryHeap::new(),
            served: 0,
            waiting: 0,
            busy_s: 0.0,
            counted_to: 0.0,
        }
    }

    /// The servers now.
    pub(super) fn servers(&self) -> u32 {
        self.servers
    }

    /// More servers or fewer. Those that go finish what they serve.
    pub(super) fn set_servers(&mut self, now: f64, servers: u32) {
        self.count_busy(now);
        self.servers = servers;
        self.set_rate(now);
        self.serve_next(now);
    }

    /// Server-seconds in which a request was served, since the start.
    pub(super) fn busy_s(&mut self, now: f64) -> f64 {
        self.count_busy(now);
        self.busy_s
    }

    /// Notes what the servers did; before every change of how many are busy.
    fn count_busy(&mut self, now: f64) {
        let busy = f64::from(self.served.min(self.servers));
        self.busy_s += busy * (now - self.counted_to);
        self.counted_to = now;
    }

    /// Requests that wait or are served.
    pub(super) fn in_system(&self) -> u32 {
        self.served + self.waiting
    }

    /// Requests beyond those that the servers can serve at once.
    pub(super) fn waiting(&self) -> u32 {
        self.in_system().saturating_sub(self.servers)
    }

    pub(super) fn set_speed(&mut self, now: f64, speed: f64) {
        self.speed = speed;
        self.set_rate(now);
    }

    fn set_rate(&mut self, now: f64) {
        let crowd = match self.discipline {
            Discipline::ProcessorSharing if self.served > self.servers => {
                f64::from(self.servers) / f64::from(self.served)
            }
            _ => 1.0,
        };
        self.clock.set_rate(now, self.speed * crowd);
    }

    /// Takes a request that needs this much work.
    pub(super) fn arrive(&mut self, now: f64, vu: u32, work: f64) -> Ticket {
        let job = Job {
            count: 0,
            state: JobState::Waiting,
            client: Some(Client { vu, asked: now }),
            work,
        };
        let ticket = self.admit(job);
        let at_once = self.discipline == Discipline::ProcessorSharing || self.served < self.servers;
        if at_once {
            self.serve(now, ticket);
        } else {
            self.waiting += 1;
            self.line.push_back(ticket);
        }
        ticket
    }

    fn admit(&mut self, job: Job) -> Ticket {
        if let Some(place) = self.free.pop() {
            let old = &mut self.jobs[place as usize];
            let count = old.count.wrapping_add(1);
            *old = Job { count, ..job };
            return Ticket { place, count };
        }
        let place = u32::try_from(self.jobs.len()).expect("fewer requests than 2^32");
        self.jobs.push(job);
        Ticket { place, count: 0 }
    }

    fn serve(&mut self, now: f64, ticket: Ticket) {
        self.count_busy(now);
        let job = &mut self.jobs[ticket.place as usize];
        job.state = JobState::Served;
        self.served += 1;
        let end = self.clock.work_at(now) + job.work;
        self.ends
            .push(Reverse(key(end, ticket.place, ticket.count)));
        self.set_rate(now);
    }

    /// When the next request is done, as things are.
    pub(super) fn next_end(&self) -> f64 {
        self.ends
            .peek()
            .map_or(f64::INFINITY, |Reverse(end)| self.clock.time_of(time(*end)))
    }

    /// Ends the next request; its client, if there still is one.
    pub(super) fn end_next(&mut self, now: f64) -> Option<Client> {
        let Reverse(end) = self.ends.pop()?;
        let (place, count) = names(end);
        let ticket = Ticket { place, count };
        // A request may have left while it was served.
        self.job(ticket)?;
        self.remove(now, ticket)
    }

    fn job(&mut self, ticket: Ticket) -> Option<&mut Job> {
        let job = &mut self.jobs[ticket.place as usize];
        (job.count == ticket.count && job.state != JobState::Gone).then_some(job)
    }

    fn remove(&mut self, now: f64, ticket: Ticket) -> Option<Client> {
        let job = &mut self.jobs[ticket.place as usize];
        let state = std::mem::replace(&mut job.state, JobState::Gone);
        let client = job.client.take();
        self.free.push(ticket.place);
        match state {
            JobState::Served => {
                self.count_busy(now);
                self.served -= 1;
                self.set_rate(now);
                self.serve_next(now);
            }
            JobState::Waiting => self.waiting -= 1,
            JobState::Gone => {}
        }
        client
    }

    /// Serves those that wait as long as a server is free.
    fn serve_next(&mut self, now: f64) {
        while self.served < self.servers
            && let Some(ticket) = self.line.pop_front()
        {
            if self.job(ticket).is_some() {
                self.waiting -= 1;
                self.serve(now, ticket);
            }
        }
    }

    /// The client of a request gives up, if it still waits. The servers forget the request, or work
    /// on in vain.
    pub(super) fn give_up(&mut self, now: f64, ticket: Ticket, work_on: bool) -> Option<Client> {
        let job = self.job(ticket)?;
        if work_on {
            job.client.take()
        } else {
            self.remove(now, ticket)
        }
    }

    /// Forgets everything; the clients that waited, in the order of their places.
    pub(super) fn clear(&mut self, now: f64) -> Vec<Client> {
        self.count_busy(now);
        let mut clients = Vec::new();
        self.free.clear();
        for (place, job) in (0..).zip(&mut self.jobs) {
            clients.extend(job.client.take());
            job.state = JobState::Gone;
            self.free.push(place);
        }
        self.line.clear();
        self.ends.clear();
        self.served = 0;
        self.waiting = 0;
        self.set_rate(now);
        clients
    }

    /// Every client that still waits for its request. The line comes first, latest first, so that
    /// ages ascend.
    pub(super) fn clients(&self) -> impl Iterator<Item = Client> + '_ {
        let line = self.line.iter().rev().copied();
        let served = self.ends.iter().map(|Reverse(end)| {
            let (place, count) = names(*end);
            Ticket { place, count }
        });
        line.chain(served).filter_map(|ticket| {
            let job = &self.jobs[ticket.place as usize];
            job.client.filter(|_| job.count == ticket.count)
        })
    }
}

/// A time that is not negative and two numbers as one number, ordered by time first.
pub(super) fn key(time: f64, a: u32, b: u32) -> u128 {
    u128::from(time.to_bits()) << 64 | u128::from(a) << 32 | u128::from(b)
}

/// The time of a [`key`].
pub(super) fn time(key: u128) -> f64 {
    f64::from_bits((key >> 64) as u64)
}

/// The two numbers of a [`key`].
#[expect(
    clippy::cast_possible_truncation,
    reason = "takes the numbers apart that `key` put together"
)]
pub(super) fn names(key: u128) -> (u32, u32) {
    ((key >> 32) as u32, key as u32)
}
