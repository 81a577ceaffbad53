//! The access log as a whole, over pages that can be read back, get stuck or be full.

use std::{
    sync::mpsc,
    time::{Duration, Instant},
};

use http::{Method, StatusCode};

use super::*;

fn event(path: &str) -> Event<'_> {
    Event {
        at: 1_767_225_600_000,
        took_ms: 3,
        request_id: "0123",
        client: [127, 0, 0, 1].into(),
        method: &Method::GET,
        host: "example.org",
        path,
        route: None,
        service: None,
        user: None,
        status: StatusCode::OK,
        refusal: None,
        shadow: None,
        detail: None,
        trail: None,
        cache: None,
    }
}

/// Shares what is written; can be made to stand still.
#[derive(Clone, Default)]
struct Page {
    text: Arc<Mutex<Vec<u8>>>,
    stuck: Arc<Mutex<()>>,
}

impl Write for Page {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let _stuck = self.stuck.lock().unwrap();
        self.text.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Page {
    fn lines(&self) -> Vec<String> {
        let text = String::from_utf8(self.text.lock().unwrap().clone()).unwrap();
        text.lines().map(str::to_owned).collect()
    }
}

fn eventually(mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !holds() {
        assert!(Instant::now() < deadline);
        thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn closing_writes_what_is_still_to_be_written() {
    let page = Page::default();
    let log = AccessLog::to(page.clone(), Format::Json, Clock::System).unwrap();
    for n in 0..1_000 {
        log.record(&event(&format!("/{n}")));
    }
    log.close();
    assert_eq!(page.lines().len(), 1_000);
    assert!(page.lines()[999].contains(r#""path":"/999""#));
    assert_eq!(log.lost().get(), 0);
}

#[test]
fn a_line_is_written_soon_without_another_following() {
    let page = Page::default();
    let log = AccessLog::to(page.clone(), Format::Json, Clock::System).unwrap();
    log.record(&event("/"));
    eventually(|| page.lines().len() == 1);
}

#[test]
fn a_stuck_disk_loses_lines_and_says_how_many_but_holds_nobody_up() {
    let page = Page::default();
    let log = AccessLog::to(page.clone(), Format::Json, Clock::manual(0)).unwrap();
    let (done, all_recorded) = mpsc::channel();
    let stuck = page.stuck.lock().unwrap();
    let path = format!("/{}", "x".repeat(100_000));
    let recording = log.clone();
    let recorder = thread::spawn(move || {
        for _ in 0..300 {
            recording.record(&event(&path));
        }
        done.send(()).unwrap();
    });
    all_recorded.recv_timeout(Duration::from_secs(10)).unwrap();
    recorder.join().unwrap();
    let lost = log.lost().get();
    assert!(lost > 0);
    drop(stuck);
    log.close();
    let lines = page.lines();
    assert_eq!(lines.iter().filter(|line| line.contains("/xxx")).count() as u64, 300 - lost);
    let report = format!(r#"{{"time":"1970-01-01T00:00:00.000Z","lost":{lost}}}"#);
    assert!(lines.contains(&report), "{report} is missing");
}

#[test]
fn what_is_noted_after_the_end_is_counted_as_lost() {
    let page = Page::default();
    let log = AccessLog::to(page.clone(), Format::Text, Clock::System).unwrap();
    log.close();
    log.record(&event("/"));
    log.close();
    assert_eq!((log.lost().get(), page.lines().len()), (1, 0));
}

#[test]
fn a_full_disk_is_survived_and_its_lines_are_counted() {
    /// Fails the first time.
    struct Full(Page, bool);
    impl Write for Full {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if std::mem::replace(&mut self.1, false) {
                return Err(io::ErrorKind::StorageFull.into());
            }
            self.0.write(bytes)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let page = Page::default();
    let log = AccessLog::to(Full(page.clone(), true), Format::Json, Clock::System).unwrap();
    log.record(&event("/first"));
    eventually(|| log.lost().get() == 1);
    log.record(&event("/second"));
    log.close();
    assert_eq!(log.lost().get(), 1);
    let lines = page.lines();
    assert!(lines.iter().any(|line| line.contains("/second")));
    assert!(lines.iter().any(|line| line.contains(r#""lost":1"#)));
}

#[test]
fn a_file_is_appended_to() {
    let path = std::env::temp_dir().join(format!("tollgate-log-{}", std::process::id()));
    let target = path.to_str().unwrap();
    for _ in 0..2 {
        let log = AccessLog::open(target, Format::Json, Clock::System).unwrap();
        log.record(&event("/"));
    }
    assert_eq!(std::fs::read_to_string(&path).unwrap().lines().count(), 2);
    std::fs::remove_file(&path).unwrap();
}

#[test]
fn a_log_that_is_off_loses_nothing() {
    let log = AccessLog::off();
    log.record(&event("/"));
    log.close();
    assert_eq!(log.lost().get(), 0);
}
