//! `pcapae demo`: learns a small recorded plant, detects on a quiet recording and on an attacked one, and says what it noticed.

use std::io::Cursor;
use std::path::Path;
use std::process::ExitCode;

use pcapae::atomic_file::AtomicFile;
use pcapae::capture::Captures;
use pcapae::label::{Label, Labels, PacketLabels};
use pcapae::metrics::{Observation, episodes};
use pcapae::monitor::{Keep, LearnConfig, learn};

use super::detect::text;
use super::evaluation_table::attacks;
use super::input::output;
use super::learn::report;
use crate::args::DemoArgs;
use crate::progress::{Console, print};

const NORMAL: &[u8] = include_bytes!("../../../../testbed/captures/normal.pcap.zst");
const QUIET: &[u8] = include_bytes!("../../../../testbed/captures/quiet.pcap.zst");
const ATTACK: &[u8] = include_bytes!("../../../../testbed/captures/attack.pcap.zst");
const LABELS: &[u8] = include_bytes!("../../../../testbed/captures/attack.labels.csv");

/// Events shown of each recording.
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

    console.say("\ndetecting on quiet.pcap: the same plant without an attack, in which one device is replaced\n");
    let captures = Captures::from_reader("quiet.pcap.zst", Cursor::new(QUIET));
    let quiet = learned.bundle.detect(captures, Labels::All(Label::Unknown), Keep::Events, console)?;
    console.clear();
    print(&text(&quiet, None, EVENTS_SHOWN))?;

    console.say("\ndetecting on attack.pcap: the same plant, attacked from a third host\n");
    let captures = Captures::from_reader("attack.pcap.zst", Cursor::new(ATTACK));
    let truth = PacketLabels::from_reader(Path::new("attack.labels.csv"), LABELS)?;
    let detection = learned.bundle.detect(captures, Labels::of_packets(truth.clone()), Keep::Packets, console)?;
    console.clear();
    if let Some(records) = &detection.records {
        let (episodes, measures) = episodes(&Observation::of_detection(records, &detection.events, &truth));
        print(&format!("{}\n{}\n", text(&detection, Some(&measures), EVENTS_SHOWN), attacks(&episodes)))?;
    }
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
        let recordings = [
            ("normal.pcap.zst", NORMAL),
            ("quiet.pcap.zst", QUIET),
            ("attack.pcap.zst", ATTACK),
            ("attack.labels.csv", LABELS),
        ];
        let recordings = recordings.into_iter().map(|(name, bytes)| Ok((begin(name)?, bytes)));
        Ok(Kept { bundle: begin("plant.pcapae")?, recordings: recordings.collect::<pcapae::Result<_>>()? })
    }

    fn write(self, bundle: &[u8]) -> pcapae::Result<()> {
        self.recordings.into_iter().try_for_each(|(file, bytes)| file.write(bytes))?;
        self.bundle.write(bundle)
    }
}
