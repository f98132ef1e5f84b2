//! Exact response times of a closed queue: N users who think, `c` workers, one line (M/M/c//N).
//!
//! The oracle for the demo target and the laboratory. By the arrival theorem (Sevcik and Mitrani,
//! 1981; Lavenberg and Reiser, 1980) a question finds the queue as an outside observer would with
//! one user fewer.

use statrs::function::gamma::{gamma_lr, gamma_ur, ln_gamma};

/// A closed queue with exponential think and service times.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ClosedQueue {
    /// Workers.
    pub servers: u32,
    /// Answers per second of one busy worker.
    pub mu: f64,
    /// Mean think time, seconds.
    pub think_s: f64,
}

/// The probability that with `n` users a response takes longer than `t_s` seconds; 0 without users.
///
/// # Panics
/// When there are no servers, or a rate or time is not above zero.
pub fn mmcn_tail(queue: &ClosedQueue, n: u32, t_s: f64) -> f64 {
    assert!(queue.servers > 0 && queue.mu > 0.0 && queue.think_s > 0.0);
    if n == 0 || t_s < 0.0 {
        return if n == 0 { 0.0 } else { 1.0 };
    }
    let ln_weights = ln_states(queue, n - 1);
    let largest = ln_weights.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let (mut total, mut late) = (0.0, 0.0);
    for (ahead, ln_weight) in (0_u32..).zip(&ln_weights) {
        let weight = (ln_weight - largest).exp();
        total += weight;
        if weight > 1e-18 {
            late += weight * tail_behind(queue, ahead, t_s);
        }
    }
    late / total
}

/// The largest number of users with which a share of at least `q` of the responses takes at most
/// `limit_s` seconds; `None` when that holds for no number up to `most`, and `most` itself when it
/// holds for all.
pub fn mmcn_threshold(queue: &ClosedQueue, q: f64, limit_s: f64, most: u32) -> Option<u32> {
    // The tail grows with the number of users: each one more can only make the line longer.
    largest(most, |n| mmcn_tail(queue, n, limit_s) <= 1.0 - q)
}

/// An open queue: Poisson arrivals, `c` workers with exponential service, one line (M/M/c).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct OpenQueue {
    /// Workers.
    pub servers: u32,
    /// Answers per second of one busy worker.
    pub mu: f64,
}

/// The probability that with `per_s` arrivals a second a response takes longer than `t_s` seconds;
/// 1 where more arrive than are served.
///
/// Who finds a free worker (Erlang's C formula says how often not) takes one service; else the wait
/// is exponential with rate `c mu - lambda`, and one's own service follows (Gross et al.,
/// Fundamentals of Queueing Theory, 2.3).
///
/// # Panics
/// When there are no servers, or a rate is not above zero.
pub fn mmc_tail(queue: &OpenQueue, per_s: f64, t_s: f64) -> f64 {
    assert!(queue.servers > 0 && queue.mu > 0.0 && per_s > 0.0);
    let (mu, spare) = (queue.mu, queue.mu * f64::from(queue.servers) - per_s);
    if spare <= 0.0 {
        return 1.0;
    }
    let waits = erlang_c(queue.servers, per_s / mu);
    let service = (-mu * t_s).exp();
    let both = if (spare - mu).abs() < 1e-9 * mu {
        (1.0 + mu * t_s) * service
    } else {
        (spare * service - mu * (-spare * t_s).exp()) / (spare - mu)
    };
    (1.0 - waits) * service + waits * both
}

/// The largest whole number of arrivals per second with which a share of at least `q` of the
/// responses takes at most `limit_s` seconds; `None` when one a second is too many, and `most`
/// itself when it holds for all.
pub fn mmc_threshold(queue: &OpenQueue, q: f64, limit_s: f64, most: u32) -> Option<u32> {
    largest(most, |n| mmc_tail(queue, n.into(), limit_s) <= 1.0 - q)
}

/// The probability that an arrival has to wait, by the recursion of Erlang's B formula.
fn erlang_c(servers: u32, offered: f64) -> f64 {
    let mut blocked = 1.0;
    for n in 1..=servers {
        blocked = offered * blocked / (f64::from(n) + offered * blocked);
    }
    let busy = offered / f64::from(servers);
    blocked / (1.0 - busy * (1.0 - blocked))
}

/// The largest number up to `most` for which something holds that holds for all smaller ones;
/// `None` when not even for 1.
fn largest(most: u32, holds: impl Fn(u32) -> bool) -> Option<u32> {
    if !holds(1) {
        return None;
    }
    if holds(most) {
        return Some(most);
    }
    let (mut good, mut bad) = (1, most);
    while bad - good > 1 {
        let middle = good + (bad - good) / 2;
        if holds(middle) {
            good = middle;
        } else {
            bad = middle;
        }
    }
    Some(good)
}

/// Logarithms of the unnormalised probabilities of 0..=`users` questions at the workers.
fn ln_states(queue: &ClosedQueue, users: u32) -> Vec<f64> {
    let mut ln_weight = 0.0;
    let mut out = vec![0.0];
    for j in 1..=users {
        let arrivals = f64::from(users - j + 1) / queue.think_s;
        let departures = queue.mu * f64::from(j.min(queue.servers));
        ln_weight += (arrivals / departures).ln();
        out.push(ln_weight);
    }
    out
}

/// The probability of a response longer than `t` with `ahead` questions at the workers already.
fn tail_behind(queue: &ClosedQueue, ahead: u32, t: f64) -> f64 {
    let mu = queue.mu;
    if ahead < queue.servers {
        return (-mu * t).exp();
    }
    if t <= 0.0 {
        return 1.0;
    }
    // Wait for m departures at the rate of all workers (Erlang), then one's own service
    // (exponential).
    let m = f64::from(ahead - queue.servers + 1);
    let all = mu * f64::from(queue.servers);
    if queue.servers == 1 {
        return gamma_ur(m + 1.0, mu * t);
    }
    // P(W > t) + P(W <= t < W + S); the second is an integral that gives (all / (all - mu))^m
    // e^(-mu t) P(m, (all - mu) t).
    let own = m * (all / (all - mu)).ln() - mu * t + ln_gamma_lr(m, (all - mu) * t);
    (gamma_ur(m, all * t) + own.exp()).min(1.0)
}

/// Logarithm of the regularised lower incomplete gamma function, without underflow.
fn ln_gamma_lr(a: f64, x: f64) -> f64 {
    if x >= a {
        return gamma_lr(a, x).ln();
    }
    // Abramowitz and Stegun 6.5.29: the terms shrink, as x < a.
    let (mut term, mut sum, mut n) = (1.0, 1.0, a);
    while term > sum * 1e-16 {
        n += 1.0;
        term *= x / n;
        sum += term;
    }
    a * x.ln() - x - ln_gamma(a + 1.0) + f64::ln(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn open_queues_have_the_textbooks_tails() {
        // M/M/1: the response is exponential with rate mu - lambda.
        let one = OpenQueue {
            servers: 1,
            mu: 10.0,
        };
        for (per_s, t) in [(1.0, 0.1), (5.0, 0.5), (9.0, 2.0)] {
            let exact = f64::exp(-(10.0 - per_s) * t);
            assert!((mmc_tail(&one, per_s, t) - exact).abs() < 1e-12, "{per_s}");
        }
        assert!(mmc_tail(&one, 10.0, 1.0) >= 1.0);
        // p99 of 1 s: mu - ln 100.
        assert_eq!(mmc_threshold(&one, 0.99, 1.0, 1000), Some(5));
        // Erlang's C for 2 workers and 1 erlang is 1/3.
        assert!((erlang_c(2, 1.0) - 1.0 / 3.0).abs() < 1e-12);
        // Where a spare rate equals mu the formula's limit stands.
        let two = OpenQueue {
            servers: 2,
            mu: 1.0,
        };
        let at = mmc_tail(&two, 1.0, 1.0);
        let near = f64::midpoint(
            mmc_tail(&two, 1.0 - 1e-6, 1.0),
            mmc_tail(&two, 1.0 + 1e-6, 1.0),
        );
        assert!((at - near).abs() < 1e-6);
        // A closed queue of very many users who think very long is an open one.
        let closed = ClosedQueue {
            servers: 8,
            mu: 20.0,
            think_s: 1_000.0,
        };
        let open = OpenQueue {
            servers: 8,
            mu: 20.0,
        };
        let (far, limit) = (
            mmcn_tail(&closed, 150_000, 0.3),
            mmc_tail(&open, 150.0, 0.3),
        );
        assert!((far / limit - 1.0).abs() < 0.02, "{far} {limit}");
    }

    #[test]
    fn the_known_thresholds_come_out() {
        let eight = ClosedQueue {
            servers: 8,
            mu: 20.0,
            think_s: 5.0,
        };
        assert_eq!(mmcn_threshold(&eight, 0.99, 2.0, 20_000), Some(1040));
        assert!((mmcn_tail(&eight, 1040, 2.0) - 0.009_40).abs() < 5e-6);
        let one = ClosedQueue {
            servers: 1,
            mu: 10.0,
            think_s: 10.0,
        };
        assert_eq!(mmcn_threshold(&one, 0.99, 2.0, 20_000), Some(88));
        assert!((mmcn_tail(&one, 88, 2.0) - 0.009_24).abs() < 5e-6);
    }

    #[test]
    fn a_lone_user_waits_for_the_service_alone() {
        for servers in [1, 3] {
            let queue = ClosedQueue {
                servers,
                mu: 4.0,
                think_s: 1.0,
            };
            assert!((mmcn_tail(&queue, 1, 0.5) - (-2.0_f64).exp()).abs() < 1e-12);
        }
        let slow = ClosedQueue {
            servers: 1,
            mu: 1.0,
            think_s: 1.0,
        };
        assert_eq!(mmcn_threshold(&slow, 0.99, 1.0, 100), None);
    }

    #[test]
    fn the_tail_grows_with_the_users_up_to_twenty_thousand() {
        let queue = ClosedQueue {
            servers: 8,
            mu: 12.5,
            think_s: 1.0,
        };
        let tails: Vec<f64> = [1, 50, 100, 200, 250, 300, 1000, 20_000]
            .map(|n| mmcn_tail(&queue, n, 2.0))
            .to_vec();
        assert!(tails.is_sorted(), "{tails:?}");
        assert!(tails.iter().all(|p| (0.0..=1.0).contains(p)));
        assert!(tails[7] > 0.999_999);
    }
}
