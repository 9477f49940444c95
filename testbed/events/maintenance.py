"""A visit: the maintenance laptop comes, gets an address, looks at the controller in several ways, and leaves."""

import argparse
import random
import subprocess
import time
import urllib.request
from pathlib import Path

from pymodbus.client import ModbusTcpClient

from hosts.engineering import PLC_NAME, UNIT, diagnose, identify, over_modbus, upload

LEASE_SCRIPT = Path(__file__).resolve().parent.parent / "hosts" / "lease.sh"


def arrive() -> subprocess.Popen:
    subprocess.run(["ip", "link", "set", "eth0", "up"], check=True)
    client = ["busybox", "udhcpc", "-f", "-R", "-i", "eth0", "-s", str(LEASE_SCRIPT), "-x", "hostname:service-07"]
    lease = subprocess.Popen(client)
    for _ in range(100):
        time.sleep(0.2)
        if subprocess.run(["ip", "-4", "-o", "address", "show", "dev", "eth0"], capture_output=True).stdout:
            return lease
    raise SystemExit("maintenance: no lease")


def leave(lease: subprocess.Popen) -> None:
    lease.terminate()
    lease.wait(timeout=10)
    time.sleep(1)
    subprocess.run(["ip", "address", "flush", "dev", "eth0"], check=True)
    subprocess.run(["ip", "link", "set", "eth0", "down"], check=True)


def read_everything(client: ModbusTcpClient) -> None:
    """Every block in small pieces, as an engineering tool uploads a project."""
    for address in range(0, 32, 4):
        client.read_holding_registers(address, count=4, device_id=UNIT)
    for address in range(0, 18, 2):
        client.read_input_registers(address, count=2, device_id=UNIT)
    client.read_coils(0, count=8, device_id=UNIT)
    client.read_discrete_inputs(0, count=12, device_id=UNIT)


def shell(key: str) -> None:
    options = ["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "ConnectTimeout=5"]
    subprocess.run(["ssh", "-F", "none", "-i", key, *options, f"root@{PLC_NAME}", "status"], timeout=30, check=True)


def pages() -> None:
    for path in ("/", "/alarms", "/trend", "/status.json"):
        with urllib.request.urlopen(f"http://{PLC_NAME}{path}", timeout=3) as page:
            page.read()


def ping() -> None:
    subprocess.run(["ping", "-q", "-c", "4", PLC_NAME], capture_output=True, timeout=15)


def main(seed: int, key: str, longest_pause: float) -> None:
    draw = random.Random(seed)
    lease = arrive()
    try:
        steps = [pages, lambda: shell(key), lambda: over_modbus(diagnose), lambda: over_modbus(upload)]
        steps += [lambda: over_modbus(read_everything), pages]
        draw.shuffle(steps)
        for step in (ping, lambda: over_modbus(identify), *steps):
            time.sleep(draw.uniform(0.2, 1) * longest_pause)
            try:
                step()
            except Exception as error:
                print(f"maintenance: {error}", flush=True)
    finally:
        leave(lease)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--key", required=True, help="the SSH key the controller knows")
    parser.add_argument("--longest-pause", type=float, required=True, help="seconds between two steps")
    given = parser.parse_args()
    main(given.seed, given.key, given.longest_pause)
