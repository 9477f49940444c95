//! `pcapae encode`: a dataset to the codes of its windows.

use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use pcapae::code::entropy_of_codes;
use pcapae::dataset::Dataset;
use pcapae::encode::encode;
use pcapae::progress::Progress;

use super::input::{counted, output};
use crate::args::EncodeArgs;
use crate::progress::Console;

/// Encodes, then puts the codes in their place.
pub fn run(args: EncodeArgs, console: &Console) -> anyhow::Result<ExitCode> {
    args.threads.apply()?;
    let model = args.model.load()?;
    let dataset = Dataset::open(&args.dataset)?;
    let file = output(&args.output, args.force, [&args.model.path, &args.dataset])?;
    let rate = Rate { console, start: Instant::now(), codes: AtomicU64::new(0) };
    let codes = encode(&model, &dataset, args.stride, file.path(), &rate)?;
    let entropy = entropy_of_codes(file.path())?;
    file.keep()?;
    console.clear();
    let (codes, fragments) = (counted(codes, "code"), counted(dataset.len() as u64, "fragment"));
    let (place, rate) = (args.output.display(), rate.text());
    console.say(format_args!("{place}: {codes} from {fragments}, {rate}, entropy {entropy:.2} bits"));
    Ok(ExitCode::SUCCESS)
}

/// Shows beside the bar how many codes there are a second.
struct Rate<'a> {
    console: &'a Console,
    start: Instant,
    codes: AtomicU64,
}

impl Rate<'_> {
    fn text(&self) -> String {
        let rate = self.codes.load(Ordering::Relaxed) as f64 / self.start.elapsed().as_secs_f64();
        format!("{rate:.0} a second")
    }
}

impl Progress for Rate<'_> {
    fn begin(&self, what: &str, total: Option<u64>) {
        self.console.begin(what, total);
    }

    fn advance(&self, units: u64) {
        self.codes.fetch_add(units, Ordering::Relaxed);
        self.console.advance(units);
        self.console.remark(&self.text());
    }

    fn interrupted(&self) -> bool {
        self.console.interrupted()
    }
}
