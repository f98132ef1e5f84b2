use super::*;
use crate::stats::Spread;

fn known(size: f64, value: f64, sd: f64) -> Sized {
    Sized {
        size,
        spread: Spread::student(value, sd, 1e6).unwrap(),
    }
}

/// The most users of a closed network within a limit of the response time, by exact mean value
/// analysis (M. Reiser, S. S. Lavenberg, JACM 27, 1980): `n` equal stations that share the work,
/// and one that all of it passes.
fn most_users(n: u32, work_s: f64, shared_s: f64, think_s: f64, limit_s: f64) -> f64 {
    let n = f64::from(n);
    let (mut at_one, mut at_shared) = (0.0, 0.0);
    for users in 1..20_000 {
        let one = work_s / n * (1.0 + at_one);
        let shared = shared_s * (1.0 + at_shared);
        let response = n * one + shared;
        if response > limit_s {
            return f64::from(users - 1);
        }
        let rate = f64::from(users) / (think_s + response);
        at_one = rate * one;
        at_shared = rate * shared;
    }
    unreachable!("a limit is met by then")
}

const TRIALS: u32 = 200;

/// How often the band at twice the largest size holds the truth, how often it is too wide to say
/// anything, and its median width as a factor.
fn coverage(truth: impl Fn(u32) -> f64, sizes: &[u32], sd: f64) -> (u32, u32, f64) {
    let mut rng = SmallRng::seed_from_u64(11);
    let (mut held, mut wide, mut widths) = (0, 0, Vec::new());
    let twice = 2 * sizes.iter().max().unwrap();
    for _ in 0..TRIALS {
        let error = sd.hypot(BETWEEN_ONE / 2.0_f64.sqrt());
        let points: Vec<Sized> = sizes
            .iter()
            .map(|n| {
                let z = normal::probit(rng.random_range(1e-9..1.0 - 1e-9));
                known(f64::from(*n), truth(*n) * (error * z).exp(), sd)
            })
            .collect();
        let band = fit(&points, 0.95).unwrap().at(f64::from(twice));
        let x = truth(twice);
        held += u32::from(band.ends.low <= x && x <= band.ends.high);
        wide += u32::from(band.is_too_wide());
        widths.push(band.ends.high / band.ends.low);
    }
    widths.sort_by(f64::total_cmp);
    (held, wide, widths[widths.len() / 2])
}

/// A ceiling that lies between the two largest sizes was met there and is hard to tell from a law
/// that bends: the band at twice the largest size holds it in 63 to 88 % of the draws.
const BETWEEN_SIZES: (f64, u32) = (0.3, 110);

#[test]
fn the_forecast_at_twice_the_largest_size_holds_in_closed_networks() {
    let mut all = 0;
    let mut cases = 0;
    for shared in [0.0, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5] {
        let limit = 0.2;
        let truth = |n| most_users(n, 0.01, 0.01 * shared, 1.0, limit);
        for sd in [0.02, 0.05] {
            let (held, wide, width) = coverage(truth, &[1, 2, 4], sd);
            println!("shared {shared}, sd {sd}: {held} held, {wide} too wide, x{width:.2}");
            let between = (shared - BETWEEN_SIZES.0).abs() < 1e-9;
            let least = if between { BETWEEN_SIZES.1 } else { 180 };
            assert!(
                held >= least,
                "shared {shared}, sd {sd}: {held} of {TRIALS}"
            );
            all += held;
            cases += TRIALS;
        }
    }
    assert!(10 * all >= 9 * cases, "{all} of {cases}");
}

#[test]
fn it_holds_for_laws_that_are_none_of_these() {
    let n = f64::from;
    let laws: [(&str, &dyn Fn(f64) -> f64); 4] = [
        ("USL", &|m| {
            300.0 * m / (1.0 + 0.03 * (m - 1.0) + 0.01 * m * (m - 1.0))
        }),
        ("power", &|m| 300.0 * m.powf(0.85)),
        ("exponential", &|m| 2000.0 * (1.0 - (-0.15 * m).exp())),
        ("hard ceiling", &|m| 300.0 * m.min(6.0)),
    ];
    for (name, law) in laws {
        for sd in [0.02, 0.05] {
            let (held, wide, width) = coverage(|m| law(n(m)), &[1, 2, 4], sd);
            println!("{name}, sd {sd}: {held} held, {wide} too wide, x{width:.2}");
            assert!(held >= 180, "{name}, sd {sd}: {held} of {TRIALS}");
        }
    }
}

fn line(sd: f64) -> Posterior {
    let points: Vec<Sized> = [1.0, 2.0, 4.0].map(|n| known(n, 250.0 * n, sd)).into();
    fit(&points, 0.95).unwrap()
}

#[test]
fn few_sizes_do_not_decide_between_laws_and_a_clear_bend_does() {
    let supported = |p: &Posterior, kind| {
        let laws = p.laws();
        laws.iter().any(|(k, _, yes)| *k == kind && *yes)
    };
    let straight = line(0.02);
    assert!(supported(&straight, LawKind::Line) && supported(&straight, LawKind::Amdahl));
    let sum: f64 = straight.laws().iter().map(|(_, w, _)| w).sum();
    assert!((sum - 1.0).abs() < 1e-9, "{sum}");
    let bent = [(1.0, 300.0), (2.0, 420.0), (4.0, 450.0)].map(|(n, x)| known(n, x, 0.02));
    let bent = fit(&bent, 0.95).unwrap();
    assert!(!supported(&bent, LawKind::Line), "{:?}", bent.laws());
    assert!(fit(&[], 0.95).is_none());
}

#[test]
fn what_is_needed_is_the_inverse_of_what_is_carried() {
    let posterior = line(0.01);
    // Four units carry 1 000, so that 900 need four.
    let needed = posterior.needed(900.0, true);
    assert!((needed.estimate - 4.0).abs() < 1e-9, "{needed:?}");
    let exact = posterior.needed(900.0, false);
    assert!((exact.estimate - 3.6).abs() < 0.15, "{exact:?}");
    assert!(exact.ends.low < 3.6 && exact.ends.high > 3.6, "{exact:?}");
    // A shared limit that two sizes have met: no number of units carries three times of it.
    let flat = [(1.0, 300.0), (2.0, 400.0), (4.0, 402.0), (8.0, 401.0)];
    let flat = fit(&flat.map(|(n, x)| known(n, x, 0.01)), 0.95).unwrap();
    let never = flat.needed(1200.0, true);
    assert!(
        never.ends.high.is_infinite() && never.ends.low > 8.0,
        "{never:?}"
    );
    let helps = flat.helps_up_to();
    assert!(helps.ends.high < 8.0, "{helps:?}");
}

#[test]
fn efficiency_is_against_the_smallest_size_in_proportion() {
    let points = [(2.0, 200.0), (4.0, 300.0), (4.0, 300.0)].map(|(n, x)| known(n, x, 0.02));
    let found = efficiencies(&points, 0.95);
    assert_eq!(found.len(), 2);
    assert!((found[0].1.estimate - 1.0).abs() < 1e-9);
    let second = found[1].1;
    assert!((second.estimate - 0.75).abs() < 1e-3, "{second:?}");
    assert!(
        second.ends.low > 0.65 && second.ends.high < 0.85,
        "{second:?}"
    );
    // Two runs of a size know it better than one.
    let pooled = pooled(&points, 0.95);
    let width = |k: Known| (k.ends.high / k.ends.low).ln();
    assert!(width(pooled[1].1) < width(pooled[0].1));
}
