//! Progress bars on terminals, warnings, and the stop on Ctrl-C.

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use pcapae::progress::Progress;

/// Set by Ctrl-C, SIGTERM and SIGHUP.
static STOP: AtomicBool = AtomicBool::new(false);

/// Set where the work ends by itself, however long one step of it takes.
static PATIENT: AtomicBool = AtomicBool::new(false);

/// Files that are not whole yet, to remove where the work cannot end by itself.
static UNFINISHED: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

/// How long the work may take to end by itself after the stop; it cannot while it waits for a pipe that gives nothing.
const GRACE: Duration = Duration::from_secs(2);

/// How often an idle bar redraws.
const TICK: Duration = Duration::from_millis(120);

/// Remembers a file that is to vanish if the program has to stop before it is whole.
pub fn remove_if_stopped(unfinished: &Path) {
    if let Ok(mut files) = UNFINISHED.lock() {
        files.push(unfinished.to_owned());
    }
}

/// Asks the work to stop; where that takes too long, or at the second signal, leaves without it.
fn stop() {
    if STOP.swap(true, Ordering::Relaxed) {
        leave();
    }
    if PATIENT.load(Ordering::Relaxed) {
        return;
    }
    std::thread::spawn(|| {
        std::thread::sleep(GRACE);
        leave();
    });
}

/// Removes what is not whole and ends the program as a refusal does.
#[allow(clippy::exit, reason = "the work is stuck: nobody is left to return to")]
fn leave() {
    for file in UNFINISHED.lock().iter().flat_map(|files| files.iter()) {
        // A file that became whole has another name by now.
        let _ = std::fs::remove_file(file);
    }
    let refusal = match PATIENT.load(Ordering::Relaxed) {
        true => anyhow::anyhow!("stopped at once; files that were saved before are whole"),
        false => pcapae::Error::Interrupted.into(),
    };
    crate::failure::explain(&refusal);
    std::process::exit(crate::failure::REFUSED.into());
}

/// Writes data to standard output. Where the reader has gone away, as `head` does, that is no failure.
pub fn print(data: &str) -> std::io::Result<()> {
    match std::io::stdout().lock().write_all(data.as_bytes()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

/// Draws a bar on standard error if that is a terminal and the user did not ask for quiet.
pub struct Console {
    quiet: bool,
    bar: Mutex<ProgressBar>,
}

impl Console {
    /// Begins to listen for the stop signals.
    pub fn new(quiet: bool) -> anyhow::Result<Console> {
        ctrlc::set_handler(stop)?;
        Ok(Console { quiet, bar: Mutex::new(ProgressBar::hidden()) })
    }

    /// Says something to the user, unless quiet.
    pub fn say(&self, text: impl std::fmt::Display) {
        if !self.quiet {
            self.print(&text.to_string());
        }
    }

    /// Warns the user, even if quiet.
    pub fn warn(&self, text: impl std::fmt::Display) {
        self.print(&format!("\x1b[1;33mwarning\x1b[0m: {text}"));
    }

    /// From here on, the first stop signal waits for the work to end by itself, to save what it has; the second leaves without it.
    pub fn let_work_end(&self) {
        PATIENT.store(true, Ordering::Relaxed);
    }

    /// Removes the bar.
    pub fn clear(&self) {
        self.with_bar(|bar| bar.finish_and_clear());
    }

    fn print(&self, text: &str) {
        self.with_bar(|bar| {
            bar.suspend(|| {
                // Where standard error is closed there is nobody to tell.
                let _ = writeln!(anstream::stderr(), "{text}");
            });
        });
    }

    fn with_bar(&self, act: impl FnOnce(&mut ProgressBar)) {
        if let Ok(mut bar) = self.bar.lock() {
            act(&mut bar);
        }
    }
}

impl Progress for Console {
    fn begin(&self, what: &str, total: Option<u64>) {
        let target = match std::io::stderr().is_terminal() && !self.quiet {
            true => ProgressDrawTarget::stderr(),
            false => ProgressDrawTarget::hidden(),
        };
        self.with_bar(|bar| {
            bar.finish_and_clear();
            *bar = ProgressBar::with_draw_target(total, target);
            bar.set_style(style(total));
            bar.set_prefix(what.to_owned());
            bar.enable_steady_tick(TICK);
        });
    }

    fn advance(&self, units: u64) {
        self.with_bar(|bar| bar.inc(units));
    }

    fn remark(&self, text: &str) {
        self.with_bar(|bar| bar.set_message(text.to_owned()));
    }

    fn interrupted(&self) -> bool {
        STOP.load(Ordering::Relaxed)
    }
}

fn style(total: Option<u64>) -> ProgressStyle {
    let template = match total {
        // What does not fit into a narrow terminal is cut at the end.
        Some(_) => "{prefix:>12} {bar:20.cyan/blue} {percent:>3} %, {eta} left  {msg}",
        None => "{prefix:>12} {spinner} {elapsed} {msg}",
    };
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}
