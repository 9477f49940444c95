"""The monitoring host: pings, status page, syslog collector, store for backups, service discovery by multicast.

The plant's name and time servers (dnsmasq, chronyd) run on the same host; record.py starts them.
"""

import argparse
import random
import socket
import struct
import subprocess
import threading
import time
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from network import ENGINEERING, MONITOR, OPERATOR, PLC

PING_SECONDS = 10
PAGE_SECONDS = 20
DISCOVERY_SECONDS = 60


def ping_all() -> None:
    for host in (PLC, OPERATOR, ENGINEERING):
        subprocess.run(["ping", "-q", "-c", "1", "-W", "1", host.ip], capture_output=True, timeout=5)


def fetch_status() -> None:
    with urllib.request.urlopen(f"http://{PLC.ip}/status.json", timeout=3) as page:
        page.read()


def discover() -> None:
    """Asks the link which HTTP services there are (a multicast DNS question)."""
    name = b"".join(bytes([len(part)]) + part for part in (b"_http", b"_tcp", b"local")) + b"\0"
    question = struct.pack(">6H", 0, 0, 1, 0, 0, 0) + name + struct.pack(">2H", 12, 1)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as wire:
        wire.bind((MONITOR.ip, 5353))
        wire.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 255)
        wire.sendto(question, ("224.0.0.251", 5353))


def collect_syslog() -> None:
    wire = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    wire.bind((MONITOR.ip, 514))
    while True:
        wire.recv(2048)


class Store(BaseHTTPRequestHandler):
    """Takes files by PUT, and forgets them."""

    server_version = "store/1.0"

    def do_PUT(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(201)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


def every(seconds: float, call, draw: random.Random) -> None:
    time.sleep(draw.uniform(0, seconds))
    while True:
        try:
            call()
        except (OSError, subprocess.TimeoutExpired) as error:
            print(f"monitor: {error}", flush=True)
        time.sleep(seconds * draw.uniform(0.95, 1.05))


def main(seed: int) -> None:
    threading.Thread(target=collect_syslog, daemon=True).start()
    store = ThreadingHTTPServer((MONITOR.ip, 80), Store)
    threading.Thread(target=store.serve_forever, daemon=True).start()
    jobs = ((PING_SECONDS, ping_all), (PAGE_SECONDS, fetch_status), (DISCOVERY_SECONDS, discover))
    threads = [
        threading.Thread(target=every, args=(seconds, call, random.Random(seed + i)))
        for i, (seconds, call) in enumerate(jobs)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, required=True)
    main(parser.parse_args().seed)
