"""A host nobody knows joins the network: it pings the controller, reads its registers and may write."""

import subprocess
import time

from attacks.episode import Connection, arguments, episode, read_registers, write_coil, write_register
from hosts import tank
from network import PLC, ROGUES

# What it does, rounds of reading, seconds between them, what it writes.
VISITS = {
    1: (
        "pings the plc, reads all registers and writes a setpoint and a coil",
        20,
        0.3,
        (write_register(tank.LEVEL_SETPOINT, 450), write_coil(tank.PUMP, False), write_coil(tank.PUMP, True)),
    ),
    2: ("pings the plc and reads all registers, slowly", 12, 1.5, ()),
    3: ("pings the plc, reads all registers and switches the heater", 8, 0.1, (write_coil(tank.HEATER, False),) * 3),
}

if __name__ == "__main__":
    given = arguments(__doc__)
    does, rounds, pause, writes = VISITS[given.number]
    rogue = ROGUES[given.number - 1]
    claims = [{"kind": "host", "mac": rogue.mac, "ip": rogue.ip}]
    with episode(given.log, f"rogue_host_{given.number}", f"an unknown host {does}", claims, mac=rogue.mac):
        subprocess.run(["ping", "-q", "-c", "2", "-i", "0.5", "-W", "1", PLC.ip], check=True, stdout=subprocess.DEVNULL)
        with Connection([]) as plc:
            for _ in range(rounds):
                plc.request(read_registers(3, 0, 10))
                plc.request(read_registers(4, 0, 8))
                time.sleep(pause)
            for request in writes:
                plc.request(request)
                time.sleep(1)
