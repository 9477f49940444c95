"""The controller: Modbus/TCP server with the tank behind it, HTTP status page, syslog, LLDP.

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
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from pymodbus.constants import ExcCodes
from pymodbus.exceptions import NoSuchIdException
from pymodbus.pdu.device import ModbusDeviceIdentification
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from hosts.tank import Tank
from network import MONITOR, PLC

UNIT = 1
STEP_SECONDS = 0.1
LLDP_SECONDS = 15
SYSLOG_SECONDS = 6

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


def serve_status(tank: Tank) -> None:
    """The status page: / for people, /status.json for the monitor."""

    class Status(BaseHTTPRequestHandler):
        server_version = "TB-400/2.3"

        def do_GET(self):
            values = {
                "level": round(tank.level, 1),
                "temperature": round(tank.temperature, 1),
                "pump": round(tank.speed, 1),
                "alarm": tank.alarm_held,
                "uptime": int(tank.time),
            }
            if self.path == "/status.json":
                kind, body = "application/json", json.dumps(values)
            else:
                rows = "".join(f"<tr><td>{name}</td><td>{value}</td></tr>\n" for name, value in values.items())
                kind, body = "text/html", f"<html><title>TANK-01</title><table>\n{rows}</table></html>\n"
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_):
            pass

    ThreadingHTTPServer((PLC.ip, 80), Status).serve_forever()


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


async def report(tank: Tank) -> None:
    handler = logging.handlers.SysLogHandler(address=(MONITOR.ip, 514), facility="local0")
    handler.setFormatter(logging.Formatter("TANK-01 controller: %(message)s"))
    log = logging.getLogger("plc.syslog")
    log.propagate = False
    log.setLevel(logging.INFO)
    log.addHandler(handler)
    while True:
        await asyncio.sleep(SYSLOG_SECONDS)
        if tank.alarm_held:
            log.warning("level alarm, level %.1f %%", tank.level)
        else:
            log.info("cycle ok, level %.1f %%, temperature %.1f C", tank.level, tank.temperature)


async def move(tank: Tank) -> None:
    while True:
        await asyncio.sleep(STEP_SECONDS)
        tank.step(STEP_SECONDS)


async def main(seed: int) -> None:
    tank = Tank(seed)
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, tank.commission)
    # pymodbus wants a device to start with; the tank's registers then take its place.
    placeholder = SimDevice(UNIT, simdata=[SimData(0, values=0, datatype=DataType.REGISTERS)])
    server = ModbusTcpServer(placeholder, address=(PLC.ip, 502), identity=IDENTITY)
    server.context = TankRegisters(tank)
    threading.Thread(target=serve_status, args=(tank,), daemon=True).start()
    await asyncio.gather(server.serve_forever(), move(tank), announce(), report(tank))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, required=True)
    asyncio.run(main(parser.parse_args().seed))
