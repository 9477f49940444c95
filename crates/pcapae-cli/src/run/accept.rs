//! `pcapae accept`: events that are normal from now on.

use std::process::ExitCode;

use pcapae::Error;
use pcapae::monitor::{Bundle, RaisedEvent};
use pcapae::report::timestamp;

use super::input::counted;
use crate::args::AcceptArgs;
use crate::progress::{Console, print};

/// Accepts, lists or revokes; what changes the bundle puts it in its place.
pub fn run(args: &AcceptArgs, console: &Console) -> anyhow::Result<ExitCode> {
    let mut bundle = Bundle::open(&args.bundle)?;
    if let Some(place) = args.revoke {
        let revoked = bundle.revoke(place)?;
        bundle.save(&args.bundle)?;
        console.say(format_args!("no longer normal: {}", printable(&revoked.event)));
    }
    if let Some(path) = &args.alerts {
        let events = RaisedEvent::read_all(path)?;
        let now = jiff::Timestamp::now().as_nanosecond() as i64;
        let chosen = args.alert.iter().map(|number| chosen(&events, *number)).collect::<pcapae::Result<Vec<_>>>()?;
        for event in &chosen {
            bundle.accept(event, &args.reason, now)?;
        }
        bundle.save(&args.bundle)?;
        for event in chosen {
            let causes = counted(event.causes.len() as u64, "cause");
            console.say(format_args!("normal from now on: {} ({causes})", printable(&event.reason)));
        }
    }
    if args.list {
        print(&list(&bundle))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn chosen(events: &[RaisedEvent], number: usize) -> pcapae::Result<&RaisedEvent> {
    events.iter().find(|event| event.number == number).ok_or_else(|| Error::Setting {
        setting: "alert",
        got: number.to_string(),
        expected: format!("one of the {} in the file", counted(events.len() as u64, "event")),
        remedy: None,
    })
}

fn list(bundle: &Bundle) -> String {
    if bundle.accepted.is_empty() {
        return "nothing was accepted\n".into();
    }
    let line = |(place, accepted): (usize, &pcapae::monitor::Accepted)| {
        let reason = if accepted.reason.is_empty() { String::new() } else { format!(": {}", accepted.reason) };
        let time = timestamp(accepted.time_ns).replace('T', " ").chars().take(19).collect::<String>();
        printable(&format!("{place:>3}  {time}  {}{reason}", accepted.event)) + "\n"
    };
    (1..).zip(&bundle.accepted).map(line).collect()
}

/// A text out of a file, with control characters escaped.
fn printable(text: &str) -> String {
    let escaped = |c: char| if c.is_control() { c.escape_default().to_string() } else { c.to_string() };
    text.chars().map(escaped).collect()
}
