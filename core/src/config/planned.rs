//! What the language knows and this version does not carry out yet. Such a key is an error that says so:
//! a gateway that silently does less than its file says is worse than one that does not start.

/// What to do instead of a key of `structure` that is not carried out yet; `None` for unknown keys.
pub(crate) fn key(structure: &str, key: &str) -> Option<&'static str> {
    const KEYS: &[(&str, &[&str], &str)] = &[
        ("Telemetry", &["otlp_endpoint"], "the access log and the metrics of the admin listener are there"),
        ("Route", &["when"], "match by `hosts`, `methods`, `headers` or `query`"),
        ("Route", &["targets"], "name one `target_service`; it may have several endpoints"),
        (
            "Route",
            &["aggregate", "respond", "redirect", "mirror", "files"],
            "route to a service with `target_service`",
        ),
        ("Override", &["when"], "match by `path` and `methods`"),
        (
            "Service",
            &["load_balancing", "health_check", "outlier_ejection", "circuit_breaker", "retries"],
            "endpoints take turns; leave the key out",
        ),
        ("Service", &["discovery"], "list the `endpoints`"),
        ("LongEndpoint", &["weight", "priority"], "endpoints take turns; list one twice to weigh it double"),
        ("Head", &["when"], "use `exclude_paths`, or an override"),
        (
            "TTL",
            &["stale_while_revalidate_seconds", "stale_if_error_seconds", "methods", "statuses", "tags"],
            "GET and HEAD with status 200 are kept for `ttl_seconds`; leave the key out",
        ),
    ];
    KEYS.iter().find(|(owner, keys, _)| *owner == structure && keys.contains(&key)).map(|(_, _, cure)| *cure)
}

/// Policy types of the language that are not carried out yet.
pub(crate) const POLICY_TYPES: &[&str] = &[
    "BodyLimit",
    "Cors",
    "FaultInjection",
    "Http",
    "IpFilter",
    "Mirror",
    "RequestTransform",
    "RequestValidation",
    "ResponseTransform",
    "SecurityHeaders",
    "Waf",
];
