//! Tests played again whenever a file that they depend on changes, until the program is interrupted.

use std::{
    io::{IsTerminal, stdout},
    process::ExitCode,
    thread,
    time::Duration,
};

use super::files::Watched;
use crate::cli;

/// Between two looks at the files. Looking costs a few system calls a file.
const PAUSE: Duration = Duration::from_millis(300);
/// Clears a terminal, what was scrolled out of it too, and goes to its corner.
const CLEAR: &str = "\x1b[2J\x1b[3J\x1b[H";

/// Goes on for as long as there is somebody to tell; an interrupt ends the program, as it would any.
pub(super) fn again_and_again(mut play: impl FnMut(&Watched) -> u8) -> ExitCode {
    loop {
        let files = Watched::default();
        let clear = if stdout().is_terminal() { CLEAR } else { "" };
        if let Err(error) = cli::put(clear) {
            return cli::fail(2, error);
        }
        play(&files);
        if let Err(error) = cli::put("watching for changes; Ctrl-C ends\n") {
            return cli::fail(2, error);
        }
        while !files.have_changed() {
            thread::sleep(PAUSE);
        }
    }
}
