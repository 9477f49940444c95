"""Labels per packet: which frames of the attack recording belong to an attack.

    python3 label.py attack.pcap captures/attack.log.jsonl captures/attack

writes captures/attack.labels.csv (one row per packet, no header: -1 normal or 1 anomalous, name of the
episode or nothing) and captures/attack.episodes.csv (packets counted from 1). Needs nothing but Python.

A packet is anomalous if a claim of an episode (see attacks/episode.py) covers it: the attack program sent it, it
is a direct answer to such a packet, or it is traffic between two hosts which passes through the attacker.
What the process does after a write, and what the operator then reads, is normal traffic.
"""

import csv
import json
import struct
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

NORMAL, ANOMALOUS = -1, 1
ICMP, TCP, UDP = 1, 6, 17

# The clocks are the same; the capture may see a frame a little before the log says so.
BEFORE_SECONDS = 0.1
# Answers and the ends of connections which come after the attack program has ended.
AFTER_SECONDS = 8.0

BROADCAST = "ff:ff:ff:ff:ff:ff"


@dataclass(frozen=True)
class Frame:
    """What the rule looks at in an Ethernet frame; what a frame does not have is None."""

    source: str
    destination: str
    ips: tuple[str, str] | None = None
    protocol: int | None = None
    ports: tuple[int, int] | None = None
    echo_id: int | None = None
    arp_operation: int | None = None
    # Of an ARP reply: whether the question it answers was asked by broadcast.
    answers_broadcast: bool = False


def mac(data: bytes) -> str:
    return data.hex(":")


def ip(data: bytes) -> str:
    return ".".join(str(byte) for byte in data)


def parse(data: bytes) -> Frame:
    destination, source, ether_type = mac(data[:6]), mac(data[6:12]), data[12:14]
    if ether_type == b"\x08\x06":
        operation = struct.unpack(">H", data[20:22])[0]
        return Frame(source, destination, ips=(ip(data[28:32]), ip(data[38:42])), arp_operation=operation)
    if ether_type != b"\x08\x00":
        return Frame(source, destination)
    ips, protocol, rest = (ip(data[26:30]), ip(data[30:34])), data[23], data[14 + 4 * (data[14] & 15) :]
    if protocol in (TCP, UDP):
        return Frame(source, destination, ips, protocol, ports=struct.unpack(">HH", rest[:4]))
    if protocol == ICMP and rest[0] in (0, 8):
        return Frame(source, destination, ips, protocol, echo_id=struct.unpack(">H", rest[4:6])[0])
    return Frame(source, destination, ips, protocol)


def frames(data: bytes) -> Iterator[tuple[float, Frame]]:
    """Time and frame of each packet of a pcap file, ARP replies with what they answer."""
    by_broadcast: dict[tuple[str, str], bool] = {}
    for time, packet in packets(data):
        frame = parse(packet)
        if frame.arp_operation == 1:
            by_broadcast[frame.ips] = frame.destination == BROADCAST
        elif frame.arp_operation == 2:
            frame = replace(frame, answers_broadcast=by_broadcast.get(frame.ips[::-1], False))
        yield time, frame


def covers(claim: dict, frame: Frame) -> bool:
    """Whether the claim of an attack covers this frame; time is not looked at."""
    match claim["kind"]:
        case "ports":
            if frame.protocol != TCP:
                return False
            ends = zip(frame.ips, frame.ports)
            return any(ip == claim["ip"] and port in claim["ports"] for ip, port in ends)
        case "echo":
            return frame.echo_id == claim["id"] and claim["ip"] in frame.ips
        case "sweep":
            asks = frame.arp_operation == 1 and frame.source == claim["mac"] and frame.destination == BROADCAST
            answers = frame.answers_broadcast and frame.destination == claim["mac"]
            return asks or answers
        case "between":
            at_attacker = claim["mac"] in (frame.source, frame.destination)
            return at_attacker and frame.ips is not None and set(frame.ips) == set(claim["ips"])
        case "host":
            asked_for = frame.arp_operation is not None and claim["ip"] in frame.ips
            return claim["mac"] in (frame.source, frame.destination) or asked_for
    raise ValueError(f"unknown kind of claim: {claim['kind']}")


def episode_of(time: float, frame: Frame, episodes: list[dict]) -> str | None:
    """The name of the episode this frame belongs to, if any."""
    for episode in episodes:
        if not episode["start"] - BEFORE_SECONDS <= time <= episode["end"] + AFTER_SECONDS:
            continue
        if any(covers(claim, frame) for claim in episode["claims"] if in_time(claim, time, episode)):
            return episode["episode"]
    return None


def in_time(claim: dict, time: float, episode: dict) -> bool:
    """A sweep ends with its program: afterwards the same host asks by ARP for reasons of its own."""
    return claim["kind"] != "sweep" or time <= episode["end"]


def byte_order(data: bytes) -> str:
    """The byte order of a pcap file with microseconds, as struct writes it."""
    order = {b"\xd4\xc3\xb2\xa1": "<", b"\xa1\xb2\xc3\xd4": ">"}.get(data[:4])
    if order is None:
        raise ValueError(f"not a pcap file with microseconds: it starts with {data[:4].hex()}")
    return order


def packets(data: bytes) -> Iterator[tuple[float, bytes]]:
    """Time (seconds) and bytes of each packet of a pcap file with microseconds."""
    order, at = byte_order(data), 24
    while at < len(data):
        seconds, microseconds, length, _ = struct.unpack_from(f"{order}4I", data, at)
        yield seconds + microseconds / 1e6, data[at + 16 : at + 16 + length]
        at += 16 + length


def write(capture: Path, log: Path, out: Path) -> None:
    episodes = [json.loads(line) for line in log.read_text().splitlines()]
    names = [episode_of(time, frame, episodes) for time, frame in frames(capture.read_bytes())]
    with open(f"{out}.labels.csv", "w") as file:
        for name in names:
            file.write(f"{ANOMALOUS},{name}\n" if name else f"{NORMAL},\n")
    with open(f"{out}.episodes.csv", "w", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(("episode", "first_packet", "last_packet", "packets", "description"))
        for episode in episodes:
            places = [number for number, name in enumerate(names, start=1) if name == episode["episode"]]
            if not places:
                raise ValueError(f"no packet belongs to episode {episode['episode']}")
            rows.writerow((episode["episode"], places[0], places[-1], len(places), episode["description"]))


def write_device(capture: Path, address: str, out: Path) -> None:
    """OUT.episodes.csv with one row: the device with this MAC address, from its first packet on."""
    found = enumerate(frames(capture.read_bytes()), start=1)
    places = [(number, frame) for number, (_, frame) in found if address in (frame.source, frame.destination)]
    first = next(number for number, frame in places if frame.source == address)
    description = f"operator's station replaced, same IP address, new MAC address {address}; all packets are normal"
    with open(f"{out}.episodes.csv", "w", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(("episode", "first_packet", "last_packet", "packets", "description"))
        rows.writerow(("device_replaced", first, places[-1][0], len(places), description))


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit("usage: label.py CAPTURE.pcap ATTACKS.jsonl OUT, writes OUT.labels.csv and OUT.episodes.csv")
    write(*(Path(argument) for argument in sys.argv[1:]))
