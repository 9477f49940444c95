"""The engineering station in ordinary operation: now and then it looks at the controller, and writes nothing."""

import argparse
import random
import subprocess
import time
import urllib.request

from pymodbus.client import ModbusTcpClient
from pymodbus.exceptions import ModbusException

PLC_NAME = "plc.plant.test"
UNIT = 1
PAUSE_SECONDS = (15, 55)


def identify(client: ModbusTcpClient) -> None:
    client.read_device_information(read_code=1, object_id=0, device_id=UNIT)
    client.read_device_information(read_code=2, object_id=0, device_id=UNIT)
    client.report_device_id(device_id=UNIT)


def diagnose(client: ModbusTcpClient) -> None:
    client.diag_query_data(b"\xa5\x37", device_id=UNIT)
    client.diag_read_bus_message_count(device_id=UNIT)
    client.diag_read_bus_comm_error_count(device_id=UNIT)
    client.diag_read_device_message_count(device_id=UNIT)


def upload(client: ModbusTcpClient) -> None:
    """Reads all settings and a short trend, as a comparison with the project file does."""
    client.read_holding_registers(0, count=32, device_id=UNIT)
    client.read_coils(0, count=8, device_id=UNIT)
    for _ in range(8):
        client.read_input_registers(0, count=16, device_id=UNIT)
        time.sleep(0.25)


def over_modbus(*steps) -> None:
    client = ModbusTcpClient(PLC_NAME, timeout=2, retries=1)
    if not client.connect():
        raise ConnectionError(f"{PLC_NAME} does not answer")
    try:
        for step in steps:
            step(client)
            time.sleep(0.3)
    finally:
        client.close()


def fetch_pages() -> None:
    for path in ("/", "/status.json"):
        with urllib.request.urlopen(f"http://{PLC_NAME}{path}", timeout=3) as page:
            page.read()


def ping() -> None:
    subprocess.run(["ping", "-q", "-c", "3", "-i", "0.5", "-W", "1", PLC_NAME], capture_output=True, timeout=10)


ACTIONS = (
    lambda: over_modbus(identify),
    lambda: over_modbus(diagnose),
    lambda: over_modbus(upload),
    lambda: over_modbus(identify, diagnose, upload),
    fetch_pages,
    ping,
)
WEIGHTS = (2, 2, 4, 1, 3, 3)


def main(seed: int) -> None:
    draw = random.Random(seed)
    while True:
        time.sleep(draw.uniform(*PAUSE_SECONDS))
        try:
            draw.choices(ACTIONS, WEIGHTS)[0]()
        except (ModbusException, OSError, subprocess.TimeoutExpired) as error:
            print(f"engineering: {error}", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, required=True)
    main(parser.parse_args().seed)
