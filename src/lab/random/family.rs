//! The family: what each kind of drawn system is made of, and in which ranges.

use std::fmt::Write as _;

use rand::RngExt as _;
use rand::rngs::SmallRng;

use super::law::{Law, Shape, any_shape, heavy_shape, log_uniform, time};
use super::sheet::{MAX_LEVEL, Sheet, round3};
use super::{MOST_PER_S, Rejected, SystemKind};

/// Most requests per second of a system whose effects come seldom: hours have to be simulated for
/// its truth.
const SLOW_MOST_PER_S: f64 = 1_000.0;
/// Fewest requests per second that the servers of a system carry: below, a search sees next to
/// nothing.
const FEWEST_PER_S: f64 = 2.0;
/// A quantile may not be met by this much of its level at light load, or there is nothing to search
/// for.
const ABOVE_LIGHT: f64 = 1.3;
/// A quantile allows at least so many times the failures that outages alone bring.
const OUTAGE_ROOM: f64 = 2.5;
/// Longest limit, in services.
const MOST_SERVICES: f64 = 50.0;

/// A system of a kind.
pub(super) fn sheet(kind: SystemKind, rng: &mut SmallRng) -> Result<Sheet, Rejected> {
    let mut sheet = base(kind, rng);
    match kind {
        SystemKind::Mix => mix(&mut sheet, rng),
        SystemKind::TailAtRest => return tail_at_rest(sheet, rng),
        SystemKind::Limit => return limit(sheet, rng),
        SystemKind::Errors => return errors(sheet, rng),
        SystemKind::Memory => return memory(sheet, rng),
        SystemKind::Outage => return outage(sheet, rng),
        SystemKind::Pauses => pauses(&mut sheet, rng),
        SystemKind::Neighbour => neighbour(&mut sheet, rng),
        SystemKind::WarmUp => warm_up(&mut sheet, rng),
        SystemKind::Several => {
            mix(&mut sheet, rng);
            pauses(&mut sheet, rng);
            neighbour(&mut sheet, rng);
        }
        SystemKind::OpenOther => match rng.random_range(0..5) {
            0 => pauses(&mut sheet, rng),
            1 => neighbour(&mut sheet, rng),
            2 => mix(&mut sheet, rng),
            3 => return limit(sheet, rng),
            _ => return memory(sheet, rng),
        },
        SystemKind::Plain
        | SystemKind::Constant
        | SystemKind::HeavyTail
        | SystemKind::Growth
        | SystemKind::OpenPlain
        | SystemKind::OpenHeavy => {}
    }
    latency(&mut sheet, any_quantile(rng), rng)?;
    more_objectives(&mut sheet, rng);
    Ok(sheet)
}

/// Servers, service and think time.
fn base(kind: SystemKind, rng: &mut SmallRng) -> Sheet {
    let most_per_s = if kind.is_slow() {
        SLOW_MOST_PER_S
    } else {
        MOST_PER_S
    };
    let grown = whole(log_uniform(1.0, 200.0, rng));
    let grows_by = if kind == SystemKind::Growth {
        1 << rng.random_range(1..=3)
    } else {
        1
    };
    let servers = (grown / grows_by).max(1);
    let all = f64::from(servers * grows_by);
    let shortest = (all / most_per_s).max(0.002);
    let longest = (all / FEWEST_PER_S).clamp(shortest, 2.0);
    let shape = match kind {
        SystemKind::Plain | SystemKind::OpenPlain => Shape::Exponential,
        SystemKind::Constant => Shape::Constant,
        SystemKind::HeavyTail | SystemKind::OpenHeavy => heavy_shape(rng),
        _ => any_shape(rng),
    };
    let mean = round3(log_uniform(shortest, longest, rng));
    let mut sheet = Sheet {
        kind,
        servers,
        sharing: rng.random::<f64>() < 0.25,
        kinds: vec![(1.0, Law { shape, mean })],
        think: None,
        slo: Vec::new(),
        tables: String::new(),
        grows_by,
        limit_s: 0.0,
        memory_s: 0.0,
    };
    if !kind.is_open() {
        sheet.think = Some(think(all / mean, mean, rng));
    }
    if kind == SystemKind::Growth {
        growth(&mut sheet, rng);
    }
    sheet
}

/// The time between two requests of a VU: cycles from 20 ms to 20 s, as long as the servers are not
/// busy before the highest level; one of six, and those whose cycle is all service, do not think at
/// all.
fn think(per_s: f64, service_s: f64, rng: &mut SmallRng) -> Law {
    let longest = (0.8 * MAX_LEVEL / per_s).clamp(0.02, 20.0);
    let mean = log_uniform(0.02, longest.max(0.021), rng) - service_s;
    if mean < 0.2 * service_s || rng.random_range(0..6) == 0 {
        let shape = Shape::Constant;
        return Law { shape, mean: 1e-6 };
    }
    let shape = match rng.random_range(0..6) {
        0..3 => Shape::Exponential,
        3 => Shape::Constant,
        _ => Shape::Lognormal {
            cv2: log_uniform(0.2, 2.0, rng),
        },
    };
    Law {
        shape,
        mean: round3(mean),
    }
}

fn any_quantile(rng: &mut SmallRng) -> f64 {
    match rng.random_range(0..20) {
        0..2 => 0.5,
        2..6 => 0.9,
        6..11 => 0.95,
        11..18 => 0.99,
        _ => 0.999,
    }
}

/// A latency objective: from 1.3 times the quantile of a service to 50 services, as far as the
/// highest level gets.
fn latency(sheet: &mut Sheet, q: f64, rng: &mut SmallRng) -> Result<(), Rejected> {
    let low = ABOVE_LIGHT * sheet.light_s(q);
    let high = (MOST_SERVICES * sheet.service_s()).max(1.5 * low);
    // So many users wait for one of the limit's length; an open queue has no such end.
    let reach = match sheet.think {
        Some(_) => 0.9 * MAX_LEVEL / sheet.capacity_per_s() - sheet.think_s(),
        None => high,
    };
    if reach < low {
        return Err(Rejected::OutOfReach);
    }
    let limit = round3(log_uniform(low, high.min(reach), rng));
    sheet.limit_s = limit;
    sheet.slo.push(quantile_text(q, limit));
    Ok(())
}

fn quantile_text(q: f64, limit_s: f64) -> String {
    format!("p{}<{}", round3(100.0 * q), time(limit_s))
}

/// Now and then a second quantile or a share of errors beside the first objective.
fn more_objectives(sheet: &mut Sheet, rng: &mut SmallRng) {
    match rng.random_range(0..6) {
        0 => sheet.slo.push("errors<1%".to_owned()),
        1 => {
            let q = 0.8;
            let limit = round3(sheet.limit_s * rng.random_range(0.4..0.9));
            if limit > ABOVE_LIGHT * sheet.light_s(q) && !sheet.slo[0].starts_with("p50") {
                sheet.slo.push(quantile_text(q, limit));
            }
        }
        _ => {}
    }
}

/// One or two further kinds of requests, 3 to 20 times as long as the usual one.
fn mix(sheet: &mut Sheet, rng: &mut SmallRng) {
    let usual = sheet.kinds[0].1.mean;
    for _ in 0..rng.random_range(1..=2) {
        let share = round3(log_uniform(0.02, 0.3, rng));
        let mean = round3(usual * log_uniform(3.0, 20.0, rng));
        sheet.kinds[0].0 -= share;
        let shape = any_shape(rng);
        sheet.kinds.push((share, Law { shape, mean }));
    }
}

/// Requests beyond the limit at any load: from a fifth to four fifths of what the quantile allows.
fn tail_at_rest(mut sheet: Sheet, rng: &mut SmallRng) -> Result<Sheet, Rejected> {
    let q = [0.95, 0.99, 0.99, 0.999][rng.random_range(0..4)];
    latency(&mut sheet, q, rng)?;
    let share = round3((1.0 - q) * rng.random_range(0.2..0.8));
    let mean = round3(sheet.limit_s * log_uniform(1.2, 4.0, rng));
    sheet.kinds[0].0 -= share;
    let shape = Shape::Constant;
    sheet.kinds.push((share, Law { shape, mean }));
    Ok(sheet)
}

fn pauses(sheet: &mut Sheet, rng: &mut SmallRng) {
    let every = log_uniform(5.0, 600.0, rng);
    let length = log_uniform(0.05, (0.1 * every).min(5.0), rng);
    let kind = ["constant", "exponential"][rng.random_range(0..2)];
    let _ = write!(
        sheet.tables,
        "\n[pauses]\nevery = \"{}\"\nlength = \"{}\"\nkind = \"{kind}\"\n",
        time(round3(every)),
        time(round3(length))
    );
}

fn neighbour(sheet: &mut Sheet, rng: &mut SmallRng) {
    let every = round3(log_uniform(20.0, 900.0, rng));
    let slow_for = round3(every * rng.random_range(0.1..0.5));
    let _ = write!(
        sheet.tables,
        "\n[neighbour]\nspeed = {}\nslow_for = \"{}\"\nevery = \"{}\"\n",
        round3(rng.random_range(0.4..0.95)),
        time(slow_for),
        time(every)
    );
}

/// Cold for 10 s to 5 min under full load.
fn warm_up(sheet: &mut Sheet, rng: &mut SmallRng) {
    let speed = round3(rng.random_range(0.1..0.6));
    let requests = sheet.capacity_per_s() * speed * log_uniform(10.0, 300.0, rng);
    let _ = write!(
        sheet.tables,
        "\n[warm_up]\nspeed = {speed}\nrequests = {}\nagain = {}\n",
        whole(requests),
        rng.random::<bool>()
    );
}

fn growth(sheet: &mut Sheet, rng: &mut SmallRng) {
    let _ = write!(
        sheet.tables,
        "\n[growth]\nabove = {}\nafter = \"{}s\"\ndelay = \"{}s\"\nmost = {}\n",
        round3(rng.random_range(0.5..0.8)),
        rng.random_range(10..=60),
        rng.random_range(10..=90),
        sheet.servers * sheet.grows_by
    );
}

/// A share that may fail or be turned away.
fn any_bound(rng: &mut SmallRng) -> f64 {
    [0.005, 0.01, 0.02, 0.05][rng.random_range(0..4)]
}

fn share_text(metric: &str, bound: f64) -> String {
    format!("{metric}<{}%", round3(100.0 * bound))
}

/// One of the ways to turn requests away, and an objective for what it turns away; half of them a
/// latency objective too.
fn limit(mut sheet: Sheet, rng: &mut SmallRng) -> Result<Sheet, Rejected> {
    let bound = any_bound(rng);
    let refuse = ["error", "shed"][rng.random_range(0..2)];
    let busy = sheet.saturation();
    let (table, metric) = match rng.random_range(0..5) {
        0 => {
            let queue = whole(f64::from(sheet.servers) * log_uniform(0.5, 20.0, rng));
            (format!("[shed]\nabove_queue = {queue}\n"), "shed")
        }
        1 => {
            let most = whole(f64::from(sheet.servers) * log_uniform(1.0, 10.0, rng));
            (
                format!("[concurrency]\nmost = {most}\nrefuse = \"{refuse}\"\n"),
                refuse,
            )
        }
        2 => {
            let per_s = round3(sheet.capacity_per_s() * rng.random_range(0.3..0.9));
            let burst_s = log_uniform(1.0, 60.0, rng);
            // Near the limit the tokens swing for some times what the burst lasts.
            sheet.memory_s = 5.0 * burst_s;
            let burst = whole(per_s * burst_s);
            let table = format!(
                "[token_bucket]\nper_s = {per_s:?}\nburst = {burst}\nrefuse = \"{refuse}\"\n"
            );
            (table, refuse)
        }
        3 if sheet.think.is_some() => {
            let most = whole(busy * rng.random_range(0.3..1.2));
            (format!("[connections]\nmost = {most}\n"), "errors")
        }
        _ => {
            let above = whole(busy * rng.random_range(0.3..1.2));
            match sheet.think {
                Some(_) => (format!("[cliff]\nabove_vus = {above}\n"), "errors"),
                // VUs of the open model are requests in the system.
                None => (
                    format!("[concurrency]\nmost = {}\n", 3 * sheet.servers),
                    "errors",
                ),
            }
        }
    };
    let metric = if metric == "shed" { "shed" } else { "errors" };
    let _ = write!(sheet.tables, "\n{table}");
    sheet.slo.push(share_text(metric, bound));
    if rng.random::<bool>() {
        latency(&mut sheet, 0.95, rng)?;
    }
    Ok(sheet)
}

/// Failures while the queue is long: all, half, or so few that they level off just above what is
/// allowed.
fn errors(mut sheet: Sheet, rng: &mut SmallRng) -> Result<Sheet, Rejected> {
    let bound = any_bound(rng);
    let share = match rng.random_range(0..4) {
        0 => 1.0,
        1 => 0.5,
        _ => bound * log_uniform(1.15, 4.0, rng),
    };
    let queue = whole(f64::from(sheet.servers) * log_uniform(1.0, 20.0, rng));
    let _ = write!(
        sheet.tables,
        "\n[errors]\nabove_queue = {queue}\nshare = {}\n",
        round3(share)
    );
    sheet.slo.push(share_text("errors", bound));
    if rng.random::<bool>() {
        latency(&mut sheet, 0.99, rng)?;
    }
    Ok(sheet)
}

/// A limit that users, requests or both reach somewhere around the busy servers.
fn memory(mut sheet: Sheet, rng: &mut SmallRng) -> Result<Sheet, Rejected> {
    let which = rng.random_range(0..3);
    // In the open model users and requests in the system are the same.
    let users = if which == 1 || sheet.think.is_none() {
        0.0
    } else {
        sheet.saturation() * rng.random_range(0.3..1.5)
    };
    let requests = if which == 0 && users > 0.0 {
        0.0
    } else {
        f64::from(sheet.servers) * log_uniform(2.0, 30.0, rng)
    };
    let (per_user, per_request) = (256.0, 1024.0);
    let limit = 102_400.0 + users * per_user + requests * per_request;
    let _ = write!(
        sheet.tables,
        "\n[memory]\nlimit = \"{limit:.0}KiB\"\nbase = \"100MiB\"\nrestart = \"{}\"\n",
        time(round3(log_uniform(1.0, 30.0, rng)))
    );
    if users > 0.0 {
        let _ = writeln!(sheet.tables, "per_vu = \"{per_user:.0}KiB\"");
    }
    if requests > 0.0 {
        let _ = writeln!(sheet.tables, "per_request = \"{per_request:.0}KiB\"");
    }
    sheet.slo.push("errors<1%".to_owned());
    latency(&mut sheet, 0.99, rng)?;
    Ok(sheet)
}

/// Outages, and a share of errors of which they alone use up a part. Where that leaves room for a
/// quantile there is one too: the errors alone hardly change with the load before the servers are
/// busy, and their truth takes thousands of outages.
fn outage(mut sheet: Sheet, rng: &mut SmallRng) -> Result<Sheet, Rejected> {
    let every = round3(log_uniform(180.0, 900.0, rng));
    let length = round3(log_uniform(1.0, 10.0, rng));
    let _ = write!(
        sheet.tables,
        "\n[outages]\nevery = \"{}\"\nlength = \"{}\"\n",
        time(every),
        time(length)
    );
    // A user with a cycle of c s comes in an outage of L s with 1 - exp(-L / c), then again each
    // second: this many failures per outage, to so many requests from one outage to the next.
    let cycle = sheet.think_s() + sheet.service_s();
    let first = 1.0 - (-length / cycle).exp();
    let failures = first + length - cycle * first;
    let base = failures / (failures + every / cycle);
    let bound = round3(base * log_uniform(1.5, 6.0, rng));
    if bound > 0.3 {
        return Err(Rejected::OutOfReach);
    }
    sheet.slo.push(share_text("errors", bound));
    for q in [0.95, 0.9, 0.5] {
        if OUTAGE_ROOM * base < 1.0 - q {
            latency(&mut sheet, q, rng)?;
            break;
        }
    }
    Ok(sheet)
}

/// The nearest whole number, at least 1.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "drawn numbers are positive and far below 2^32"
)]
fn whole(value: f64) -> u32 {
    value.round().max(1.0) as u32
}
