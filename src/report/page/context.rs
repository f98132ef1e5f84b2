//! What stands around the numbers of any report: machine, plan, limits, the command line, warnings.

use super::{Cell, Column, Fact, Part, Section, Table};
use crate::excerpt;
use crate::measure::Level;
use crate::record::{Environment, PlanRecord};
use crate::report::{summary, view};
use crate::units;

/// What both kinds of record say of themselves.
pub(super) struct Context<'a> {
    pub(super) plan: &'a PlanRecord,
    pub(super) environment: &'a Environment,
    pub(super) version: &'a str,
    pub(super) schema: u32,
    pub(super) times: (&'a str, &'a str),
    pub(super) warnings: &'a [String],
    /// Whether the generator could have been the limit.
    pub(super) generator: Option<String>,
    /// What makes about the same run where the command line is not known.
    pub(super) rebuilt: Vec<String>,
}

impl Context<'_> {
    pub(super) fn sections(&self, asked: Vec<Fact>) -> Vec<Section> {
        let mut sections = Vec::new();
        if !self.warnings.is_empty() {
            sections.push(Section {
                title: "Warnings",
                parts: vec![Part::List(self.warnings.to_vec())],
            });
        }
        sections.push(Section {
            title: "Configuration",
            parts: [Part::Facts(self.plan_facts(asked))]
                .into_iter()
                .chain(limits(self.plan))
                .collect(),
        });
        sections.push(Section {
            title: "Environment",
            parts: vec![Part::Facts(self.machine())],
        });
        sections.push(Section {
            title: "Reproduce",
            parts: self.again(),
        });
        sections
    }

    fn plan_facts(&self, asked: Vec<Fact>) -> Vec<Fact> {
        let plan = self.plan;
        let mut facts = vec![
            Fact::code("Target", vec![plan.target.clone()]),
            Fact::code("Steps", plan.steps.clone()),
            Fact::new(
                "Think time",
                format!("{} per cycle", units::format_seconds(plan.think_s)),
            ),
            Fact::new("Load", load(plan)),
        ];
        facts.extend(asked);
        if let Some(addresses) = summary::addresses(plan) {
            facts.push(Fact::new("Addresses", addresses));
        }
        if let Some(way) = summary::way(plan) {
            facts.push(Fact::new("Network", way));
        }
        if plan.http.is_some() {
            facts.push(Fact::new("HTTP", plan.http_words()));
        }
        if plan.insecure {
            facts.push(Fact::new(
                "Certificate",
                "not checked (insecure)".to_owned(),
            ));
        }
        facts.push(Fact::new("Seed", plan.seed.to_string()));
        facts
    }

    fn machine(&self) -> Vec<Fact> {
        let env = self.environment;
        let cpus = match &env.cpu_model {
            Some(model) => format!("{} x {model}", env.cpus),
            None => env.cpus.to_string(),
        };
        let mut facts = vec![Fact::new("Generator CPUs", cpus)];
        if let Some(bytes) = env.memory_bytes {
            // Exact enough for people.
            #[expect(
                clippy::cast_precision_loss,
                reason = "bytes of a machine are below 2^52"
            )]
            let memory = units::format_bytes(bytes as f64);
            facts.push(Fact::new("Generator memory", memory));
        }
        facts.push(Fact::new("Kernel", env.kernel.clone()));
        facts.push(Fact::new("Platform", env.platform.clone()));
        let descriptors = units::format_count(env.descriptor_limit);
        facts.push(Fact::new("Descriptors", format!("{descriptors} allowed")));
        if !env.local_addresses.is_empty() {
            let addresses = env.local_addresses.join(", ");
            facts.push(Fact::new("Load source", addresses));
        }
        if let Some(generator) = &self.generator {
            facts.push(Fact::new("Generator load", generator.clone()));
        }
        let version = format!(
            "breakpoint {}, engine {}, schema {}",
            self.version, self.plan.engine, self.schema
        );
        facts.push(Fact::new("Version", version));
        let (from, to) = self.times;
        facts.push(Fact::new("Time", format!("{from} to {to}")));
        facts
    }

    fn again(&self) -> Vec<Part> {
        let (words, typed) = if self.plan.command.is_empty() {
            let words = "This record is from a version that did not keep the command line. Rebuilt \
                from the recorded plan:";
            (words, &self.rebuilt)
        } else {
            let words = "In the same folder, with the same profile:";
            (words, &self.plan.command)
        };
        let quoted: Vec<String> = typed.iter().map(|a| excerpt::word(a)).collect();
        let command = format!("breakpoint {}", quoted.join(" "));
        vec![
            Part::Words(words.to_owned()),
            Part::Lines(vec![command]),
            Part::Words("To regenerate all files in this folder from its record:".to_owned()),
            Part::Lines(vec!["breakpoint report DIR".to_owned()]),
        ]
    }
}

fn load(plan: &PlanRecord) -> String {
    let model = match plan.arrivals {
        None => format!(
            "closed: VUs in a loop, {} started or stopped per second",
            view::short(plan.pace_per_s)
        ),
        Some(arrivals) => format!(
            "open: cycles start on their own clock ({})",
            arrivals.name()
        ),
    };
    let beside: Vec<String> = (plan.populations.iter())
        .map(|p| match (p.level, p.share) {
            (Some(level), _) => format!("{} of {}", p.unit.count(level), p.name),
            (None, Some(share)) => format!("{} with share {share} of the level", p.name),
            (None, None) => format!("the number of {} is varied", p.name),
        })
        .collect();
    if beside.is_empty() {
        model
    } else {
        format!("{model}; {}", beside.join(", "))
    }
}

/// The levels that are allowed: `1 – 5 000 VUs`.
pub(super) fn range(plan: &PlanRecord) -> String {
    let low = units::format_count(plan.min_level.into());
    format!("{low} – {}", plan.unit.count(Level(plan.max_level)))
}

/// A number of things; thousands stand apart.
fn amount(value: f64) -> String {
    if value >= 1000.0 {
        units::format_count(Level::nearest(value).get().into())
    } else {
        view::short(value)
    }
}

/// The limits of what is watched.
fn limits(plan: &PlanRecord) -> Option<Part> {
    let rows: Vec<Vec<Cell>> = (plan.limits.iter())
        .filter_map(|limit| {
            let value = limit.value.filter(|v| v.is_finite() && *v > 0.0)?;
            let bytes = ["memory", "rss", "heap", "bytes"];
            let shown = if bytes.iter().any(|b| limit.field.contains(b)) {
                units::format_bytes(value)
            } else {
                amount(value)
            };
            Some(vec![
                Cell::text(&limit.monitor),
                Cell::text(&limit.field),
                Cell::number(value, shown),
            ])
        })
        .collect();
    (!rows.is_empty()).then(|| {
        Part::Table(Table {
            caption: "Monitored limits".to_owned(),
            head: vec![
                Column::text("monitor"),
                Column::text("field"),
                Column::number("limit"),
            ],
            rows,
        })
    })
}
