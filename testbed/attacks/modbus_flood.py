"""A flood of Modbus reads on one connection."""

import time

from attacks.episode import Connection, arguments, episode, ports, read_registers

# Reads, the request, words for it, seconds between two.
FLOODS = {
    1: (250, read_registers(3, 0, 32), "all holding registers", 0.002),
    2: (200, read_registers(4, 0, 2), "two input registers", 0.02),
    3: (300, read_registers(1, 0, 8), "all coils", 0.0),
}

if __name__ == "__main__":
    given = arguments(__doc__)
    count, request, words, pause = FLOODS[given.number]
    opened: list[int] = []
    description = f"{count} reads of {words} as fast as {pause * 1000:.0f} ms of pause allow"
    with episode(given.log, f"modbus_flood_{given.number}", description, [ports(opened)]):
        with Connection(opened) as plc:
            for _ in range(count):
                plc.request(request)
                time.sleep(pause)
