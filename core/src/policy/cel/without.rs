//! Expressions for builds that have none (the feature `expressions` is off): there are no formulas, so whatever has one is
//! refused when a configuration is loaded, by name.

use super::terms::{Answered, Fault, Vocabulary};
use crate::facts::Facts;

/// There is none.
#[derive(Debug, PartialEq)]
pub(crate) enum Formula {}

impl Formula {
    pub(crate) fn read(_: &str, _: Vocabulary, _: &str) -> Result<Self, Vec<Fault>> {
        let fault = Fault::new("this build has no expressions");
        Err(vec![
            fault
                .cure("deploy the configuration with its Worker: `npx wrangler deploy` builds what it needs"),
        ])
    }

    pub(crate) fn shown(&self) -> &str {
        match *self {}
    }

    pub(crate) fn names(&self, _: &str) -> bool {
        match *self {}
    }

    pub(crate) fn truth(&self, _: &Facts<'_>) -> Result<bool, String> {
        match *self {}
    }

    pub(crate) fn number(&self, _: &Facts<'_>) -> Result<u64, String> {
        match *self {}
    }

    pub(crate) fn text(&self, _: &Facts<'_>) -> Result<String, String> {
        match *self {}
    }

    pub(crate) fn number_of_answer(&self, _: &Answered<'_>) -> Result<u64, String> {
        match *self {}
    }
}
