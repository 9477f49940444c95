"""Records the testbed once: `record.py normal` or `record.py attack`. See README.md; needs root.

Starts the network, the hosts and the capture, runs the attacks of the schedule if there are any, and takes
everything down again, whatever happens.
"""

import argparse
import shutil
import signal
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import label
import order
from network import ENGINEERING, MONITOR, OPERATOR, PLC, ROGUE, SUBNET, SWITCH, Network

HERE = Path(__file__).resolve().parent
WARM_UP_SECONDS = 15
LONGEST_ATTACK_SECONDS = 120

# Seconds of recording and seed of the hosts' behaviour.
RECORDINGS = {"normal": (480, 1000), "attack": (390, 2000)}

# When an attack starts (seconds into the recording), from which host, and which program.
SCHEDULE = {
    "normal": (),
    "attack": (
        (20, ENGINEERING, "address_scan"),
        (45, ENGINEERING, "port_scan"),
        (75, ENGINEERING, "modbus_scan"),
        (105, ENGINEERING, "writes"),
        (170, ENGINEERING, "arp_spoof"),
        (235, ENGINEERING, "replay"),
        (275, ENGINEERING, "flood"),
        (330, ROGUE, "rogue_host"),
    ),
}

DNSMASQ = f"""\
no-resolv
no-hosts
bind-interfaces
listen-address={MONITOR.ip}
local=/test/
host-record=plc.plant.test,{PLC.ip}
host-record=time.plant.test,{MONITOR.ip}
local-ttl=60
user=root
pid-file=
"""

# No instance touches the clock of the machine: all run with -x.
CHRONY_SERVER = f"local stratum 8\nallow {SUBNET}\ncmdport 0\nbindcmdaddress /\n"
CHRONY_CLIENT = f"server {MONITOR.ip} iburst minpoll 4 maxpoll 4\ncmdport 0\nbindcmdaddress /\n"


class Programs:
    """Programs running in namespaces; all are ended when the recording is over."""

    def __init__(self, network: Network, work: Path):
        self.network, self.work = network, work
        self.running: list[subprocess.Popen] = []

    def __enter__(self) -> "Programs":
        return self

    def __exit__(self, *_) -> None:
        for process in reversed(self.running):
            process.terminate()
        for process in self.running:
            try:
                process.wait(timeout=5)
            except subprocess.TimeoutExpired:
                process.kill()

    def start(self, host: str, name: str, *command: str) -> subprocess.Popen:
        with open(self.work / f"{name}.log", "w") as log:
            process = subprocess.Popen(self.network.inside(host, *command), cwd=HERE, stdout=log, stderr=log)
        self.running.append(process)
        return process

    def settings_file(self, name: str, text: str) -> str:
        path = self.work / name
        path.write_text(text)
        return str(path)


def start_hosts(programs: Programs, seed: int) -> subprocess.Popen:
    """Starts the plant and returns the controller's process."""
    names = programs.settings_file("dnsmasq.conf", DNSMASQ)
    programs.start(MONITOR.name, "dnsmasq", "dnsmasq", "--keep-in-foreground", f"--conf-file={names}")
    for host in (MONITOR, PLC, OPERATOR, ENGINEERING):
        text = CHRONY_SERVER if host == MONITOR else CHRONY_CLIENT
        pid_file = f"pidfile {programs.work}/chrony-{host.name}.pid\n"
        clock = programs.settings_file(f"chrony-{host.name}.conf", text + pid_file)
        programs.start(host.name, f"chrony-{host.name}", "chronyd", "-d", "-x", "-u", "root", "-f", clock)
    started = {}
    for place, host in enumerate((PLC, MONITOR, OPERATOR, ENGINEERING)):
        command = (sys.executable, "-m", f"hosts.{host.name}", "--seed", str(seed + place))
        started[host.name] = programs.start(host.name, host.name, *command)
        time.sleep(1)
    return started[PLC.name]


def run_attacks(programs: Programs, schedule: tuple, plc: subprocess.Popen, begin: float, work: Path) -> None:
    for at, host, attack in schedule:
        time.sleep(max(0.0, begin + at - time.monotonic()))
        print(f"{at:4d} s  {attack}", flush=True)
        files = ("--log", str(work / "attacks.jsonl"), "--loot", str(work / "loot.json"))
        process = programs.start(host.name, f"attack-{attack}", sys.executable, "-m", f"attacks.{attack}", *files)
        if process.wait(timeout=LONGEST_ATTACK_SECONDS) != 0:
            raise SystemExit(f"{attack} failed, see {work}/attack-{attack}.log")
        plc.send_signal(signal.SIGUSR1)


def record(name: str, seconds: int, schedule: tuple, seed: int, work: Path) -> Path:
    """Records one capture into `work` and returns its path."""
    capture = work / f"{name}.pcap"
    with ExitStack() as stack:
        network = stack.enter_context(Network(name))
        programs = stack.enter_context(Programs(network, work))
        plc = start_hosts(programs, seed)
        time.sleep(WARM_UP_SECONDS)
        tcpdump = programs.start(
            SWITCH, "tcpdump", "tcpdump", "-i", "br0", "-n", "-s", "0", "-B", "8192",
            "--time-stamp-precision=micro", "--immediate-mode", "-U", "-Z", "root", "-w", str(capture),
        )
        time.sleep(1)
        begin = time.monotonic()
        run_attacks(programs, schedule, plc, begin, work)
        time.sleep(max(0.0, begin + seconds - time.monotonic()))
        tcpdump.terminate()
        tcpdump.wait(timeout=10)
    print((work / "tcpdump.log").read_text(), end="")
    return capture


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recording", choices=RECORDINGS)
    parser.add_argument("--work", type=Path, required=True, help="folder for the logs and the unpacked capture")
    parser.add_argument("--out", type=Path, default=HERE / "captures")
    given = parser.parse_args()
    # Being told to end is an exit like any other: the namespaces go, the programs end.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("record.py: told to end"))
    seconds, seed = RECORDINGS[given.recording]
    given.work.mkdir(parents=True, exist_ok=True)
    given.out.mkdir(parents=True, exist_ok=True)
    log = given.work / "attacks.jsonl"
    log.unlink(missing_ok=True)
    capture = record(given.recording, seconds, SCHEDULE[given.recording], seed, given.work)
    capture.write_bytes(order.by_time(capture.read_bytes()))
    if SCHEDULE[given.recording]:
        label.write(capture, log, given.out / given.recording)
        shutil.copyfile(log, given.out / f"{given.recording}.log.jsonl")
    packed = given.out / f"{given.recording}.pcap.zst"
    subprocess.run(["zstd", "-q", "-19", "-f", str(capture), "-o", str(packed)], check=True)


if __name__ == "__main__":
    main()
