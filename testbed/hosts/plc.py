"""The controller: Modbus/TCP server with the tank behind it, web pages, syslog, LLDP, a clock of its own.

SIGUSR2 sets its clock from the time server, SIGHUP blocks the tank's inlet for about a minute.

SIGUSR1 puts the settings back to what the plant starts with: record.py sends it after each attack, so that an
attack's writes do not outlast it and no packet is needed to undo them.
"""

import argparse
import asyncio
import json
import logging
import logging.handlers
import signal
import socket
import struct
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from pymodbus.constants import ExcCodes
from pymodbus.exceptions import NoSuchIdException
from pymodbus.pdu.device import ModbusDeviceIdentification
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from hosts.clock import Clock
from hosts.tank import Tank
from network import MONITOR, PLC

UNIT = 1
STEP_SECONDS = 0.1
LLDP_SECONDS = 30
SYSLOG_SECONDS = 12
ALARMS_KEPT = 12
TREND_ROWS = 60

IDENTITY = ModbusDeviceIdentification(
    info_name={
        "VendorName": "Testbed",
        "ProductCode": "TB-400",
        "MajorMinorRevision": "2.3",
        "ProductName": "Tank Controller",
        "ModelName": "TB-400/8DI/8DO",
        "UserApplicationName": "TANK-01",
    }
)


class TankRegisters:
    """The data store which pymodbus asks: function code and address -> place in the tank."""

    def __init__(self, tank: Tank):
        self.tank = tank

    def device_ids(self) -> list[int]:
        return [UNIT]

    def _block(self, unit: int, function: int) -> list:
        if unit != UNIT:
            raise NoSuchIdException(f"unit {unit} does not exist")
        if function in (1, 5, 15):
            return self.tank.coils
        if function == 2:
            return self.tank.discrete
        if function == 4:
            return self.tank.inputs
        return self.tank.holding

    async def async_getValues(self, unit, function, address, count=1):
        block = self._block(unit, function)
        if address + count > len(block):
            return ExcCodes.ILLEGAL_ADDRESS
        return block[address : address + count]

    async def async_setValues(self, unit, function, address, values):
        block = self._block(unit, function)
        if address + len(values) > len(block):
            return ExcCodes.ILLEGAL_ADDRESS
        block[address : address + len(values)] = values
        return None


def table(values: dict) -> str:
    rows = "".join(f"<tr><td>{name}</td><td>{value}</td></tr>\n" for name, value in values.items())
    return f"<html><title>TANK-01</title><table>\n{rows}</table></html>\n"


def stamp(seconds: float) -> str:
    return time.strftime("%b %d %H:%M:%S", time.gmtime(seconds))


class History:
    """What the pages show of the past: one row of the trend every few seconds, and the last alarms."""

    def __init__(self):
        self.trend: list[tuple] = []
        self.alarms: list[tuple] = []

    def note(self, tank: Tank, now: float) -> None:
        self.trend = [*self.trend[1 - TREND_ROWS :], (stamp(now), round(tank.level, 2), round(tank.temperature, 2))]
        if tank.alarm_held:
            self.alarms = [*self.alarms[1 - ALARMS_KEPT :], (stamp(now), f"level {tank.level:.1f} %")]


def backup(tank: Tank, history: History) -> str:
    """The project as a text file: all settings, and what is known of the past."""
    settings = "".join(f"holding {place} = {value}\n" for place, value in enumerate(tank.holding))
    blocks = ((n, n * 7 % 93, n % 8, n * 2654435761 % 2**32) for n in range(500))
    program = "".join(f"block {n:04d} rung {rung:02d} coil {coil} hash {hash:08x}\n" for n, rung, coil, hash in blocks)
    return settings + program + "".join(f"{row}\n" for row in (*history.trend, *history.alarms))


def page(path: str, tank: Tank, history: History) -> tuple[str, str] | None:
    """Type and body of a page; / is for people, /status.json for the monitor."""
    values = {
        "level": round(tank.level, 1),
        "temperature": round(tank.temperature, 1),
        "pump": round(tank.speed, 1),
        "alarm": tank.alarm_held,
        "uptime": int(tank.time),
    }
    if path == "/status.json":
        return "application/json", json.dumps(values)
    if path == "/":
        return "text/html", table(values)
    if path == "/alarms":
        return "text/html", table(dict(history.alarms))
    if path == "/trend":
        return "text/html", table({at: f"{level} {temperature}" for at, level, temperature in history.trend})
    if path == "/backup":
        return "text/plain", backup(tank, history)
    return None


def serve_pages(tank: Tank, history: History, clock: Clock) -> None:
    class Pages(BaseHTTPRequestHandler):
        server_version = "TB-400/2.3"

        def date_time_string(self, timestamp=None):
            return super().date_time_string(clock.now() if timestamp is None else timestamp)

        def answer(self, status: int, kind: str = "text/plain", body: str = ""):
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body.encode())

        def do_GET(self):
            found = page(self.path, tank, history)
            self.answer(200, *found) if found else self.answer(404)

        def do_PUT(self):
            self.rfile.read(int(self.headers["Content-Length"]))
            self.answer(201)

        def log_message(self, *_):
            pass

    ThreadingHTTPServer((PLC.ip, 80), Pages).serve_forever()


def lldp_frame() -> bytes:
    mac = bytes.fromhex(PLC.mac.replace(":", ""))

    def field(kind: int, value: bytes) -> bytes:
        return struct.pack(">H", kind << 9 | len(value)) + value

    body = field(1, b"\x04" + mac) + field(2, b"\x07X1") + field(3, struct.pack(">H", 4 * LLDP_SECONDS))
    body += field(5, b"TANK-01") + field(6, b"TB-400 Tank Controller 2.3") + field(0, b"")
    return (bytes.fromhex("0180c200000e") + mac + b"\x88\xcc" + body).ljust(60, b"\0")


async def announce() -> None:
    wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    wire.bind(("eth0", 0))
    while True:
        wire.send(lldp_frame())
        await asyncio.sleep(LLDP_SECONDS)


async def report(tank: Tank, history: History, clock: Clock) -> None:
    handler = logging.handlers.SysLogHandler(address=(MONITOR.ip, 514), facility="local0")
    log = logging.getLogger("plc.syslog")
    log.propagate = False
    log.setLevel(logging.INFO)
    log.addHandler(handler)
    log.info("%s TANK-01 controller: start", stamp(clock.now()))
    while True:
        await asyncio.sleep(SYSLOG_SECONDS)
        history.note(tank, clock.now())
        head = f"{stamp(clock.now())} TANK-01 controller:"
        if tank.alarm_held:
            log.warning("%s level alarm, level %.1f %%", head, tank.level)
        else:
            log.info("%s cycle ok, level %.1f %%, temperature %.1f C", head, tank.level, tank.temperature)


async def move(tank: Tank, clock: Clock) -> None:
    while True:
        await asyncio.sleep(STEP_SECONDS)
        tank.step(STEP_SECONDS)
        tank.inputs[16:18] = struct.unpack(">2H", struct.pack(">I", int(clock.now())))


def set_clock(clock: Clock) -> None:
    try:
        before = clock.now()
        clock.set()
        now = clock.now()
        logging.getLogger("plc.syslog").info("%s TANK-01 clock: set by %+.1f s", stamp(now), now - before)
    except OSError as error:
        print(f"plc: clock not set: {error}", flush=True)


async def main(seed: int) -> None:
    tank, history, clock = Tank(seed), History(), Clock(seed)
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGUSR1, tank.commission)
    loop.add_signal_handler(signal.SIGHUP, tank.block_inlet)
    loop.add_signal_handler(signal.SIGUSR2, lambda: threading.Thread(target=set_clock, args=(clock,)).start())
    # pymodbus wants a device to start with; the tank's registers then take its place.
    placeholder = SimDevice(UNIT, simdata=[SimData(0, values=0, datatype=DataType.REGISTERS)])
    server = ModbusTcpServer(placeholder, address=(PLC.ip, 502), identity=IDENTITY)
    server.context = TankRegisters(tank)
    threading.Thread(target=serve_pages, args=(tank, history, clock), daemon=True).start()
    await asyncio.gather(server.serve_forever(), move(tank, clock), announce(), report(tank, history, clock))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, required=True)
    asyncio.run(main(parser.parse_args().seed))
