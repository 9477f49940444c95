"""The controller's firmware: fetched by the controller (TFTP) or brought by the engineering station (HTTP)."""

import random
import struct
from pathlib import Path

NAME = "tb400-2.4.bin"
BYTES = 72_000
HEADER = struct.pack(">8sII", b"TB400FW\0", 0x0204, BYTES)


def write_image(path: Path) -> None:
    """Half as random as it is long, as machine code is; every image is the same."""
    draw = random.Random(24)
    words = [draw.randbytes(4) for _ in range(600)]
    path.write_bytes(HEADER + b"".join(draw.choice(words) for _ in range((BYTES - len(HEADER)) // 4)))


def fetch(server: str) -> list[str]:
    return ["curl", "-sS", "-o", "/dev/null", f"tftp://{server}/{NAME}"]


def bring(image: Path, device: str) -> list[str]:
    return ["curl", "-sS", "-T", str(image), f"http://{device}/firmware"]
