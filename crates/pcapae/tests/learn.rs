//! What was learned decides what is an alert: what is left out, what was not normal, and captures that no plant gives.

#![allow(clippy::unwrap_used, clippy::panic, reason = "this is test code")]

use std::io::Cursor;
use std::net::Ipv4Addr;

use pcapae::capture::Captures;
use pcapae::label::{Label, Labels};
use pcapae::monitor::{Bundle, Detection, Effort, Exclusion, Keep, LearnConfig, Learned, learn};

/// A packet with its time in nanoseconds.
type Packet = (i64, Vec<u8>);

const SECOND: i64 = 1_000_000_000;

/// A UDP packet between two hosts of 10.0.0.0/24, whose link addresses end as their IP addresses do.
fn frame(from: u8, to: u8, ports: [u16; 2], payload: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    etherparse::PacketBuilder::ethernet2([2, 0, 0, 0, 0, from], [2, 0, 0, 0, 0, to])
        .ipv4([10, 0, 0, from], [10, 0, 0, to], 64)
        .udp(ports[0], ports[1])
        .write(&mut frame, payload)
        .unwrap();
    frame
}

/// So many requests of a master to three stations, each with its answer, ten a second.
fn plant(requests: usize) -> Vec<Packet> {
    let both = |i: usize| {
        let (station, time_ns) = (2 + (i % 3) as u8, i as i64 * SECOND / 10);
        let request = frame(1, station, [40_000, 502], &[1, 3, 0, (i % 4) as u8]);
        let answer = frame(station, 1, [502, 40_000], &[1, 3, 8, 0, 0, 0, (i % 7) as u8, 1]);
        [(time_ns, request), (time_ns + SECOND / 50, answer)]
    };
    (0..requests).flat_map(both).collect()
}

/// What a new host sends at a time: a scan of the stations.
fn intruder(time_ns: i64) -> Vec<Packet> {
    (0..12).map(|i| (time_ns + i64::from(i) * SECOND / 200, frame(66, 2 + i % 3, [50_000, 502], &[1, 43, i]))).collect()
}

/// Packets in the order of their times.
fn merged(packets: &[Vec<Packet>]) -> Vec<Packet> {
    let mut all = packets.concat();
    all.sort_by_key(|packet| packet.0);
    all
}

fn bytes(packets: &[Packet]) -> Vec<u8> {
    let words = |words: &[u32]| words.iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<u8>>();
    // The magic number of times in nanoseconds.
    let mut bytes = words(&[0xa1b2_3c4d, 2 | 4 << 16, 0, 0, 262_144, 1]);
    for (time_ns, data) in packets {
        let length = data.len() as u32;
        bytes.extend(words(&[(time_ns / SECOND) as u32, (time_ns % SECOND) as u32, length, length]));
        bytes.extend(data);
    }
    bytes
}

fn captures(packets: &[Packet]) -> Captures {
    Captures::from_reader("plant.pcap", Cursor::new(bytes(packets)))
}

fn learned_with(packets: &[Packet], exclude: &[Exclusion]) -> Learned {
    let config = LearnConfig { explain: false, exclude: exclude.to_vec(), ..LearnConfig::default() };
    learn(captures(packets), &config, &()).unwrap()
}

fn learned(packets: &[Packet]) -> Learned {
    learned_with(packets, &[])
}

fn detect(bundle: &Bundle, captures: Captures, keep: Keep) -> Detection {
    bundle.detect(captures, Labels::All(Label::Unknown), keep, &()).unwrap()
}

/// The kinds of the events, each with its first packet.
fn kinds(detection: &Detection) -> Vec<(&'static str, u64)> {
    detection.events.iter().map(|event| (event.kind().1.name, event.packets[0])).collect()
}

#[test]
fn normal_traffic_raises_nothing_of_itself() {
    let learned = learned(&plant(600));
    assert_eq!((learned.left_out.events.len(), learned.bundle.training_summary.packets), (0, 1200));
    assert_eq!(learned.bundle.training_summary.left_out_events, 0);
    let detection = detect(&learned.bundle, captures(&plant(900)), Keep::Events);
    assert_eq!((detection.packets, detection.alerts, kinds(&detection)), (1800, 0, vec![]));
}

#[test]
fn what_is_excluded_is_counted_and_not_learned() {
    let at = 20 * SECOND;
    let traffic = merged(&[plant(600), intruder(at)]);
    let all = learned(&traffic);
    assert_eq!((all.bundle.training_summary.packets, all.bundle.training_summary.excluded), (1212, 0));
    assert_eq!(all.left_out.events.len(), 1, "{:?}", all.left_out.events);
    assert!(all.left_out.events[0].reason.starts_with("10.0.0.66, never seen, "), "{}", all.left_out.events[0].reason);
    assert_eq!(detect(&all.bundle, captures(&intruder(at)), Keep::Events).alerts, 0);

    let host = Exclusion::Address(Ipv4Addr::new(10, 0, 0, 66).into());
    let [hardware, event] = [Exclusion::Hardware([2, 0, 0, 0, 0, 66]), Exclusion::Event(1)];
    // A tenth of a second has a request and its answer beside the intruder.
    let time = Exclusion::Time(at, at + SECOND / 10 - 1);
    for (exclude, excluded) in
        [(&[host][..], 12), (&[hardware], 12), (&[event], 12), (&[time], 14), (&[host, time], 14)]
    {
        let without = learned_with(&traffic, exclude);
        let summary = &without.bundle.training_summary;
        assert_eq!((summary.packets, summary.excluded), (1212 - excluded, excluded), "{exclude:?}");
        let found = detect(&without.bundle, captures(&traffic), Keep::Events);
        assert_eq!(found.events.first().map(|event| event.kind().1.name), Some("address"), "{exclude:?}");
    }
    for event in [0, 2] {
        let config = LearnConfig { explain: false, exclude: vec![Exclusion::Event(event)], ..LearnConfig::default() };
        let refusal = learn(captures(&traffic), &config, &()).unwrap_err().to_string();
        assert!(refusal.contains("one of the 1 events of the learned traffic"), "{refusal}");
    }
}

#[test]
fn a_dozen_odd_packets_among_the_learned_are_told_and_do_not_hide_an_attack() {
    // In the last fifth, one station answers with values and lengths that it never has, twelve times.
    let odd = (0..12).map(|i| (50 * SECOND + i * SECOND / 5 + SECOND / 25, frame(3, 1, [502, 40_000], &[9; 60])));
    let learned = learned(&merged(&[plant(600), odd.collect()]));
    let events = &learned.left_out.events;
    assert_eq!(events.len(), 1, "{events:?}");
    assert!(events[0].packet_count >= 12 && events[0].reason.contains("10.0.0.3"), "{:?}", events[0]);
    assert_eq!(learned.bundle.training_summary.left_out_events, 1);

    let detection = detect(&learned.bundle, captures(&merged(&[plant(300), intruder(10 * SECOND)])), Keep::Events);
    let [event] = detection.events.as_slice() else { panic!("{:?}", detection.events) };
    assert_eq!(
        (event.kind().1.name, event.told.conversation.source.host().to_string()),
        ("address", "10.0.0.66".into())
    );
    assert!(event.packet_count >= 12, "{event:?}");
}

#[test]
fn traffic_as_no_plant_has_it_is_learned_too() {
    let same = frame(1, 2, [40_000, 502], &[7; 9]);
    let identical: Vec<Packet> = (0..100).map(|i| (i * SECOND, same.clone())).collect();
    let one_connection: Vec<Packet> =
        (0..100).map(|i| (i * SECOND, frame(1, 2, [40_000, 502], &vec![i as u8; i as usize % 5]))).collect();
    let no_times: Vec<Packet> = plant(50).into_iter().map(|(_, data)| (0, data)).collect();
    let backwards: Vec<Packet> = plant(50).into_iter().map(|(time_ns, data)| (100 * SECOND - time_ns, data)).collect();
    let few: Vec<Packet> = identical[..10].to_vec();
    for (name, normal) in [
        ("identical", identical),
        ("one connection", one_connection),
        ("no times", no_times),
        ("backwards", backwards),
        ("few", few),
    ] {
        let learned = learned(&normal);
        let again = detect(&learned.bundle, captures(&normal), Keep::Packets);
        assert_eq!((again.packets, again.alerts), (normal.len() as u64, 0), "{name}: {:?}", kinds(&again));
        let stranger = [&normal[..], &[(normal.last().unwrap().0, frame(66, 2, [40_000, 502], &[7; 9]))]].concat();
        let found = detect(&learned.bundle, captures(&stranger), Keep::Events);
        assert_eq!(kinds(&found), [("address", stranger.len() as u64)], "{name}");
    }
}

#[test]
fn events_are_the_same_however_captures_are_split_kept_and_computed() {
    let normal = plant(400);
    let config = LearnConfig { effort: Effort::Epochs(1), ..LearnConfig::default() };
    let bundle = learn(captures(&normal), &config, &()).unwrap().bundle;
    // An intruder who comes three times, and a station with another hardware address.
    let mut traffic = merged(&[plant(2500), intruder(20 * SECOND), intruder(50 * SECOND), intruder(200 * SECOND)]);
    for (_, data) in traffic.iter_mut().filter(|(time_ns, data)| *time_ns > 230 * SECOND && data[29] == 4) {
        data[11] = 99;
    }
    let on_threads = |threads: usize, captures: Captures, keep: Keep| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| detect(&bundle, captures, keep))
    };
    let whole = on_threads(1, captures(&traffic), Keep::Events);
    let events = &whole.events;
    let told: Vec<_> = events
        .iter()
        .map(|event| (event.first_ns / SECOND, event.kind().1.name, event.again, event.recurrences))
        .collect();
    // Half a minute later what is new still explains the intruder's packets, but not all that is unusual; after 150 s nothing does.
    let expected =
        [(20, "address", None, 1), (50, "order", Some(1), 0), (200, "address", Some(1), 0), (230, "binding", None, 0)];
    assert_eq!(told, expected);
    assert_eq!(whole.alerts, events.iter().map(|event| event.packet_count).sum::<u64>());

    let folder = tempfile::tempdir().unwrap();
    let halves = traffic.split_at(2051);
    let paths = [("a.pcap", halves.0), ("b.pcap", halves.1)].map(|(name, packets)| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes(packets)).unwrap();
        path
    });
    for (threads, keep) in [(1, Keep::Packets), (2, Keep::Events), (2, Keep::Packets)] {
        assert_eq!(&on_threads(threads, captures(&traffic), keep).events, events, "{threads} {keep:?}");
        let split = on_threads(threads, Captures::open(&paths).unwrap(), keep);
        assert_eq!((&split.events, split.alerts), (events, whole.alerts), "{threads} {keep:?}");
        let Some(records) = split.records else { continue };
        assert_eq!((1..=split.packets).filter(|packet| records.event(*packet).is_some()).count() as u64, whole.alerts);
        for event in events {
            assert!(event.packets.iter().all(|packet| records.event(*packet) == Some(event.number)));
        }
    }
}
