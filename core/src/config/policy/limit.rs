//! `FixedWindow`, `SlidingWindow`, `TokenBucket`, `Concurrency` and `Budget` as written. What they have in common is one
//! list of keys; what they mean is the compiler's to say.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Deserializer, de::Visitor};

use crate::config::{decode::mapping_or, document::OneOrMany};

/// The keys that all limits have, as one of them wrote them.
#[derive(Debug, Clone, Copy)]
pub struct Common<'k> {
    /// Whom to count.
    pub per: &'k OneOrMany,
    /// Bits of an IPv6 address that count.
    pub ipv6_prefix: u8,
    /// A claim chooses how much there is.
    pub tiers: Option<&'k Tiers>,
    /// Who is not counted.
    pub exempt: &'k Exempt,
    /// What a request costs.
    pub cost: Option<&'k Cost>,
    /// How exactly it is counted.
    pub accuracy: Accuracy,
    /// How far it may be off.
    pub max_overshoot: Option<u64>,
    /// Where it is counted.
    pub scope: Scope,
    /// When the counters can't be reached.
    pub on_error: OnStoreError,
    /// Only record.
    pub shadow: bool,
    /// The older fields, too.
    pub legacy_headers: bool,
    /// How long a request may wait.
    pub wait_ms: u64,
}

macro_rules! limits {
    (@accuracy $self:ident cost) => { $self.accuracy };
    (@accuracy $self:ident) => { Accuracy::Exact };
    (@max_overshoot $self:ident cost) => { $self.max_overshoot };
    (@max_overshoot $self:ident) => { None };
    ($($(#[$about:meta])* $name:ident { $($(#[$own:meta])* $key:ident: $type:ty,)* } costs $($cost:ident)?;)*) => {
        $(
            $(#[$about])*
            #[derive(Debug, Clone, Deserialize)]
            #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
            pub struct $name {
                $($(#[$own])* pub $key: $type,)*
                /// Whom to count: `user_id`, `ip`, `api_key` (all keys of one holder together), `route`, `service`,
                /// `header:NAME`, `claim:NAME`, `cel:EXPRESSION` (a text, over what `Cel` sees); a list counts each
                /// combination. Without a user or a key, the address counts.
                #[serde(default = "user_id")]
                pub per: OneOrMany,
                /// Bits of an IPv6 address that count: whoever has one has a whole network.
                #[serde(default = "ipv6_prefix")]
                pub ipv6_prefix: u8,
                /// A claim of the user's, or of what is said about a key's holder, chooses how much there is.
                #[serde(default)]
                pub tiers: Option<Tiers>,
                /// Who is not counted.
                #[serde(default)]
                pub exempt: Exempt,
                $(
                    /// What a request costs: a number, an expression over the request (as in `Cel`), or a mapping that
                    /// says what to reserve and how the answer settles it.
                    #[serde(default)]
                    pub $cost: Option<Cost>,
                    /// `exact`: each request asks the shared counter. `leased`: an instance draws slices in advance and
                    /// decides by itself meanwhile, so that most requests ask nobody; then at most `max_overshoot` more
                    /// than the limit are admitted, by all instances together.
                    #[serde(default)]
                    pub accuracy: Accuracy,
                    /// How much more than the limit may be admitted, with `accuracy: leased`. Slices are a sixteenth of it.
                    #[serde(default)]
                    pub max_overshoot: Option<u64>,
                )?
                /// `cluster`: counted where `store` says, together with all other instances. `local`: by each for itself.
                #[serde(default)]
                pub scope: Scope,
                /// When the counters can't be reached: `deny` (503), `allow`, or `local`: each instance counts for itself
                /// meanwhile. What an expression of the limit can't say is refused, unless this is `allow`.
                #[serde(default)]
                pub on_error: OnStoreError,
                /// Only record what would have been refused: in the log, in metrics and in explanations. It is counted,
                /// and nothing is refused or told to clients.
                #[serde(default)]
                pub shadow: bool,
                /// Write the older `X-RateLimit-Limit`, `-Remaining` and `-Reset` (in seconds) too.
                #[serde(default)]
                pub legacy_headers: bool,
                /// Milliseconds that a request may wait for its turn instead of being refused.
                #[serde(default)]
                pub wait_ms: u64,
            }

            impl $name {
                /// The keys that all limits have.
                #[must_use]
                pub fn common(&self) -> Common<'_> {
                    Common {
                        per: &self.per,
                        ipv6_prefix: self.ipv6_prefix,
                        tiers: self.tiers.as_ref(),
                        exempt: &self.exempt,
                        cost: None$(.or(self.$cost.as_ref()))?,
                        accuracy: limits!(@accuracy self $($cost)?),
                        max_overshoot: limits!(@max_overshoot self $($cost)?),
                        scope: self.scope,
                        on_error: self.on_error,
                        shadow: self.shadow,
                        legacy_headers: self.legacy_headers,
                        wait_ms: self.wait_ms,
                    }
                }
            }
        )*
    };
}

limits! {
    /// `FixedWindow`: so many requests a window, windows aligned to the epoch. Up to twice as many may come around the
    /// moment at which one window ends and the next begins.
    FixedWindow {
        /// Requests a window.
        rate: u64,
        /// Length of the window: `1s`, `60s`, `5m`, `1h`, `1d`.
        #[serde(default = "minute")]
        window: String,
    } costs cost;

    /// `SlidingWindow`: so many requests in any window, wherever it begins. What was taken is there again after one
    /// window at the earliest, and 1.1 windows at the latest.
    SlidingWindow {
        /// Requests in any window.
        rate: u64,
        /// Length of the window: `1s`, `60s`, `5m`, `1h`, `1d`.
        #[serde(default = "minute")]
        window: String,
    } costs cost;

    /// `TokenBucket`: so many requests at once, and then as many as flow in at a steady rate (GCRA).
    TokenBucket {
        /// Requests that flow in within a window.
        rate: u64,
        /// Length of the window: `1s`, `60s`, `5m`, `1h`, `1d`.
        #[serde(default = "minute")]
        window: String,
        /// Requests at once; `rate` when absent.
        #[serde(default)]
        burst: Option<u64>,
    } costs cost;

    /// `Concurrency`: so many requests at the same time, from when they are let in until all of the answer has passed.
    Concurrency {
        /// Requests at the same time; on Workers at most 10000.
        limit: u64,
        /// How long the place of an instance that has died stays taken. Those that live renew it.
        #[serde(default = "minute")]
        lease: String,
    } costs;

    /// `Budget`: so much a day or month, or in as long as is written.
    Budget {
        /// How much there is: requests, or whatever `cost` counts.
        limit: u64,
        /// `day`, `month` (of the calendar, in UTC), or a length: `6h`, `7d`.
        #[serde(default = "day")]
        period: String,
        /// The last 24 hours or 30 days instead of the calendar's.
        #[serde(default)]
        rolling: bool,
    } costs cost;
}

fn minute() -> String {
    "60s".to_owned()
}

fn day() -> String {
    "day".to_owned()
}

fn user_id() -> OneOrMany {
    OneOrMany::One("user_id".to_owned())
}

const fn ipv6_prefix() -> u8 {
    64
}

/// How exactly a limit is counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Accuracy {
    /// Each request asks the shared counter.
    #[default]
    Exact,
    /// Slices are drawn in advance.
    Leased,
}

/// Where a limit is counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Where `store` says, together with all other instances.
    #[default]
    Cluster,
    /// By each instance for itself.
    Local,
}

/// What a limit does when its counters can't be reached.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum OnStoreError {
    /// Refuse with 503.
    #[default]
    Deny,
    /// Go on as if the policy were not there.
    Allow,
    /// Count in the memory of the instance meanwhile.
    Local,
}

/// A claim chooses how much there is.
#[derive(Debug, Clone, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Tiers {
    /// The claim, as `claim:NAME`. What is said of a key's holder in `metadata` is a claim.
    pub by: String,
    /// The claim's value → how much there is; for any other value, as much as the policy says.
    pub rates: BTreeMap<String, TierRate>,
}

/// How much a tier has: a number, or a mapping that says more.
#[derive(Debug, Clone)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(untagged))]
pub enum TierRate {
    /// As much as this.
    Rate(u64),
    /// Of a `TokenBucket` what may come at once, too.
    Long(LongTierRate),
}

/// How much a tier has.
#[derive(Debug, Clone, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct LongTierRate {
    /// In place of the policy's `rate` or `limit`.
    pub rate: u64,
    /// In place of the policy's `burst`; `rate` when absent.
    #[serde(default)]
    pub burst: Option<u64>,
}

impl<'de> Deserialize<'de> for TierRate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = TierRate;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a whole number, or a mapping with `rate` and `burst`")
            }
            fn visit_u64<E: serde::de::Error>(self, rate: u64) -> Result<TierRate, E> {
                Ok(TierRate::Rate(rate))
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<TierRate, E> {
                let rate =
                    text.parse().map_err(|_| E::invalid_value(serde::de::Unexpected::Str(text), &self));
                rate.map(TierRate::Rate)
            }
            fn visit_newtype_struct<D: Deserializer<'de>>(self, of: D) -> Result<TierRate, D::Error> {
                LongTierRate::deserialize(of).map(TierRate::Long)
            }
        }
        mapping_or(deserializer, Either)
    }
}

/// Who is not counted.
#[derive(Debug, Clone, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct Exempt {
    /// Networks (`10.0.0.0/8`) and single addresses.
    pub addresses: Vec<String>,
    /// Roles of users.
    pub roles: Vec<String>,
}

/// What a request costs.
#[derive(Debug, Clone)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(untagged))]
pub enum Cost {
    /// A number, or an expression over the request.
    Text(CostText),
    /// What is reserved, and how it is settled.
    Long(LongCost),
}

/// A number, or an expression.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(untagged))]
pub enum CostText {
    /// Nothing.
    #[default]
    #[cfg_attr(feature = "schema", schemars(skip))]
    None,
    /// So much.
    Number(u64),
    /// As much as it says.
    Expression(String),
}

/// What is reserved, and how the answer settles it.
#[derive(Debug, Clone, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct LongCost {
    /// What is taken before the request is sent on: a number, or an expression over the request.
    pub reserve: CostText,
    /// What the answer says was used: `usage` (the tokens that answers of language models tell, in JSON or while they
    /// stream), `header:NAME`, or an expression over `response` (`status`, `headers`), `usage` (`input_tokens`,
    /// `output_tokens`, `total_tokens`, `cached_tokens`) and `reserved`. Where it says nothing, what was reserved stays
    /// taken, but for failures (400 and above), which cost nothing.
    pub settle: String,
    /// When the client leaves before the service has answered: `refund` what was reserved, or `charge` it. When it
    /// leaves later, what has passed is charged.
    #[serde(default)]
    pub on_cancel: OnCancel,
}

/// What becomes of what was reserved, when the client leaves before the service has answered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum OnCancel {
    /// It is handed back.
    #[default]
    Refund,
    /// It stays taken.
    Charge,
}

impl<'de> Deserialize<'de> for CostText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = CostText;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a whole number, or an expression")
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<CostText, E> {
                Ok(text.parse().map_or_else(|_| CostText::Expression(text.to_owned()), CostText::Number))
            }
            fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<CostText, E> {
                Ok(CostText::Number(number))
            }
        }
        deserializer.deserialize_str(Text)
    }
}

impl<'de> Deserialize<'de> for Cost {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = Cost;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a whole number, an expression, or a mapping with `reserve` and `settle`")
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Cost, E> {
                let parsed =
                    text.parse().map_or_else(|_| CostText::Expression(text.to_owned()), CostText::Number);
                Ok(Cost::Text(parsed))
            }
            fn visit_newtype_struct<D: Deserializer<'de>>(self, of: D) -> Result<Cost, D::Error> {
                LongCost::deserialize(of).map(Cost::Long)
            }
        }
        mapping_or(deserializer, Either)
    }
}
