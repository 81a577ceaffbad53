//! What the tests of a configuration have not asked, laid out for reports.

use tollgate_rehearsal::coverage::{Coverage, Kind};

/// The parts of all configurations that were tested.
pub(super) struct Covered {
    /// In the order in which they are written.
    pub(super) parts: Vec<Part>,
}

/// A route, an override or a policy.
pub(super) struct Part {
    pub(super) kind: Kind,
    pub(super) name: String,
    pub(super) file: String,
    pub(super) line: u32,
    pub(super) decided: bool,
    /// It could refuse, it has decided, and no case has seen it refuse.
    pub(super) never_refused: bool,
}

impl Covered {
    pub(super) fn new(coverage: &Coverage) -> Self {
        let parts = coverage.parts().into_iter().map(|(((file, line, _), kind), part)| Part {
            kind,
            name: part.name,
            file,
            line,
            decided: part.decided,
            never_refused: part.decided && part.can_refuse && !part.refused,
        });
        Self { parts: parts.collect() }
    }

    /// Whether every part has decided something.
    pub(super) fn is_whole(&self) -> bool {
        self.decided() == self.parts.len()
    }

    pub(super) fn decided(&self) -> usize {
        self.parts.iter().filter(|part| part.decided).count()
    }

    /// In one line.
    pub(super) fn summary(&self) -> String {
        format!("coverage: {} of {} routes and policies", self.decided(), self.parts.len())
    }
}

impl Part {
    /// What there is to say against its tests.
    pub(super) fn remark(&self) -> Option<String> {
        let (kind, name) = (self.kind.name(), &self.name);
        if !self.decided {
            return Some(format!("unused {kind} {name}"));
        }
        self.never_refused.then(|| format!("{kind} {name} was never seen to refuse"))
    }
}
