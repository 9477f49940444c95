//! Learns a capture of normal traffic and says what does not fit in another: `learn_detect NORMAL.pcap NEW.pcap`.

#![allow(clippy::print_stdout, reason = "this is an example")]

use pcapae::prelude::*;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [normal, new] = arguments.as_slice() else { return Err("expected NORMAL.pcap NEW.pcap".into()) };

    let learned = learn(Captures::open(&[normal.into()])?, &LearnConfig::default(), &())?;
    learned.bundle.save("plant.pcapae".as_ref())?;

    let bundle = Bundle::open("plant.pcapae".as_ref())?;
    let detection = bundle.detect(Captures::open(&[new.into()])?, Labels::All(Label::Unknown), Keep::Events, &())?;
    for Event { number, reason, packet_count, .. } in detection.events {
        println!("event {number}: {reason} ({packet_count} packets)");
    }
    Ok(())
}
