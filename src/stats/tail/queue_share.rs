//! Which share of a longer queue waits in the step that is judged.

use super::{Residence, TailVisit, Users};

/// Growth of a cycle's stay from which a line can be said to stand somewhere, in limits.
const LINE: f64 = 0.05;

/// What share of a longer queue waits in the step that is judged: how much longer that step takes
/// near the breakpoint than in the visit in which a cycle stayed the shortest, over how much longer
/// all steps take. 1 where there is one step, where levels are rates (Little's law is not what
/// moves their tails), and where no line has formed.
pub(super) fn queue_share(visits: &[TailVisit], near: &[TailVisit], users: Users) -> f64 {
    let known = |of: &[TailVisit]| -> Vec<Residence> {
        of.iter().filter_map(|v| v.tail.residence).collect()
    };
    let (all, near) = (known(visits), known(near));
    let lightest = all.iter().min_by(|a, b| a.cycle_s.total_cmp(&b.cycle_s));
    let (Some(lightest), Users::Closed, false) = (lightest, users, near.is_empty()) else {
        return 1.0;
    };
    #[expect(clippy::cast_precision_loss, reason = "a count of visits")]
    let many = near.len() as f64;
    let longer = |of: fn(&Residence) -> f64| near.iter().map(of).sum::<f64>() / many - of(lightest);
    let limit_s = visits.first().map_or(0.0, |v| v.tail.limit_s);
    let cycle_s = longer(|r| r.cycle_s);
    if cycle_s < LINE * limit_s {
        return 1.0;
    }
    (longer(|r| r.step_s) / cycle_s).clamp(0.0, 1.0)
}
