//! The kinds of users of a system, who share its level as the populations of a profile do.

use rand::RngExt as _;
use rand::rngs::SmallRng;

use super::error::{Fault, require};
use super::law::Law;
use super::spec::SystemSpec;
use super::times::{services, think, think_of, work_of};
use crate::measure::{Mix, StepTable};

/// Name of those who belong to none of the kinds of a file, as in a profile.
const REST: &str = "users";

/// What one kind of users does.
#[derive(Debug, Clone)]
pub(super) struct UserKind {
    /// Its name in rows and objectives.
    name: String,
    /// Its share of the users, in hundredths.
    share: u32,
    /// Time between two requests; `None` in the open model.
    think: Option<Law>,
    /// Each sort of its requests: the sum of the shares up to it, and its work.
    requests: Vec<(f64, Law)>,
}

/// All kinds of users, the usual ones last.
#[derive(Debug, Clone)]
pub(super) struct UserKinds {
    kinds: Vec<UserKind>,
    mix: Mix,
}

impl UserKinds {
    /// Those of a system.
    ///
    /// # Errors
    /// When a time, a name or the shares make no sense.
    pub(super) fn of(spec: &SystemSpec) -> Result<Self, Fault> {
        let usual = UserKind {
            name: REST.to_owned(),
            share: rest(spec)?,
            think: think(spec)?,
            requests: services(spec)?,
        };
        let mut kinds = Vec::new();
        for users in &spec.users {
            name(spec, &users.name)?;
            kinds.push(UserKind {
                name: users.name.clone(),
                share: users.share,
                think: think_of(users, usual.think.is_some())?,
                requests: vec![(1.0, work_of(&users.service, "users.service")?)],
            });
        }
        kinds.push(usual);
        for kind in &mut kinds {
            kind.sum_up();
        }
        let shares: Vec<u32> = kinds.iter().map(|kind| kind.share).collect();
        Ok(Self {
            kinds,
            mix: Mix::new(&shares),
        })
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.kinds.len()
    }

    /// The kind of a VU, or of an arrival, by its number.
    pub(super) fn of_number(&self, number: u64) -> usize {
        self.mix.kind(number)
    }

    /// The think time of a kind; `None` in the open model.
    pub(super) fn think(&self, kind: usize) -> Option<Law> {
        self.kinds[kind].think
    }

    /// The work of a request of a kind.
    pub(super) fn work(&self, kind: usize, rng: &mut SmallRng) -> f64 {
        let requests = &self.kinds[kind].requests;
        if let [(_, law)] = requests.as_slice() {
            return law.sample(rng);
        }
        let draw: f64 = rng.random();
        let last = requests.len() - 1;
        let sort = requests[..last].partition_point(|(sum, _)| *sum <= draw);
        requests[sort].1.sample(rng)
    }

    /// The rows of a window: a request and a cycle of each kind, then what stands for all of them.
    pub(super) fn steps(&self, good: &[&str]) -> StepTable {
        let table = || {
            let mut table = StepTable::of_cycle(["request".to_owned()], Some(0));
            for name in good {
                table.add_good(name);
            }
            table
        };
        let tables: Vec<StepTable> = self.kinds.iter().map(|_| table()).collect();
        let names = self.kinds.iter().map(|kind| kind.name.as_str());
        match tables.as_slice() {
            [one] => one.clone(),
            several => {
                let named: Vec<(&str, &StepTable)> = names.zip(several).collect();
                StepTable::of_mix(&named, named.len())
            }
        }
    }

    /// Mean think time over all users, seconds.
    pub(super) fn think_s(&self) -> f64 {
        let think = |kind: &UserKind| kind.think.map_or(0.0, |law| law.mean());
        let sum = self.kinds.iter().map(|kind| kind.part() * think(kind));
        sum.sum()
    }

    /// Mean service time over all requests while nobody waits, seconds: a kind that thinks less
    /// sends more of them.
    pub(super) fn service_s(&self) -> f64 {
        let rates = || self.kinds.iter().map(UserKind::requests_per_s);
        let work = self.kinds.iter().zip(rates());
        let busy: f64 = work.map(|(kind, rate)| rate * kind.service_s()).sum();
        busy / rates().sum::<f64>()
    }

    /// Servers that a user, or an arrival per second, keeps busy on average while nobody waits.
    pub(super) fn load_per_user(&self) -> f64 {
        let loads = (self.kinds.iter()).map(|kind| kind.requests_per_s() * kind.service_s());
        loads.sum()
    }
}

impl UserKind {
    /// The fraction of the users that are of this kind.
    fn part(&self) -> f64 {
        f64::from(self.share) / 100.0
    }

    /// Its requests per second where there is one user, or one arrival per second, of all kinds
    /// together, and nobody waits.
    fn requests_per_s(&self) -> f64 {
        match self.think {
            Some(think) => self.part() / (think.mean() + self.service_s()),
            None => self.part(),
        }
    }

    fn service_s(&self) -> f64 {
        let mut before = 0.0;
        let mut mean = 0.0;
        for (sum, law) in &self.requests {
            mean += (sum - before) * law.mean();
            before = *sum;
        }
        mean
    }

    /// Turns the shares of its requests into sums.
    fn sum_up(&mut self) {
        let mut sum = 0.0;
        for (share, _) in &mut self.requests {
            sum += *share;
            *share = sum;
        }
    }
}

/// Hundredths that the kinds of a file leave to the usual users.
fn rest(spec: &SystemSpec) -> Result<u32, Fault> {
    let shares = spec.users.iter().map(|users| users.share);
    require(
        shares.clone().all(|share| (1..100).contains(&share)),
        "users.share",
        "write hundredths of the users, from 1 to 99",
    )?;
    let given: u32 = shares.sum();
    require(
        given < 100,
        "users.share",
        "the shares leave nobody to think and ask as [think] and [service] say; together they are \
         at most 99",
    )?;
    Ok(100 - given)
}

fn name(spec: &SystemSpec, name: &str) -> Result<(), Fault> {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    let is_taken = [REST, StepTable::MAIN, StepTable::CYCLE].contains(&name)
        || spec.users.iter().filter(|other| other.name == name).count() > 1;
    require(
        !name.is_empty() && name.chars().all(is_word) && !is_taken,
        "users.name",
        "write a name of letters, digits, `-` and `_` that nobody else has; `users`, `main` and \
         `cycle` are taken",
    )
}
