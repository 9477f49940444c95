"""Measures the network in PyTorch in one case and prints a JSON line; `../against_pytorch.py` calls it.

    python3 speed.py encode|forward|train gru|lstm FRAMES BATCH SECONDS THREADS

The counterpart of crates/pcapae/examples/engine_speed.rs: sides of 32, times are medians over at least three calls and
as many as fit into the seconds; up to three more, or as many as fill the seconds, are made beforehand.
"""

import json
import statistics
import sys
import time
from pathlib import Path

import torch

import network

CALLS = 3


def median(seconds, work):
    start = time.perf_counter()
    for _ in range(CALLS):
        work()
        if time.perf_counter() - start > seconds:
            break
    start, times = time.perf_counter(), []
    while len(times) < CALLS or time.perf_counter() - start < seconds:
        one = time.perf_counter()
        work()
        times.append(time.perf_counter() - one)
    return statistics.median(times)


def peak_megabytes():
    """The most memory that this process had, in millions of bytes, where Linux says it."""
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return None
    kibibytes = next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(kibibytes) * 1024 / 1e6


def measure(step, config, batch, seconds):
    model = network.Network(config)
    windows = torch.rand(batch, config.frames, config.side**2)
    if step == "train":
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5, fused=True)

        def work():
            optimizer.zero_grad(set_to_none=True)
            network.loss(config, model(windows), windows).backward()
            optimizer.step()

        return median(seconds, work)
    model.eval()
    compute = {"encode": model.encode, "forward": model}[step]
    with torch.inference_mode():
        return median(seconds, lambda: compute(windows))


def main():
    step, cell, frames, batch, seconds, threads = sys.argv[1:]
    torch.set_num_threads(int(threads))
    config = network.Config(cell=cell, frames=int(frames))
    idle = peak_megabytes()
    rate = int(batch) / measure(step, config, int(batch), float(seconds))
    result = {"windows_per_second": rate, "peak_megabytes": peak_megabytes(), "idle_megabytes": idle}
    print(json.dumps(result | {"version": torch.__version__}))


if __name__ == "__main__":
    main()
