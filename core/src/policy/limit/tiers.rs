//! Who gets how much, and who is not counted at all.

use std::collections::BTreeMap;

use ipnet::IpNet;
use serde_json::Value;

use super::algorithm::Amount;
use crate::{facts::Facts, identity::Identity};

/// A claim chooses how much there is. What a key says of its holder is a claim too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tiers {
    pub(crate) claim: String,
    pub(crate) amounts: BTreeMap<String, Amount>,
}

impl Tiers {
    /// The tier of whoever makes a request, where it is one of those written.
    pub(crate) fn of(&self, identity: Option<&Identity>) -> Option<(&str, &Amount)> {
        let named =
            |name: &str| self.amounts.get_key_value(name).map(|(name, amount)| (name.as_str(), amount));
        match identity?.claims.get(&self.claim)? {
            Value::String(name) => named(name),
            Value::Number(number) => named(&number.to_string()),
            _ => None,
        }
    }
}

/// Who is not counted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Exempt {
    pub(crate) addresses: Vec<IpNet>,
    pub(crate) roles: Vec<String>,
}

impl Exempt {
    /// Why a request is not counted, in words.
    pub(crate) fn why(&self, facts: &Facts<'_>) -> Option<String> {
        if let Some(network) = self.addresses.iter().find(|network| network.contains(&facts.client)) {
            return Some(format!("{} is exempt, being in {network}", facts.client));
        }
        let roles = &facts.identity?.roles;
        self.roles.iter().find(|role| roles.contains(role)).map(|role| format!("the role `{role}` is exempt"))
    }
}
