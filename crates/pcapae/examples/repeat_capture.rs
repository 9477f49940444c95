//! Makes a large capture out of small ones, for benchmarks: repeats their packets with time moving on.
//!
//! ```text
//! cargo run --release --example repeat_capture -- OUT.pcap PACKETS CAPTURE...
//! ```
//!
//! The n-th round of packets is moved by n times the captures' duration; bytes stay as they are.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::PathBuf;

use pcapae::capture::Captures;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let usage = "usage: repeat_capture OUT.pcap PACKETS CAPTURE...";
    let out = args.next().ok_or(usage)?;
    let wanted: u64 = args.next().ok_or(usage)?.parse()?;
    let paths: Vec<PathBuf> = args.map(PathBuf::from).collect();

    let mut packets: Vec<(i64, Vec<u8>)> = Vec::new();
    let mut captures = Captures::open(&paths)?;
    while let Some(packet) = captures.next_packet()? {
        packets.push((packet.time_ns, packet.data.to_vec()));
    }
    let first = packets.first().ok_or("the captures hold no packets")?.0;
    let duration = packets.last().map_or(0, |(time, _)| time - first).max(1_000_000);

    let mut file = BufWriter::with_capacity(1 << 20, File::create(out)?);
    // pcap in nanoseconds, version 2.4, snap length 262,144, Ethernet.
    for word in [0xa1b2_3c4d_u32, 2 | 4 << 16, 0, 0, 262_144, 1] {
        file.write_all(&word.to_le_bytes())?;
    }
    for (written, (time, data)) in (0..wanted).zip(packets.iter().cycle()) {
        let time = time + (written / packets.len() as u64) as i64 * duration;
        let length = data.len() as u32;
        for word in [(time / 1_000_000_000) as u32, (time % 1_000_000_000) as u32, length, length] {
            file.write_all(&word.to_le_bytes())?;
        }
        file.write_all(data)?;
    }
    Ok(file.flush()?)
}
