//! `pcapae demo`: learns a small recorded plant, detects attacks on it, and says what was found and what was missed.

use std::io::Cursor;
use std::path::Path;
use std::process::ExitCode;

use comfy_table::presets::UTF8_HORIZONTAL_ONLY;
use comfy_table::{CellAlignment, Table};
use pcapae::atomic_file::AtomicFile;
use pcapae::capture::Captures;
use pcapae::label::{GroundTruth, Labels};
use pcapae::monitor::{Detection, LearnConfig, learn};
use pcapae::report::{Summary, events};

use super::detect::text;
use super::input::output;
use super::learn::report;
use crate::args::DemoArgs;
use crate::progress::{Console, print};

const NORMAL: &[u8] = include_bytes!("../../../../testbed/captures/normal.pcap.zst");
const ATTACK: &[u8] = include_bytes!("../../../../testbed/captures/attack.pcap.zst");
const LABELS: &[u8] = include_bytes!("../../../../testbed/captures/attack.labels.csv");

/// Events shown of the attack recording.
const EVENTS_SHOWN: usize = 15;

/// Runs `learn` and `detect` with their defaults on the recordings inside the program.
pub fn run(args: DemoArgs, console: &Console) -> anyhow::Result<ExitCode> {
    args.threads.apply()?;
    let kept = args.keep.as_deref().map(|folder| Kept::create(folder, args.force)).transpose()?;
    console.say("learning normal.pcap: Modbus/TCP between an operator's station and a controller, recorded in the project's testbed");
    let learned =
        learn(Captures::from_reader("normal.pcap.zst", Cursor::new(NORMAL)), &LearnConfig::default(), console)?;
    console.clear();
    report(&learned, console);
    if let Some(kept) = kept {
        kept.write(&learned.bundle.to_bytes()?)?;
    }

    console.say("\ndetecting on attack.pcap: the same plant, attacked from a third host\n");
    let captures = Captures::from_reader("attack.pcap.zst", Cursor::new(ATTACK));
    let labels = Labels::File(GroundTruth::from_reader(Path::new("attack.labels.csv"), LABELS));
    let detection = learned.bundle.detect(captures, labels, console)?;
    console.clear();
    let shown =
        format!("{}\n{}", text(&events(detection.alerts()), &detection, EVENTS_SHOWN), found_and_missed(&detection)?);
    print(&shown)?;
    Ok(ExitCode::SUCCESS)
}

/// The files that `--keep` leaves, begun before the long work so that what cannot be written is refused at once.
struct Kept {
    bundle: AtomicFile,
    recordings: Vec<(AtomicFile, &'static [u8])>,
}

impl Kept {
    fn create(folder: &Path, force: bool) -> pcapae::Result<Kept> {
        std::fs::create_dir_all(folder).map_err(pcapae::Error::io("create", folder))?;
        let begin = |name: &str| output(&folder.join(name), force, []);
        let recordings = [("normal.pcap.zst", NORMAL), ("attack.pcap.zst", ATTACK), ("attack.labels.csv", LABELS)];
        let recordings = recordings.into_iter().map(|(name, bytes)| Ok((begin(name)?, bytes)));
        Ok(Kept { bundle: begin("plant.pcapae")?, recordings: recordings.collect::<pcapae::Result<_>>()? })
    }

    fn write(self, bundle: &[u8]) -> pcapae::Result<()> {
        self.recordings.into_iter().try_for_each(|(file, bytes)| file.write(bytes))?;
        self.bundle.write(bundle)
    }
}

/// Packets of one attack, and how many of them raised an alert.
struct Episode {
    name: String,
    packets: u64,
    flagged: u64,
}

impl Episode {
    /// Found only if clearly more packets are flagged than as many normal packets would be: by more than three standard
    /// deviations of a Poisson count.
    fn verdict(&self, false_positive_rate: f64) -> &'static str {
        let by_chance = self.packets as f64 * false_positive_rate;
        match self.flagged {
            0 => "missed",
            flagged if flagged as f64 > by_chance + 3.0 * by_chance.sqrt() => "found",
            _ => "no more than by chance",
        }
    }
}

/// A table of the attacks with the share of their packets that raised an alert.
fn found_and_missed(detection: &Detection) -> anyhow::Result<String> {
    let false_positive_rate = Summary::of(detection).confusion.and_then(|confusion| confusion.false_positive_rate());
    let mut table = Table::new();
    table.load_style(UTF8_HORIZONTAL_ONLY).set_header(["attack", "packets", "flagged", "share", "verdict"]);
    for episode in episodes(detection)? {
        let share = episode.flagged as f64 / episode.packets as f64;
        let verdict = episode.verdict(false_positive_rate.unwrap_or_default()).to_owned();
        let (packets, flagged) = (episode.packets.to_string(), episode.flagged.to_string());
        table.add_row([episode.name, packets, flagged, format!("{:.0} %", share * 100.0), verdict]);
    }
    for column in 1..4 {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    Ok(format!("{table}\n"))
}

/// The attacks in the order of their first packets, by the second column of the labels.
fn episodes(detection: &Detection) -> anyhow::Result<Vec<Episode>> {
    let mut episodes: Vec<Episode> = Vec::new();
    let mut rows = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(LABELS);
    for (row, packet) in rows.records().zip(1..) {
        let row = row?;
        let Some(name) = row.get(1).filter(|name| !name.is_empty()) else { continue };
        let index = episodes.iter().position(|episode| episode.name == name).unwrap_or_else(|| {
            episodes.push(Episode { name: name.to_owned(), packets: 0, flagged: 0 });
            episodes.len() - 1
        });
        episodes[index].packets += 1;
        episodes[index].flagged += u64::from(detection.trigger(packet).is_some());
    }
    Ok(episodes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_alerts_in_a_long_attack_are_not_a_find() {
        let episode = |flagged| Episode { name: String::new(), packets: 1000, flagged };
        assert_eq!(episode(0).verdict(0.002), "missed");
        assert_eq!(episode(5).verdict(0.002), "no more than by chance");
        assert_eq!(episode(7).verdict(0.002), "found");
        assert_eq!(episode(1).verdict(0.0), "found");
    }
}
