"""Packets in the order of time: `python3 order.py CAPTURE.pcap` rewrites the file.

Two processors stamp and store frames side by side, so that now and then one is stored some ten microseconds
after its successor.
"""

import struct
import sys
from pathlib import Path

import label

FILE_HEADER_BYTES = 24


def by_time(data: bytes) -> bytes:
    """The same pcap file with its packets sorted by time; packets of the same time keep their order."""
    byte_order = label.byte_order(data)
    records, at = [], FILE_HEADER_BYTES
    while at < len(data):
        seconds, microseconds, length, _ = struct.unpack_from(f"{byte_order}4I", data, at)
        records.append(((seconds, microseconds), data[at : at + 16 + length]))
        at += 16 + length
    records.sort(key=lambda record: record[0])
    return data[:FILE_HEADER_BYTES] + b"".join(record for _, record in records)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: order.py CAPTURE.pcap")
    capture = Path(sys.argv[1])
    capture.write_bytes(by_time(capture.read_bytes()))
