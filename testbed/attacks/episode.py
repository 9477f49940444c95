"""The attack log: one JSON line per episode, with what the attack program is answerable for on the wire.

An episode is one occurrence of an attack, as `port_scan_2`. A claim says which frames belong to it. There are
five kinds:

  {"kind": "ports", "ip": A, "ports": [p, ...]} TCP segments from and to these ports of A
  {"kind": "echo", "ip": A, "id": n}           ICMP echo of A with this identifier
  {"kind": "sweep", "mac": M}                  broadcast ARP requests of M, and the replies to these
  {"kind": "between", "mac": M, "ips": [A, B]} frames of or to M which speak of A and B (IPv4 or ARP)
  {"kind": "host", "mac": M, "ip": A}          every frame of or to M, and ARP which speaks of A

An attack gets its ports from the same range as everything else on its host, so that no port gives it away;
the claim names the ports it really got.
"""

import argparse
import json
import random
import socket
import struct
import subprocess
import time
from contextlib import contextmanager

from network import EPHEMERAL_PORTS, ENGINEERING, PLC, Host

MODBUS_PORT = 502


def arguments(description: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--log", required=True, help="the attack log, JSON lines")
    parser.add_argument("--loot", required=True, help="file for requests read off the wire")
    parser.add_argument("--number", type=int, choices=(1, 2, 3), default=1, help="which of its three variants")
    return parser.parse_args()


@contextmanager
def episode(log: str, name: str, description: str, claims: list[dict], mac: str = ENGINEERING.mac):
    start = time.time()
    try:
        yield
    finally:
        entry = {
            "episode": name,
            "description": description,
            "start": start,
            "end": time.time(),
            "mac": mac,
            "claims": claims,
        }
        with open(log, "a") as lines:
            lines.write(json.dumps(entry) + "\n")


def ports(ports: list[int], ip: str = ENGINEERING.ip) -> dict:
    return {"kind": "ports", "ip": ip, "ports": ports}


def between(first: Host, second: Host) -> dict:
    """All that the attacker sends or gets and which speaks of these two; one of them may be the attacker."""
    return {"kind": "between", "mac": ENGINEERING.mac, "ips": [first.ip, second.ip]}


def reserve_ports(count: int) -> list[int]:
    """Ports for frames made by hand; from now on the kernel gives them to no other program of this host."""
    chosen = random.sample(range(EPHEMERAL_PORTS[0], EPHEMERAL_PORTS[1] + 1), count)
    reserved = ",".join(str(port) for port in chosen)
    subprocess.run(["sysctl", "-qw", f"net.ipv4.ip_local_reserved_ports={reserved}"], check=True)
    return chosen


class Connection:
    """A bare Modbus/TCP connection; a request without an answer returns None.

    The port it got is added to `opened`, which is the list in the claim of the episode.
    """

    def __init__(self, opened: list[int], timeout: float = 0.5):
        self.wire = socket.socket()
        self.wire.settimeout(timeout)
        self.wire.connect((PLC.ip, MODBUS_PORT))
        opened.append(self.wire.getsockname()[1])
        self.transaction = 0

    def __enter__(self) -> "Connection":
        return self

    def __exit__(self, *_) -> None:
        self.wire.close()

    def request(self, pdu: bytes, unit: int = 1) -> bytes | None:
        self.transaction += 1
        return self.send(struct.pack(">HHHB", self.transaction, 0, len(pdu) + 1, unit) + pdu)

    def send(self, message: bytes) -> bytes | None:
        self.wire.sendall(message)
        try:
            return self.wire.recv(1024) or None
        except TimeoutError:
            return None


def write_register(address: int, value: int) -> bytes:
    return struct.pack(">BHH", 6, address, value)


def write_coil(address: int, on: bool) -> bytes:
    return struct.pack(">BHH", 5, address, 0xFF00 if on else 0)


def read_registers(function: int, address: int, count: int) -> bytes:
    return struct.pack(">BHH", function, address, count)
