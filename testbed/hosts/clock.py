"""The clock a device reports: it drifts, and is right again once it has been set from the time server.

The machine's own clock is only read.
"""

import random
import socket
import struct
import time

from network import MONITOR

SECONDS_1900_TO_1970 = 2_208_988_800
LARGEST_START_ERROR_SECONDS = 90
LARGEST_DRIFT = 0.02


class Clock:
    def __init__(self, seed: int):
        draw = random.Random(seed)
        self.set_at = time.time()
        self.error = draw.uniform(-LARGEST_START_ERROR_SECONDS, LARGEST_START_ERROR_SECONDS)
        self.drift = draw.uniform(-LARGEST_DRIFT, LARGEST_DRIFT)

    def now(self) -> float:
        passed = time.time() - self.set_at
        return self.set_at + self.error + passed * (1 + self.drift)

    def set(self) -> None:
        """Asks the time server (SNTP) and steps to what it says."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as wire:
            wire.settimeout(1)
            wire.connect((MONITOR.ip, 123))
            wire.send(b"\x23" + bytes(47))
            answer = wire.recv(48)
        seconds, fraction = struct.unpack(">2I", answer[40:48])
        self.set_at = time.time()
        self.error = seconds - SECONDS_1900_TO_1970 + fraction / 2**32 - self.set_at
