//! The explanation of one decision: every step that the pipeline took, with the place in the configuration
//! that decided it.
//!
//! A trail is written by the pipeline itself while it decides, never by a second look at the rules. Where
//! nobody wants one, none is written: each step is made by a closure that is not called then. No step holds a
//! credential; whoever reads a trail sees the inside, so hosts show it only to those who may see that.

mod guard;
mod proof;
mod text;

use serde::{Serialize, Serializer, ser::SerializeMap};
use serde_json::{Map, Value};

pub use self::guard::{Guard, HEADER, TRAIL_HEADER};
pub(crate) use self::proof::{How, Learnt, Proof};
use crate::{config::node::Span, policy::Origin, refusal::Refusal};

/// What became of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It let the request on, or did its work.
    Pass,
    /// It did not concern the request.
    Skip,
    /// It ended the request.
    Refuse,
    /// It failed, and the configuration says to go on.
    Fail,
}

impl Verdict {
    /// The verdict in one word.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Skip => "skip",
            Self::Refuse => "refuse",
            Self::Fail => "fail",
        }
    }
}

/// One step of a decision.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// What was asked: `request`, `https`, `route`, `override`, a policy's type, `authentication`,
    /// `identity_token`, `upstream`, `answer`.
    pub room: &'static str,
    /// What became of it.
    pub verdict: Verdict,
    /// Where it is written.
    pub at: Span,
    /// The name of the policy.
    pub name: Option<String>,
    /// What people wrote about it.
    pub description: Option<String>,
    /// What happened, in words.
    pub text: String,
    /// What happened, in figures.
    pub facts: Map<String, Value>,
}

/// What a step says, without where it is written.
#[derive(Debug, Clone, PartialEq)]
pub struct Said {
    /// What became of it.
    pub verdict: Verdict,
    /// What happened, in words.
    pub text: String,
    /// What happened, in figures.
    pub facts: Map<String, Value>,
}

impl Said {
    /// A verdict in words.
    pub(crate) fn new(verdict: Verdict, text: impl Into<String>) -> Self {
        Self { verdict, text: text.into(), facts: Map::new() }
    }

    /// A refusal, as clients are told of it.
    pub(crate) fn refused(refusal: &Refusal) -> Self {
        Self::new(Verdict::Refuse, refusal.detail()).fact("refusal", refusal.code())
    }

    /// The same with a figure.
    pub(crate) fn fact(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.facts.insert(name.to_owned(), value.into());
        self
    }
}

impl Step {
    /// A step of the pipeline itself.
    pub(crate) fn new(room: &'static str, at: Span, said: Said) -> Self {
        let Said { verdict, text, facts } = said;
        Self { room, verdict, at, name: None, description: None, text, facts }
    }

    /// A policy's step, at the place of what decided about it.
    pub(crate) fn of_policy_at(origin: &Origin, at: Span, said: Said) -> Self {
        let Said { verdict, text, facts } = said;
        Self {
            room: origin.r#type,
            verdict,
            at,
            name: Some(origin.name.clone()),
            description: origin.description.clone(),
            text,
            facts,
        }
    }

    /// The same with what people wrote about it.
    pub(crate) fn described(self, description: Option<&String>) -> Self {
        Self { description: description.cloned(), ..self }
    }
}

/// The steps of one decision, in their order.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Trail {
    /// The steps.
    pub steps: Vec<Step>,
}

/// A trail with the names of the files that its places are in.
#[derive(Debug, Clone, Copy)]
pub struct Placed<'t> {
    trail: &'t Trail,
    files: &'t [String],
}

impl Placed<'_> {
    /// The trail without the names.
    pub fn trail(&self) -> &Trail {
        self.trail
    }
}

impl Trail {
    pub(crate) fn push(&mut self, step: Step) {
        self.steps.push(step);
    }

    /// The trail as people and programs read it; `files` are [`crate::gateway::Gateway::files`].
    pub fn placed<'t>(&'t self, files: &'t [String]) -> Placed<'t> {
        Placed { trail: self, files }
    }
}

/// A list of steps: `{room, verdict, name?, file, line, column, text, description?, facts?}`.
impl Serialize for Placed<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.trail.steps.iter().map(|step| PlacedStep { step, files: self.files }))
    }
}

struct PlacedStep<'t> {
    step: &'t Step,
    files: &'t [String],
}

impl Serialize for PlacedStep<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { step, files } = self;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("room", step.room)?;
        map.serialize_entry("verdict", step.verdict.name())?;
        if let Some(name) = &step.name {
            map.serialize_entry("name", name)?;
        }
        map.serialize_entry("file", text::file(step.at, files))?;
        map.serialize_entry("line", &step.at.line)?;
        map.serialize_entry("column", &step.at.column)?;
        map.serialize_entry("text", &step.text)?;
        if let Some(description) = &step.description {
            map.serialize_entry("description", description)?;
        }
        if !step.facts.is_empty() {
            map.serialize_entry("facts", &step.facts)?;
        }
        map.end()
    }
}
