"""Checks the captures and prints the tables of README.md: `python3 check.py` (needs zstd)."""

import subprocess
from collections import Counter
from itertools import pairwise
from pathlib import Path

import label

CAPTURES = Path(__file__).resolve().parent / "captures"
LARGEST_FRAME = 1514
SERVICES = {502: "Modbus/TCP", 80: "HTTP", 53: "DNS", 123: "NTP", 514: "syslog", 5353: "mDNS"}


def read(name: str) -> list[tuple[float, bytes]]:
    packed = CAPTURES / f"{name}.pcap.zst"
    unpacked = subprocess.run(["zstd", "-dcq", str(packed)], check=True, capture_output=True).stdout
    found = list(label.packets(unpacked))
    seconds = found[-1][0] - found[0][0]
    print(f"{name}: {len(found)} packets, {seconds:.0f} s, {len(unpacked)} bytes, packed {packed.stat().st_size}")
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


def main() -> None:
    normal, attack = read("normal"), read("attack")
    for name, found in (("normal", normal), ("attack", attack)):
        require(all(a[0] <= b[0] for a, b in pairwise(found)), f"{name}: time goes backwards")
        require(all(len(data) <= LARGEST_FRAME for _, data in found), f"{name}: a frame is larger than the link allows")
        # A frame seen at two ports of the bridge would stand there twice within microseconds.
        twice = [b[0] for a, b in pairwise(found) if a[1] == b[1] and b[0] - a[0] < 1e-4]
        require(not twice, f"{name}: {len(twice)} frames stand there twice")

    rows = [row.split(",") for row in (CAPTURES / "attack.labels.csv").read_text().splitlines()]
    require(len(rows) == len(attack), f"{len(rows)} labels for {len(attack)} packets")
    require(all((row[0] == "1") == bool(row[1]) for row in rows), "a label and its episode disagree")

    print("\nepisodes")
    for name, count in Counter(row[1] or "normal" for row in rows).items():
        print(f"  {name:20} {count:6} {count / len(rows):7.1%}")

    ordinary = Counter(service(label.parse(data)) for _, data in normal)
    benign = Counter(service(label.parse(data)) for (_, data), row in zip(attack, rows) if row[0] == "-1")
    print("\nshare of normal packets       normal    attack")
    for name, count in ordinary.most_common():
        shares = count / ordinary.total(), benign[name] / benign.total()
        print(f"  {name:20} {count:6} {shares[0]:6.2%} {benign[name]:6} {shares[1]:6.2%}")
    require(set(benign) <= set(ordinary), f"normal packets of other services: {set(benign) - set(ordinary)}")


if __name__ == "__main__":
    main()
