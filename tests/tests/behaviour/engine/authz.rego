package authz

import rego.v1

grants := {
	"reader": [{"methods": {"GET", "HEAD"}, "below": "/app/reports"}],
	"admin": [{"methods": {"GET", "HEAD", "PUT", "DELETE"}, "below": "/app"}],
}

default allow := false

allow if {
	some role in input.roles
	some grant in grants[role]
	input.method in grant.methods
	startswith(input.path, grant.below)
}

# Undefined, rather than false, for those who may not.
admitted if allow

# A decision with what the service is to be told along.
decision := {"allow": allow, "headers": {"X-Tier": tier}}

default tier := "basic"

tier := input.claims.tier

# A decision with more than was agreed upon.
talkative := {"allow": true, "headers": {"X-Tier": tier, "X-Debug": input.user}}

# What is true, and says so in its own way.
malformed := "yes"

# Who it is about, rather than whether they may.
about := {"user": input.user, "path": input.path}
