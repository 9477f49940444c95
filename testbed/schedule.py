"""What happens in each recording, and when."""

import random

ATTACKS = (
    "address_scan", "port_scan", "modbus_scan", "write_within_habit", "write_outside_habit",
    "arp_spoof", "replay", "syn_flood", "modbus_flood", "rogue_host",
)
TIMES_EACH = 3
FIRST_ATTACK_SECONDS, ATTACK_EVERY_SECONDS = 40, 84
# Places in the row of attacks where a device is started anew instead.
FREE_PLACES = (8, 17, 26)

SECONDS = {"normal": 123 * 60, "quiet": 62 * 60, "attack": 48 * 60}
SEEDS = {"normal": 1000, "quiet": 3000, "attack": 2000}

# Minute, what is rare, and with which argument; see plant.py.
RARE = {
    "normal": (
        (7, "shift", ""), (9, "maintenance", ""), (12.5, "alarm", ""), (15, "backup", ""), (20, "shift", ""),
        (27, "clock", ""), (31, "firmware", "tftp"), (33, "reboot", "plc"), (38, "alarm", ""),
        (42, "clock", ""), (48, "maintenance", ""), (52, "shift", ""), (55, "backup", ""), (58, "reboot", "operator"),
        (66, "clock", ""), (70, "alarm", ""), (74, "firmware", "http"), (76, "reboot", "plc"), (80, "maintenance", ""),
        (84, "shift", ""), (88, "reboot", "engineering"), (92, "backup", ""), (96, "clock", ""), (99, "alarm", ""),
        (102, "maintenance", ""), (107, "firmware", "tftp"), (110, "reboot", "plc"), (113, "clock", ""),
        (115, "shift", ""), (118, "backup", ""), (120, "alarm", ""),
    ),
    "quiet": (
        (4, "alarm", ""), (7, "maintenance", ""), (12, "backup", ""), (15, "clock", ""), (18, "firmware", "tftp"),
        (20, "reboot", "plc"), (25, "shift", ""), (28, "alarm", ""), (31, "replace", "operator"),
        (36, "clock", ""), (39, "backup", ""), (43, "maintenance", ""), (48, "firmware", "http"),
        (50, "reboot", "engineering"), (53, "shift", ""), (55, "alarm", ""), (58, "clock", ""), (59, "backup", ""),
    ),
    "attack": (
        (3, "alarm", ""), (6, "backup", ""), (9, "maintenance", ""), (11.9, "firmware", "tftp"),
        (12.3, "reboot", "plc"), (14.5, "clock", ""), (17, "shift", ""), (21, "alarm", ""), (22.5, "backup", ""),
        (24.5, "reboot", "engineering"),
        (30, "maintenance", ""), (34, "clock", ""), (37.1, "firmware", "http"), (37.4, "reboot", "plc"),
        (39, "shift", ""), (41, "backup", ""), (43, "clock", ""), (45, "alarm", ""),
    ),
}


def attacks() -> list[tuple[float, str, int]]:
    """Second, attack and number of each occurrence: the attacks in turn, then twice in another order."""
    draw = random.Random(30)
    rows = [list(ATTACKS)]
    for _ in range(1, TIMES_EACH):
        row = list(ATTACKS)
        draw.shuffle(row)
        # What is replayed was read off the wire before, in the same row.
        spoof, replay = row.index("arp_spoof"), row.index("replay")
        if spoof > replay:
            row[spoof], row[replay] = row[replay], row[spoof]
        rows.append(row)
    places = [place for place in range(TIMES_EACH * len(ATTACKS) + len(FREE_PLACES)) if place not in FREE_PLACES]
    found = [(attack, number) for number, row in enumerate(rows, start=1) for attack in row]
    return [
        (FIRST_ATTACK_SECONDS + ATTACK_EVERY_SECONDS * place + draw.uniform(0, 6), attack, number)
        for place, (attack, number) in zip(places, found, strict=True)
    ]


def rare(recording: str) -> list[tuple[float, str, str]]:
    return [(60 * minute, name, argument) for minute, name, argument in RARE[recording]]
