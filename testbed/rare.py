"""What is rare in a recording, read off its packets: `found` gives each kind with the seconds it happens at."""

import re
import struct
from collections import defaultdict

import label
from network import HOSTS, LAPTOP

BATCH_WRITE = re.compile(rb"^\x06\x00\x09", re.DOTALL)
QUIET_SECONDS = 60
LEASE_MESSAGES = {1: "discover", 7: "release"}
NAMES = {host.mac: host.name for host in HOSTS.values()}


def payload(data: bytes) -> bytes:
    """What a TCP segment or UDP datagram over IPv4 carries."""
    at, end = 14 + 4 * (data[14] & 15), 14 + struct.unpack(">H", data[16:18])[0]
    return data[at + (8 if data[23] == label.UDP else 4 * (data[at + 12] >> 4)) : end]


def lease_message(content: bytes) -> int:
    """The type of a DHCP message (option 53)."""
    at = content.find(b"\x35\x01", 240)
    return content[at + 2] if at >= 0 else 0


def of_udp(frame: label.Frame, content: bytes) -> str | None:
    source, destination = frame.ports
    if destination == 67:
        message = lease_message(content)
        if frame.source == LAPTOP.mac and message in LEASE_MESSAGES:
            return "maintenance laptop comes" if message == 1 else "maintenance laptop leaves"
        return "lease renewed" if message == 3 and frame.ips[0] != "0.0.0.0" else None
    if destination == 69:
        return "firmware by TFTP"
    if destination == 514:
        if b"clock: set" in content:
            return "clock set"
        return "level alarm" if b"level alarm" in content else None
    return None


def of_tcp(frame: label.Frame, content: bytes) -> str | None:
    if frame.ports[1] == 80:
        for start, kind in ((b"PUT /firmware", "firmware by HTTP"), (b"GET /backup", "backup")):
            if content.startswith(start):
                return kind
    if frame.ports[1] == 502 and BATCH_WRITE.match(content[7:]):
        return "shift begins"
    return None


def kind_of(frame: label.Frame, data: bytes) -> str | None:
    """The rare thing this packet tells of, if any."""
    if frame.arp_operation == 1 and frame.ips[0] == frame.ips[1]:
        return f"{NAMES.get(frame.source, 'new device')} starts"
    if frame.ports is None:
        return None
    return (of_udp if frame.protocol == label.UDP else of_tcp)(frame, payload(data))


def found(packets: list[tuple[float, bytes]]) -> dict[str, list[float]]:
    """Kinds and seconds; what repeats within a minute is one."""
    times, last = defaultdict(list), {}
    for time, data in packets:
        if (kind := kind_of(label.parse(data), data)) is None:
            continue
        if kind == "lease renewed" or time - last.get(kind, 0) > QUIET_SECONDS:
            times[kind].append(time - packets[0][0])
        last[kind] = time
    return dict(times)
