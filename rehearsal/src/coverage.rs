//! Which parts of a configuration have decided anything in the cases that were played: what no case has asked,
//! no case has shown to be right.

use std::collections::{BTreeMap, HashMap};

use tollgate_core::{
    config::node::Span,
    gateway::Gateway,
    trail::{Trail, Verdict},
};

/// A kind of parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// Of `routes`.
    Route,
    /// Of `route_overrides`.
    Override,
    /// Of `policies`, wherever they are written.
    Policy,
}

impl Kind {
    /// The kind in a word.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Route => "route",
            Self::Override => "override",
            Self::Policy => "policy",
        }
    }
}

/// A part of a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// What it is.
    pub kind: Kind,
    /// Its path, or its name.
    pub name: String,
    /// Whether it has decided about a request.
    pub decided: bool,
    /// Whether it can refuse requests at all.
    pub can_refuse: bool,
    /// Whether it was seen to do so.
    pub refused: bool,
}

/// Where a part is written: file, line, column.
pub type Written = (String, u32, u32);

/// The parts of all configurations that were tested.
#[derive(Debug, Default)]
pub struct Coverage {
    configurations: HashMap<String, Parts>,
}

#[derive(Debug, Default)]
struct Parts {
    files: Vec<String>,
    parts: HashMap<(Kind, Span), Part>,
}

impl Coverage {
    /// Notes what there is in a configuration.
    pub fn add(&mut self, configuration: &str, gateway: &Gateway) {
        let known = self.configurations.entry(configuration.to_owned()).or_default();
        // The same files have the same parts, whatever their variables are.
        if known.files == gateway.files() {
            return;
        }
        known.files = gateway.files().to_vec();
        for route in gateway.router().routes() {
            known.note(Kind::Route, route.span, route.pattern.as_str(), false);
        }
        for plan in gateway.router().plans().map(|holding| holding.plan) {
            for on in &plan.provenance.overrides {
                known.note(Kind::Override, on.span, &on.path, false);
            }
            for (stage, origin) in plan.origins() {
                known.note(Kind::Policy, origin.span, &origin.name, stage.may_refuse());
            }
        }
    }

    /// Notes what decided about a request.
    pub fn see(&mut self, configuration: &str, trail: &Trail) {
        let Some(known) = self.configurations.get_mut(configuration) else { return };
        for step in trail.steps.iter().filter(|step| step.verdict != Verdict::Skip) {
            let kind = match (&step.name, step.room) {
                (Some(_), _) => Kind::Policy,
                (None, "route") => Kind::Route,
                (None, "override") => Kind::Override,
                _ => continue,
            };
            if let Some(part) = known.parts.get_mut(&(kind, step.at)) {
                part.decided = true;
                part.refused |= step.verdict == Verdict::Refuse;
            }
        }
    }

    /// All parts in the order in which they are written. What several configurations include is one part.
    pub fn parts(&self) -> BTreeMap<(Written, Kind), Part> {
        let mut parts: BTreeMap<(Written, Kind), Part> = BTreeMap::new();
        for known in self.configurations.values() {
            for ((kind, span), part) in &known.parts {
                let file = known.files.get(span.file).cloned().unwrap_or_default();
                let one = parts.entry(((file, span.line, span.column), *kind)).or_insert_with(|| Part {
                    decided: false,
                    refused: false,
                    ..part.clone()
                });
                one.decided |= part.decided;
                one.refused |= part.refused;
            }
        }
        parts
    }
}

impl Parts {
    fn note(&mut self, kind: Kind, at: Span, name: &str, can_refuse: bool) {
        self.parts.entry((kind, at)).or_insert_with(|| Part {
            kind,
            name: name.to_owned(),
            decided: false,
            can_refuse,
            refused: false,
        });
    }
}
