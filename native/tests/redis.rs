//! Limits that are counted in Redis: by a real `redis-server`, and by as many processes as there are.

#[path = "redis/around.rs"]
mod around;
#[path = "redis/cluster.rs"]
mod cluster;
#[path = "redis/hosts.rs"]
mod hosts;
#[path = "redis/outages.rs"]
mod outages;
#[path = "redis/processes.rs"]
mod processes;
#[path = "redis/traces.rs"]
mod traces;
