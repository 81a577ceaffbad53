//! Limits as they are compared: what is looser, and what only counts otherwise.

use super::{Limit, OnError, algorithm::Algorithm, cost::Taken, per::Per, tiers::Tiers};
use crate::{
    compare::setting::{
        Leaning::{LessIsLooser, MoreIsLooser, MoreIsLooserThan, Splitting},
        Setting, Value,
    },
    counter::Window,
    policy::{Origin, Scope, settings::Settings},
};

impl Settings for Limit {
    fn settings(&self, origin: &Origin) -> Vec<Setting> {
        let Self { algorithm, amount, id: _, quoted, per, ipv6_prefix, tiers, exempt, cost, .. } = self;
        let Self { is_local, on_error, shadow, legacy_headers, wait_ms, waiting: _, .. } = self;
        let counts = match origin.scope {
            Scope::Global => "all routes together",
            Scope::Route => "this route for itself",
            Scope::Override => "these paths for themselves",
        };
        let mut settings = vec![
            // Clients see it.
            Setting::neutral("name", quoted.trim_matches('"')),
            Setting::new(algorithm.amount_key(), amount.rate, MoreIsLooser),
        ];
        settings.extend(match *algorithm {
            Algorithm::FixedWindow { window_ms } | Algorithm::SlidingWindow { window_ms } => {
                vec![Setting::new("window", Value::Time(window_ms), LessIsLooser)]
            }
            Algorithm::TokenBucket { window_ms } => vec![
                Setting::new("window", Value::Time(window_ms), LessIsLooser),
                Setting::new("burst", amount.burst, MoreIsLooser),
            ],
            Algorithm::Concurrency { lease_ms } => {
                vec![Setting::new("lease", Value::Time(lease_ms), LessIsLooser)]
            }
            Algorithm::Budget { period, rolling } => vec![
                match period {
                    Window::Length(length) => Setting::new("period", Value::Time(length), LessIsLooser),
                    Window::Month => Setting::neutral("period", "month"),
                },
                Setting::new("rolling", rolling, LessIsLooser),
            ],
        });
        settings.extend([
            Setting::new("per", Value::set(per.iter().map(Per::shown)), Splitting),
            Setting::new("ipv6_prefix", u64::from(*ipv6_prefix), MoreIsLooser),
            Setting::neutral("counts", counts),
            Setting::new("exempt.addresses", Value::set(&exempt.addresses), MoreIsLooser),
            Setting::new("exempt.roles", Value::set(&exempt.roles), MoreIsLooser),
            match cost.taken {
                Taken::Fixed(taken) => Setting::new("cost", taken, LessIsLooser),
                Taken::Of(_) => Setting::neutral("cost", cost.shown()),
            },
            Setting::new(
                "max_overshoot",
                amount.leasing.map_or(0, |leasing| leasing.max_overshoot()),
                MoreIsLooser,
            ),
            Setting::neutral("scope", if *is_local { "local" } else { "cluster" }),
            Setting::new(
                "on_error",
                match on_error {
                    OnError::Deny => Value::Rank(0, "deny"),
                    OnError::Local => Value::Rank(1, "local"),
                    OnError::Allow => Value::Rank(2, "allow"),
                },
                MoreIsLooser,
            ),
            Setting::new("shadow", *shadow, MoreIsLooser),
            Setting::neutral("legacy_headers", *legacy_headers),
            Setting::new("wait_ms", *wait_ms, MoreIsLooser),
        ]);
        if let Some(settle) = &cost.settle {
            settings.push(Setting::neutral("cost.settle", settle.shown()));
            let on_cancel =
                if settle.keeps_cancelled { Value::Rank(0, "charge") } else { Value::Rank(1, "refund") };
            settings.push(Setting::new("cost.on_cancel", on_cancel, MoreIsLooser));
        }
        if let Some(Tiers { claim, amounts }) = tiers {
            settings.push(Setting::neutral("tiers.by", format!("claim:{claim}")));
            let own = amount;
            for (name, amount) in amounts {
                let key = format!("tiers.rates.{name}");
                if let Algorithm::TokenBucket { .. } = algorithm {
                    let burst =
                        Setting::new(format!("{key}.burst"), amount.burst, MoreIsLooserThan(own.burst));
                    settings.push(burst);
                }
                settings.push(Setting::new(key, amount.rate, MoreIsLooserThan(own.rate)));
            }
        }
        settings
    }
}
