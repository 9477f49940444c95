"""How the two writing attacks write: each request is followed by a look at what it did."""

import time

from attacks.episode import Connection, read_registers


def write_all(opened: list[int], requests: tuple[bytes, ...], rounds: int, pause: float) -> None:
    with Connection(opened) as plc:
        for _ in range(rounds):
            for request in requests:
                plc.request(request)
                plc.request(read_registers(4, 0, 8))
                time.sleep(pause)
