"""Checks the captures and prints the tables of README.md: `python3 check.py` (needs zstd)."""

import subprocess
from collections import Counter
from itertools import pairwise
from pathlib import Path

import label
import rare
from plant import NEW_OPERATOR_MAC

CAPTURES = Path(__file__).resolve().parent / "captures"
RECORDINGS = ("normal", "quiet", "attack")
LARGEST_FRAME = 1514
LARGEST_TOTAL_BYTES = 8_000_000
LEAST_PAUSE_SECONDS = 15
SERVICES = {
    502: "Modbus/TCP", 80: "HTTP", 53: "DNS", 123: "NTP", 514: "syslog", 5353: "mDNS",
    67: "DHCP", 22: "SSH", 69: "TFTP", **dict.fromkeys(range(6900, 7000), "TFTP"),
}

Packets = list[tuple[float, bytes]]


def read(name: str) -> Packets:
    packed = CAPTURES / f"{name}.pcap.zst"
    unpacked = subprocess.run(["zstd", "-dcq", str(packed)], check=True, capture_output=True).stdout
    found = list(label.packets(unpacked))
    seconds = found[-1][0] - found[0][0]
    size = f"{len(unpacked)} bytes, packed {packed.stat().st_size}"
    print(f"{name}: {len(found)} packets, {seconds:.0f} s, {len(found) / seconds:.1f} a second, {size}")
    return found


def service(frame: label.Frame) -> str:
    if frame.arp_operation is not None:
        return "ARP"
    if frame.protocol == label.ICMP:
        return "ICMP"
    if frame.ports is None:
        return "LLDP"
    return next((SERVICES[port] for port in frame.ports if port in SERVICES), "other")


def require(holds: bool, fact: str) -> None:
    if not holds:
        raise SystemExit(f"check.py: {fact}")


def is_reset(data: bytes) -> bool:
    """Whether it is a TCP reset: two of them for two late segments are the same to the last byte."""
    frame = label.parse(data)
    return frame.protocol == label.TCP and bool(data[14 + 4 * (data[14] & 15) + 13] & 4)


def check_frames(name: str, found: Packets) -> None:
    require(all(a[0] <= b[0] for a, b in pairwise(found)), f"{name}: time goes backwards")
    require(all(len(data) <= LARGEST_FRAME for _, data in found), f"{name}: a frame is larger than the link allows")
    # A frame seen at two ports of the bridge would stand there twice within microseconds.
    same = [a[1] for a, b in pairwise(found) if a[1] == b[1] and b[0] - a[0] < 1e-4]
    twice = [data for data in same if not is_reset(data)]
    require(not twice, f"{name}: {len(twice)} frames stand there twice")


def rows_of(name: str) -> list[list[str]]:
    return [row.split(",") for row in (CAPTURES / name).read_text().splitlines()]


def check_labels(attack: Packets) -> list[list[str]]:
    """The rows of the labels, which agree with the packets and with the list of episodes."""
    rows = rows_of("attack.labels.csv")
    require(len(rows) == len(attack), f"{len(rows)} labels for {len(attack)} packets")
    require(all((row[0] == "1") == bool(row[1]) for row in rows), "a label and its episode disagree")
    counts = Counter(row[1] or "normal" for row in rows)
    episodes = rows_of("attack.episodes.csv")[1:]
    require({row[0] for row in episodes} == set(counts) - {"normal"}, "labels and list of episodes disagree")
    print("\nepisodes of attack: packets, minutes")
    print(f"  {'normal':24} {counts['normal']:6} {counts['normal'] / len(rows):7.1%}")
    ended = attack[0][0]
    for name, first, last, packets, *_ in episodes:
        require(int(packets) == counts[name], f"{name}: {packets} packets in the list, {counts[name]} labels")
        start, end = (attack[int(place) - 1][0] for place in (first, last))
        require(start - ended > LEAST_PAUSE_SECONDS, f"{name}: {start - ended:.1f} s after what came before")
        print(f"  {name:24} {packets:>6} {(start - attack[0][0]) / 60:7.1f} to {(end - attack[0][0]) / 60:.1f}")
        ended = end
    return rows


def check_replacement(quiet: Packets) -> None:
    name, first, last, packets, *_ = rows_of("quiet.episodes.csv")[1]
    frames = [label.parse(data) for _, data in quiet]
    new = [place for place, frame in enumerate(frames, start=1) if frame.source == NEW_OPERATOR_MAC]
    require(new[0] == int(first), f"the new device's first packet is {new[0]}, not {first}")
    minute = (quiet[new[0] - 1][0] - quiet[0][0]) / 60
    print(f"\nquiet: {name} at packet {first}, minute {minute:.1f}; {packets} packets until {last}")


def print_services(ordinary: dict[str, Counter]) -> None:
    print("\nnormal packets" + "".join(f"{name:>18}" for name in ordinary))
    for name, _ in sum(ordinary.values(), Counter()).most_common():
        shares = (f"{counts[name]:10} {counts[name] / counts.total():7.2%}" for counts in ordinary.values())
        print(f"  {name:12}" + "".join(shares))


def print_rare(name: str, found: Packets) -> None:
    print(f"\nrare in {name}: times, minutes")
    for kind, times in sorted(rare.found(found).items()):
        minutes = f"{len(times)} times" if len(times) > 12 else ", ".join(f"{time / 60:.1f}" for time in times)
        print(f"  {kind:28} {minutes}")


def main() -> None:
    recordings = {name: read(name) for name in RECORDINGS}
    total = sum(file.stat().st_size for file in CAPTURES.iterdir())
    print(f"all files together: {total} bytes")
    require(total <= LARGEST_TOTAL_BYTES, "the files are larger than they may be")
    for name, found in recordings.items():
        check_frames(name, found)
    rows = check_labels(recordings["attack"])
    check_replacement(recordings["quiet"])
    benign = {
        **recordings,
        "attack": [packet for packet, row in zip(recordings["attack"], rows, strict=True) if row[0] == "-1"],
    }
    services = {name: Counter(service(label.parse(data)) for _, data in found) for name, found in benign.items()}
    print_services(services)
    for name, found in benign.items():
        print_rare(name, found)
        strange = set(services[name]) - set(services["normal"])
        require(not strange, f"{name}: normal packets of other services: {strange}")


if __name__ == "__main__":
    main()
