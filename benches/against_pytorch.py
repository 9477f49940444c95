"""Measures the engine beside PyTorch, in one run, and prints the table of docs/benchmarks.md.

    python3 benches/against_pytorch.py [--cell gru|lstm] [--steps encode forward train] [--frames 1 3] ...

Needs Linux, a Rust toolchain and Python 3.10. The first run makes a virtual environment with PyTorch, in .venv-torch of
the repository: about 3 GB. `--python` takes another interpreter that has torch.

Each case runs in a process of its own, PyTorch and the engine in turn, round after round, so that both meet the same
state of the machine and each has its own peak of memory. Speeds are medians over the rounds. Progress goes to standard
error, the table to standard output.

The machine must be otherwise idle. PyTorch's threads wait for each other in every layer: where another program takes a
core away, PyTorch slows down far more than the engine, and the ratio says nothing. Disturbed cases are named at the end.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TORCH_SPEED = ROOT / "benches/torch/speed.py"
STEPS = ("encode", "forward", "train")

# Rounds of one case that differ more than this were disturbed by other programs.
SPREAD_MAX = 1.5

TITLES = (
    "step",
    "frames",
    "batch",
    "PyTorch, windows/s",
    "engine, windows/s",
    "ratio",
    "PyTorch, MB",
    "engine, MB",
    "share of the peak",
    "computed",
)


@dataclass
class Case:
    """What is measured, and what each round gave."""

    step: str
    frames: int
    batch: int
    torch: list = field(default_factory=list)
    engine: list = field(default_factory=list)

    def row(self, peak):
        def median(results, key):
            values = [result[key] for result in results]
            return None if None in values else statistics.median(values)

        theirs, ours = (median(results, "windows_per_second") for results in (self.torch, self.engine))
        memory = [median(results, "peak_megabytes") for results in (self.torch, self.engine)]
        costs = [self.engine[0][f"multiply_adds_{how}"] for how in ("direct", "as_computed")]
        return [
            self.step,
            str(self.frames),
            str(self.batch),
            number(theirs),
            number(ours),
            f"{ours / theirs:.1f}",
            *("–" if megabytes is None else number(megabytes) for megabytes in memory),
            *(f"{ours * cost / peak:.0%}" for cost in costs),
        ]


def spread(case):
    """How many times the best round is as fast as the worst, of PyTorch and of the engine."""
    rates = ([result["windows_per_second"] for result in results] for results in (case.torch, case.engine))
    return tuple(max(rate) / min(rate) for rate in rates)


def doubts(cases):
    """Why the numbers should not be believed: other programs took the cores away."""
    for case in cases:
        theirs, ours = spread(case)
        if max(theirs, ours) > SPREAD_MAX:
            where = f"{case.step}, {case.frames} frames, batch {case.batch}"
            yield f"{where}: the best round is {theirs:.1f} (PyTorch) and {ours:.1f} (engine) times the worst"


def number(value):
    """Three digits, or all before the point."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def options():
    parser = argparse.ArgumentParser(description="Measures the engine beside PyTorch and prints a table.")
    parser.add_argument("--cell", choices=("gru", "lstm"), default="gru")
    parser.add_argument("--steps", nargs="+", choices=STEPS, default=STEPS)
    parser.add_argument("--frames", nargs="+", type=int, default=[1, 3])
    parser.add_argument("--batches", nargs="+", type=int, default=[1, 2, 32, 128, 512])
    parser.add_argument("--seconds", type=float, default=1.0, help="for each case, program and round; default 1")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2, help="of each program; default 2")
    parser.add_argument("--instructions", help="the engine's: portable, avx2, avx512 or neon; default the best")
    parser.add_argument("--python", type=Path, help="an interpreter that has torch, instead of .venv-torch")
    return parser.parse_args()


def environment():
    """The interpreter of a virtual environment with PyTorch, made where there is none."""
    python = ROOT / ".venv-torch/bin/python"
    if not (python.exists() and subprocess.run([python, "-c", "import torch"], capture_output=True).returncode == 0):
        print("making .venv-torch with PyTorch, about 3 GB", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", python.parent.parent], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", "torch", "numpy"], check=True, stdout=sys.stderr)
    return python


def build():
    """The engine's program."""
    command = ["cargo", "build", "--release", "--locked", "-p", "pcapae", "--example", "engine_speed"]
    command += ["--message-format", "json-render-diagnostics"]
    lines = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()
    built = (json.loads(line) for line in lines)
    return next(message["executable"] for message in built if message.get("executable"))


def run(command, **variables):
    """What a program's JSON line says."""
    command = [str(word) for word in command]
    result = subprocess.run(command, env=os.environ | variables, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(result.stdout)


def processor():
    """Its name, and whether it has AVX-512."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    facts = dict(line.split(":", 1) for line in lines if ":" in line)
    facts = {name.strip(): value.strip() for name, value in facts.items()}
    avx512 = "AVX-512" if "avx512f" in facts.get("flags", "").split() else "no AVX-512"
    return f"{facts.get('model name', platform.machine())}, {avx512}"


def main():
    arguments = options()
    python = arguments.python or environment()
    engine = build()
    threads = {"RAYON_NUM_THREADS": str(arguments.threads)}
    family = [arguments.instructions] if arguments.instructions else []
    cases = [Case(*case) for case in product(arguments.steps, arguments.frames, arguments.batches)]
    load, peaks = [os.getloadavg()[0]], []
    for turn in range(1, arguments.rounds + 1):
        peaks.append(run([engine, "peak", arguments.seconds], **threads)["multiply_adds_per_second"])
        for case in cases:
            print(f"round {turn}: {case.step}, {case.frames} frames, batch {case.batch}", file=sys.stderr)
            what = [case.step, arguments.cell, case.frames, case.batch, arguments.seconds]
            case.torch.append(run([python, TORCH_SPEED, *what, arguments.threads]))
            case.engine.append(run([engine, *what, *family], **threads))
    load.append(os.getloadavg()[0])
    peak, one = max(peaks), cases[0]
    idle = statistics.median(result["idle_megabytes"] or 0 for case in cases for result in case.torch)
    version, instructions = one.torch[0]["version"], one.engine[0]["instructions"]
    print(f"Cell {arguments.cell}, PyTorch {version}, engine with {instructions}, {arguments.threads} threads each;")
    print(f"{processor()}, {os.cpu_count()} cores; {time.strftime('%Y-%m-%d')};")
    print(f"medians of {arguments.rounds} rounds of {arguments.seconds:g} s;")
    print(f"mean number of running programs {load[0]:.1f} before, {load[1]:.1f} after;")
    print(f"peak {peak / 1e9:.0f}·10⁹ multiply-adds/s; PyTorch without a network {idle:.0f} MB.\n")
    print("| " + " | ".join(TITLES) + " |")
    print("|---" + "|---:" * (len(TITLES) - 1) + "|")
    for case in cases:
        print("| " + " | ".join(case.row(peak)) + " |")
    for doubt in doubts(cases):
        print(f"DISTURBED, do not publish: {doubt}", file=sys.stderr)


if __name__ == "__main__":
    main()
