//! Tests played again whenever a file that they depend on changes, until the program is interrupted.

use std::{
    io::{IsTerminal, stdout},
    thread,
    time::Duration,
};

use super::{files::Watched, put};

/// Between two looks at the files. Looking costs a few system calls a file.
const PAUSE: Duration = Duration::from_millis(300);
/// Clears a terminal, what was scrolled out of it too, and goes to its corner.
const CLEAR: &str = "\x1b[2J\x1b[3J\x1b[H";

/// Never returns: an interrupt ends the program, as it would any.
pub(super) fn again_and_again(mut play: impl FnMut(&Watched) -> u8) -> ! {
    loop {
        if stdout().is_terminal() {
            put(CLEAR);
        }
        let files = Watched::default();
        play(&files);
        put("watching for changes; Ctrl-C ends\n");
        while !files.have_changed() {
            thread::sleep(PAUSE);
        }
    }
}
