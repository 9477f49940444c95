"""What the controller can do: function codes, then unit identifiers, each asked for once.

Address 100 does not exist, so that no request of the scan changes the process.
"""

import struct
import time

from attacks.episode import Connection, arguments, episode, ports, read_registers

# Function codes, unit identifiers, seconds between two requests.
SCANS = {
    1: (range(1, 128), (*range(0, 41), *range(247, 256)), 0.03),
    2: (range(1, 25), range(1, 20), 0.5),
    3: (range(40, 70), range(0, 100), 0.01),
}
CONNECTION_REQUESTS = 64

if __name__ == "__main__":
    given = arguments(__doc__)
    functions, units, pause = SCANS[given.number]
    requests = [(struct.pack(">BHH", function, 100, 1), 1) for function in functions]
    requests += [(read_registers(3, 0, 1), unit) for unit in units]
    opened: list[int] = []
    description = f"function codes {functions[0]} to {functions[-1]}, then {len(units)} unit identifiers"
    with episode(given.log, f"modbus_scan_{given.number}", description, [ports(opened)]):
        for first in range(0, len(requests), CONNECTION_REQUESTS):
            with Connection(opened, timeout=0.2) as plc:
                for request in requests[first : first + CONNECTION_REQUESTS]:
                    plc.request(*request)
                    time.sleep(pause)
