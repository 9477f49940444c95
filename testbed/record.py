"""Records the testbed once: `record.py normal`, `quiet` or `attack`. See README.md; needs root.

Starts the network, the hosts and the capture, does what the schedule says, and takes everything down again,
whatever happens. SIGINT ends the recording early and keeps it. `--smoke` does everything once, without pauses.
"""

import argparse
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path

import label
import order
import schedule
from network import ENGINEERING, ROGUES, SWITCH, Network
from plant import NEW_OPERATOR_MAC, Plant

HERE = Path(__file__).resolve().parent
WARM_UP_SECONDS = 15
SMOKE_SECONDS = 150


def say(begin: float, text: str) -> None:
    print(f"{time.monotonic() - begin:7.1f} s  {text}", flush=True)


def attack(plant: Plant, name: str, number: int) -> None:
    host = ROGUES[number - 1] if name == "rogue_host" else ENGINEERING
    if host in ROGUES:
        plant.network.link_up(host.name)
    files = ["--log", str(plant.work / "attacks.jsonl"), "--loot", str(plant.work / "loot.json")]
    command = [sys.executable, "-m", f"attacks.{name}", "--number", str(number), *files]
    if plant.do(host.name, f"attack-{name}-{number}", command) != 0:
        print(f"{name} {number} failed", flush=True)
    plant.commission()
    if host in ROGUES:
        time.sleep(2)
        plant.network.link_down(host.name)


def steps_of(recording: str, plant: Plant) -> list[tuple[float, str, object]]:
    """Second, words and action of all that happens, in the order of time."""
    found = []
    for at, name, argument in schedule.rare(recording):
        found.append((at, f"{name} {argument}".strip(), partial(getattr(plant, name), argument)))
    for at, name, number in schedule.attacks() if recording == "attack" else ():
        found.append((at, f"{name}_{number}", partial(attack, plant, name, number)))
    return sorted(found, key=lambda step: step[0])


def try_step(begin: float, words: str, action) -> None:
    say(begin, words)
    try:
        action()
        say(begin, f"{words}: done")
    except Exception as error:
        say(begin, f"{words}: FAILED, {error!r}")


def follow(recording: str, plant: Plant, seconds: float, ended: threading.Event) -> None:
    """Does each step at its time; one that takes long does not keep the next one waiting."""
    begin = time.monotonic()
    for at, words, action in steps_of(recording, plant):
        if at < seconds and ended.wait(max(0.0, begin + at - time.monotonic())):
            return
        threading.Thread(target=try_step, args=(begin, words, action), daemon=True).start()
    ended.wait(max(0.0, begin + seconds - time.monotonic()))


def smoke(recording: str, plant: Plant, ended: threading.Event) -> None:
    """Every kind of step once, one after the other."""
    begin, seen = time.monotonic(), set()
    for _, words, action in steps_of(recording, plant):
        kind = words if words.startswith("firmware") else words.rsplit("_", 1)[0].split()[0]
        if kind not in seen and not ended.is_set():
            seen.add(kind)
            try_step(begin, words, action)
            # The labels need some seconds between two attacks.
            time.sleep(label.AFTER_SECONDS + 1)
    ended.wait(max(0.0, begin + SMOKE_SECONDS - time.monotonic()))


def record(given: argparse.Namespace, ended: threading.Event) -> Path:
    """Records one capture into the work folder and returns its path."""
    capture = given.work / f"{given.recording}.pcap"
    with ExitStack() as stack:
        network = stack.enter_context(Network(given.recording))
        plant = stack.enter_context(Plant(network, given.work, schedule.SEEDS[given.recording], given.smoke))
        plant.start_all()
        time.sleep(WARM_UP_SECONDS)
        tcpdump = plant.start(
            SWITCH, "tcpdump", "tcpdump", "-i", "br0", "-n", "-s", "0", "-B", "8192",
            "--time-stamp-precision=micro", "--immediate-mode", "-U", "-Z", "root", "-w", str(capture),
        )
        time.sleep(1)
        print(f"recording since {time.strftime('%H:%M:%S')}", flush=True)
        if given.smoke:
            smoke(given.recording, plant, ended)
        else:
            follow(given.recording, plant, schedule.SECONDS[given.recording], ended)
        tcpdump.terminate()
        tcpdump.wait(timeout=10)
    print((given.work / "tcpdump.log").read_text(), end="")
    return capture


def finish(recording: str, capture: Path, log: Path, out: Path) -> None:
    """Sorts, labels and packs what was recorded."""
    capture.write_bytes(order.by_time(capture.read_bytes()))
    if recording == "attack":
        label.write(capture, log, out / recording)
        shutil.copyfile(log, out / f"{recording}.log.jsonl")
    if recording == "quiet":
        label.write_device(capture, NEW_OPERATOR_MAC, out / recording)
    packed = out / f"{recording}.pcap.zst"
    subprocess.run(["zstd", "-q", "-19", "-f", str(capture), "-o", str(packed)], check=True)


def go_first() -> None:
    """Before other programs of a busy machine, so that no time in the capture is that of a queue."""
    with suppress(PermissionError):
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recording", choices=schedule.SECONDS)
    parser.add_argument("--work", type=Path, required=True, help="folder for the logs and the unpacked capture")
    parser.add_argument("--out", type=Path, default=HERE / "captures")
    parser.add_argument("--smoke", action="store_true", help="try everything once, in a few minutes")
    given = parser.parse_args()
    ended = threading.Event()
    # Being told to end is an exit like any other: the namespaces go, the programs end.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("record.py: told to end"))
    signal.signal(signal.SIGINT, lambda *_: ended.set())
    given.work = given.work.resolve()
    given.work.mkdir(parents=True, exist_ok=True)
    given.out.mkdir(parents=True, exist_ok=True)
    log = given.work / "attacks.jsonl"
    log.unlink(missing_ok=True)
    go_first()
    capture = record(given, ended)
    with suppress(PermissionError):
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
    finish(given.recording, capture, log, given.out)


if __name__ == "__main__":
    main()
