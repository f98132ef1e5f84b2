//! Holds below the breakpoint, after the search: what users get there, and where runs are compared.

use super::{Run, RunEnvironment};
use crate::event::Event;
use crate::measure::Level;
use crate::record::{HoldEnd, ProbeRecord, Purpose};
use crate::search::{Conclusion, Order};
use crate::slo::Verdict;

impl<S: RunEnvironment> Run<'_, S> {
    /// Holds the levels below the breakpoint. The search has its answer: nothing that happens here
    /// takes it away.
    pub(super) async fn references(&mut self, conclusion: &Conclusion) {
        let required = self.spec.plan.required.map(Level);
        let began_s = self.elapsed_s();
        let orders = self
            .search
            .references(conclusion, self.search_s(), required);
        for order in orders {
            if let Some(halt) = self.interrupt.why() {
                self.tell_reference(&order, &halt.reason());
                break;
            }
            if self.probes.iter().any(|p| is_held(p, order.level)) {
                continue;
            }
            if let Err(why) = self.reference(&order).await {
                self.tell_reference(&order, &why);
                break;
            }
        }
        self.aside_s += self.elapsed_s() - began_s;
    }

    /// Makes one; says what is wrong with the target or the engine after it.
    async fn reference(&mut self, order: &Order) -> Result<(), String> {
        self.asked_s = self.search_s();
        self.one_probe(order).await.map_err(|e| e.to_string())?;
        if let Some(halt) = self.interrupt.why() {
            return Err(halt.reason());
        }
        let broke = (self.probes.last()).is_some_and(|p| p.verdict == Verdict::Broke);
        if broke {
            return Err(
                "the SLO broke there, below the breakpoint: the target may not have \
                recovered from the search"
                    .to_owned(),
            );
        }
        Ok(())
    }

    fn tell_reference(&mut self, order: &Order, why: &str) {
        let level = self.spec.search.unit.count(order.level);
        let warning = format!("the hold at {level} after the search: {why}");
        (self.sink)(Event::Note(warning.clone()));
        self.warnings.push(warning);
    }
}

/// Whether a level was held after a search that has been resumed since.
fn is_held(probe: &ProbeRecord, level: Level) -> bool {
    probe.purpose == Purpose::Reference && probe.level == level && probe.end == HoldEnd::Complete
}
