"""What the controller can do: each public function code once, then unit identifiers 0 to 40 and 247 to 255.

Address 100 does not exist, so that no request of the scan changes the process.
"""

import struct
import time

from attacks.episode import Connection, arguments, episode, ports, read_registers

FUNCTIONS = range(1, 128)
UNITS = (*range(0, 41), *range(247, 256))
PAUSE_SECONDS = 0.03

if __name__ == "__main__":
    given = arguments(__doc__)
    opened: list[int] = []
    with episode(given.log, "modbus_scan", "function codes 1 to 127, then 50 unit identifiers", [ports(opened)]):
        for functions in (FUNCTIONS[:64], FUNCTIONS[64:]):
            with Connection(opened, timeout=0.2) as plc:
                for function in functions:
                    plc.request(struct.pack(">BHH", function, 100, 1))
                    time.sleep(PAUSE_SECONDS)
        with Connection(opened, timeout=0.2) as plc:
            for unit in UNITS:
                plc.request(read_registers(3, 0, 1), unit)
                time.sleep(PAUSE_SECONDS)
