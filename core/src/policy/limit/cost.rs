//! What a request costs: so much, or as much as an expression over the request says; and, where only the answer tells,
//! what is reserved beforehand and how it is settled.

use std::sync::Arc;

use http::{HeaderMap, HeaderName, StatusCode};

use crate::{
    facts::Facts,
    policy::cel::{formula::Formula, terms::Answered},
    usage::Usage,
};

/// What a request costs.
#[derive(Debug, PartialEq)]
pub(crate) struct Cost {
    /// What is taken before the request is sent on.
    pub(crate) taken: Taken,
    /// What the answer says of it, where that is asked.
    pub(crate) settle: Option<Arc<Settle>>,
}

/// What is taken.
#[derive(Debug, PartialEq)]
pub(crate) enum Taken {
    Fixed(u64),
    Of(Formula),
}

/// How what was reserved is settled.
#[derive(Debug, PartialEq)]
pub(crate) struct Settle {
    pub(crate) by: By,
    /// Whether what was reserved stays taken when the client leaves before the service has answered. Otherwise it is
    /// handed back.
    pub(crate) keeps_cancelled: bool,
}

/// What the answer is asked for.
#[derive(Debug, PartialEq)]
pub(crate) enum By {
    /// All tokens that it says were used.
    Usage,
    /// A number in its head.
    Header(HeaderName),
    /// An expression over it.
    Of(Formula),
}

impl Cost {
    /// What to take for a request. Why that can't be told is for the log.
    pub(crate) fn of(&self, facts: &Facts<'_>) -> Result<u64, String> {
        match &self.taken {
            Taken::Fixed(cost) => Ok(*cost),
            Taken::Of(formula) => formula.number(facts),
        }
    }

    /// As it is written.
    pub(crate) fn shown(&self) -> String {
        match &self.taken {
            Taken::Fixed(cost) => cost.to_string(),
            Taken::Of(formula) => formula.shown().to_owned(),
        }
    }
}

impl Settle {
    /// As it is written.
    pub(crate) fn shown(&self) -> String {
        match &self.by {
            By::Usage => "usage".to_owned(),
            By::Header(name) => format!("header:{name}"),
            By::Of(formula) => formula.shown().to_owned(),
        }
    }

    /// Whether the answer's body has to be looked at.
    pub(crate) fn reads_usage(&self) -> bool {
        match &self.by {
            By::Usage => true,
            By::Header(_) => false,
            By::Of(formula) => formula.names("usage"),
        }
    }

    /// Fields of the answer's head that are asked for.
    pub(crate) fn reads_headers(&self) -> bool {
        match &self.by {
            By::Usage => false,
            By::Header(_) => true,
            By::Of(formula) => formula.names("response"),
        }
    }

    /// What was used, by what is known of the answer. `usage` is what it told, or was estimated where it was cut off.
    /// Where nothing was told, a failure cost nothing, and anything else what was reserved for it.
    pub(crate) fn used(
        &self,
        status: StatusCode,
        headers: &HeaderMap,
        usage: Option<Usage>,
        reserved: u64,
    ) -> u64 {
        let untold = if status.is_client_error() || status.is_server_error() { 0 } else { reserved };
        match &self.by {
            By::Usage => usage.map_or(untold, |usage| usage.total_tokens),
            By::Header(name) => {
                let told = headers.get(name).and_then(|value| value.to_str().ok()?.trim().parse().ok());
                told.unwrap_or(untold)
            }
            By::Of(formula) => {
                if usage.is_none() && self.reads_usage() {
                    return untold;
                }
                let usage = usage.unwrap_or_default();
                let answered = Answered { status: status.as_u16(), headers, usage, reserved };
                let value = formula.number_of_answer(&answered);
                // What can't be told, because it is too much for an expression or not what was thought, was as dear as had
                // been thought, and at least a unit for each token.
                value.unwrap_or(untold.max(usage.total_tokens))
            }
        }
    }
}
