"""Unauthorised writes with values the operator might have written."""

from attacks.episode import arguments, episode, ports, write_coil, write_register
from attacks.writing import write_all
from hosts import tank

# Requests, rounds, seconds between two writes.
WRITES = {
    1: (
        (
            write_register(tank.LEVEL_SETPOINT, 600),
            write_register(tank.TEMPERATURE_SETPOINT, 540),
            write_coil(tank.MIXER, False),
            write_coil(tank.LAMP, True),
            write_register(tank.MIXER_SPEED, 90),
        ),
        4,
        0.4,
    ),
    2: ((write_register(tank.LEVEL_SETPOINT, 440), write_register(tank.TEMPERATURE_SETPOINT, 490)), 5, 1.5),
    3: (
        (
            write_coil(tank.MIXER, True),
            write_register(tank.MIXER_SPEED, 150),
            write_coil(tank.ACKNOWLEDGE, True),
            write_register(tank.LEVEL_SETPOINT, 510),
        ),
        6,
        0.15,
    ),
}

if __name__ == "__main__":
    given = arguments(__doc__)
    opened: list[int] = []
    description = "setpoints and coils written as the operator writes them"
    with episode(given.log, f"write_within_habit_{given.number}", description, [ports(opened)]):
        write_all(opened, *WRITES[given.number])
