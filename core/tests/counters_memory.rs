//! What a million counters weigh, and that their memory comes back: measured as the system counts it, so alone in its
//! process.
#![cfg(target_os = "linux")]

use std::fs;

use tollgate_core::counter::{Draw, LATE_MS, Rule, Window, memory::Counters};

/// Without optimization fewer are enough; they fill as much of their tables.
const MANY: usize = if cfg!(debug_assertions) { 250_000 } else { 1_000_000 };
const WINDOW_MS: u64 = 60_000;

/// Bytes of this process that are in memory.
fn resident() -> usize {
    let status = fs::read_to_string("/proc/self/status").expect("Linux tells");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("how much is resident");
    let kib: usize = line.trim().trim_end_matches(" kB").parse().expect("a number");
    kib * 1_024
}

fn draw_from_each(counters: &Counters, many: usize, rule: Rule, now: u64) {
    let mut draw = Draw { key: String::new(), rule, cost: 1 };
    for n in 0..MANY {
        draw.key = (n % many).to_string();
        assert!(counters.draw(std::slice::from_ref(&draw), now)[0].admitted);
    }
}

#[test]
fn a_million_counters_weigh_what_is_said_and_their_memory_comes_back() {
    let fixed = Rule::FixedWindow { limit: MANY as u64, window: Window::Length(WINDOW_MS) };
    let sliding = Rule::SlidingWindow { limit: MANY as u64, window_ms: WINDOW_MS };
    for (rule, most) in [(fixed, 160), (sliding, 280)] {
        let before = resident();
        // What is full makes room, so there is some to spare.
        let counters = Counters::new(MANY + MANY / 8);
        draw_from_each(&counters, MANY, rule, 0);
        assert_eq!(counters.len(), MANY);
        let each = resident().saturating_sub(before) / MANY;
        println!("{each} bytes each: {rule:?}");
        assert!((60..=most).contains(&each), "{each} bytes each: {rule:?}");

        // Others come, when all has ended.
        for _ in 0..2 {
            draw_from_each(&counters, 10_000, rule, 2 * WINDOW_MS + LATE_MS);
        }
        assert_eq!(counters.len(), 10_000);
        let left = resident().saturating_sub(before);
        println!("{left} bytes are left");
        match rule {
            // What was small and is free, an allocator keeps for what comes: so that must find room in it.
            Rule::SlidingWindow { .. } => {
                draw_from_each(&counters, MANY, rule, 4 * WINDOW_MS);
                let again = resident().saturating_sub(before) / MANY;
                assert!(again <= most, "{again} bytes each, the second time");
            }
            _ => assert!(left < each * MANY / 3, "{left} bytes are left"),
        }
    }
}
