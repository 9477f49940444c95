"""The plant: the programs of each host, and the rare things that happen to them."""

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

from events import backup, firmware
from network import ENGINEERING, HOSTS, LAPTOP, MONITOR, OPERATOR, PLC, SUBNET, Network

HERE = Path(__file__).resolve().parent
LONGEST_EVENT_SECONDS = 300
REBOOT_SECONDS = (12, 28)
REPLACE_SECONDS = (60, 90)

# The network card of the station that takes the operator station's place in `quiet`.
NEW_OPERATOR_MAC = "02:48:4d:49:00:21"

# Seconds of a lease and the name each host gives. dnsmasq accepts no lease below two minutes.
LEASES = {PLC.name: (1200, "tank-01"), OPERATOR.name: (600, "hmi-1"), ENGINEERING.name: (720, "eng-1")}

# No instance touches the clock of the machine: all run with -x.
CHRONY_SERVER = f"local stratum 8\nallow {SUBNET}\ncmdport 0\nbindcmdaddress /\n"
CHRONY_CLIENT = f"server {MONITOR.ip} iburst minpoll 6 maxpoll 6\ncmdport 0\nbindcmdaddress /\n"


def dnsmasq_settings(work: Path) -> str:
    hosts = {PLC: PLC.mac, OPERATOR: f"{OPERATOR.mac},{NEW_OPERATOR_MAC}", ENGINEERING: ENGINEERING.mac}
    leases = "".join(f"dhcp-host={macs},{host.ip},{LEASES[host.name][0]}\n" for host, macs in hosts.items())
    return f"""\
no-resolv
no-hosts
bind-interfaces
interface=eth0
except-interface=lo
local=/test/
host-record=plc.plant.test,{PLC.ip}
host-record=time.plant.test,{MONITOR.ip}
local-ttl=60
dhcp-range=192.168.10.100,192.168.10.120,600
dhcp-authoritative
dhcp-leasefile={work}/leases
dhcp-option=option:ntp-server,{MONITOR.ip}
{leases}enable-tftp
tftp-root={work}/tftp
tftp-port-range=6900,6999
user=root
pid-file=
"""


def sshd_settings(work: Path) -> str:
    return f"""\
ListenAddress {PLC.ip}
HostKey {work}/ssh/host
AuthorizedKeysFile {work}/ssh/service.pub
PermitRootLogin forced-commands-only
PasswordAuthentication no
UsePAM no
StrictModes no
PidFile none
"""


class Plant:
    """All that runs in the namespaces; everything is ended when the recording is over."""

    def __init__(self, network: Network, work: Path, seed: int, hurried: bool = False):
        self.network, self.work, self.seed = network, work, seed
        self.random = random.Random(seed)
        self.running: dict[str, list[subprocess.Popen]] = {}
        self.programs: dict[str, subprocess.Popen] = {}
        # Trying everything once must not take long.
        self.hurried = hurried

    def __enter__(self) -> "Plant":
        return self

    def __exit__(self, *_) -> None:
        for host in list(self.running):
            self.stop(host)

    def start(self, host: str, name: str, *command: str) -> subprocess.Popen:
        with open(self.work / f"{name}.log", "a") as log:
            process = subprocess.Popen(self.network.inside(host, *command), cwd=HERE, stdout=log, stderr=log)
        self.running.setdefault(host, []).append(process)
        return process

    def stop(self, host: str) -> None:
        processes = self.running.pop(host, [])
        for process in reversed(processes):
            process.terminate()
        for process in processes:
            try:
                process.wait(timeout=5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def do(self, host: str, name: str, command: list[str]) -> int:
        """Runs a program to its end."""
        process = self.start(host, name, *command)
        try:
            return process.wait(timeout=LONGEST_EVENT_SECONDS)
        finally:
            self.running[host].remove(process)

    def settings_file(self, name: str, text: str) -> str:
        path = self.work / name
        path.write_text(text)
        return str(path)

    def prepare(self) -> None:
        """The files the hosts serve or store, and the keys of the SSH service."""
        (self.work / "tftp").mkdir(exist_ok=True)
        self.image = self.work / "tftp" / firmware.NAME
        firmware.write_image(self.image)
        self.project = self.work / "hmi-1.prj"
        backup.write_project(self.project)
        keys = self.work / "ssh"
        keys.mkdir(exist_ok=True)
        for name in ("host", "service"):
            (keys / name).unlink(missing_ok=True)
            key = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", str(keys / name)]
            subprocess.run(key, check=True)
        public = keys / "service.pub"
        answer = "echo 'TANK-01 run, firmware 2.3, no faults, memory 61 %, load 0.12'"
        public.write_text(f'restrict,command="{answer}" {public.read_text()}')
        Path("/run/sshd").mkdir(exist_ok=True)

    def start_all(self) -> None:
        self.prepare()
        names = self.settings_file("dnsmasq.conf", dnsmasq_settings(self.work))
        self.start(MONITOR.name, "dnsmasq", "dnsmasq", "--keep-in-foreground", f"--conf-file={names}")
        time.sleep(1)
        for host in (MONITOR.name, PLC.name, OPERATOR.name, ENGINEERING.name):
            if host in LEASES:
                self.ask_for_lease(host)
            self.start_services(host)
            time.sleep(1)

    def ask_for_lease(self, host: str) -> None:
        lease = ("busybox", "udhcpc", "-f", "-i", "eth0", "-s", str(HERE / "hosts" / "lease.sh"))
        self.start(host, f"lease-{host}", *lease, "-x", f"hostname:{LEASES[host][1]}")
        for _ in range(100):
            time.sleep(0.1)
            if self.network.has_address(host):
                return
        raise OSError(f"{host} got no lease")

    def start_services(self, host: str) -> None:
        text = CHRONY_SERVER if host == MONITOR.name else CHRONY_CLIENT
        text += f"pidfile {self.work}/chrony-{host}.pid\n"
        clock = self.settings_file(f"chrony-{host}.conf", text)
        self.start(host, f"chrony-{host}", "chronyd", "-d", "-x", "-u", "root", "-f", clock)
        if host == PLC.name:
            shell = self.settings_file("sshd.conf", sshd_settings(self.work))
            self.start(host, "sshd", "/usr/sbin/sshd", "-D", "-e", "-f", shell)
        self.start_program(host)

    def start_program(self, host: str) -> None:
        self.seed += 1
        command = (sys.executable, "-m", f"hosts.{host}", "--seed", str(self.seed))
        self.programs[host] = self.start(host, host, *command)

    def signal(self, host: str, number: int) -> None:
        """A signal to the host's own program, if it is running."""
        if self.programs[host].poll() is None:
            self.programs[host].send_signal(number)

    # What is rare. Each is called with the argument of the schedule.

    def maintenance(self, _: str) -> None:
        self.seed += 1
        command = [sys.executable, "-m", "events.maintenance", "--seed", str(self.seed)]
        command += ["--key", str(self.work / "ssh" / "service"), "--longest-pause", "2" if self.hurried else "25"]
        self.do(LAPTOP.name, "maintenance", command)

    def reboot(self, host: str, seconds: tuple = REBOOT_SECONDS, mac: str = "") -> None:
        self.stop(host)
        self.network.link_down(host)
        self.network.forget_address(host)
        if mac:
            self.network.new_hardware(host, mac)
        time.sleep(self.random.uniform(*seconds))
        self.network.link_up(host)
        self.ask_for_lease(host)
        self.do(host, "arping", ["arping", "-q", "-U", "-c", "2", "-I", "eth0", HOSTS[host].ip])
        self.start_services(host)

    def replace(self, host: str) -> None:
        """Another device takes the host's place: same address, other network card."""
        self.reboot(host, REBOOT_SECONDS if self.hurried else REPLACE_SECONDS, NEW_OPERATOR_MAC)

    def firmware(self, way: str) -> None:
        if way == "tftp":
            self.do(PLC.name, "firmware", firmware.fetch(MONITOR.ip))
        else:
            self.do(ENGINEERING.name, "firmware", firmware.bring(self.image, "plc.plant.test"))

    def backup(self, _: str) -> None:
        self.do(MONITOR.name, "backup", backup.from_controller(PLC.ip))
        time.sleep(self.random.uniform(2, 6))
        self.do(OPERATOR.name, "backup", backup.from_operator(self.project, MONITOR.ip))

    def clock(self, _: str) -> None:
        self.signal(PLC.name, signal.SIGUSR2)

    def shift(self, _: str) -> None:
        self.signal(OPERATOR.name, signal.SIGUSR1)

    def alarm(self, _: str) -> None:
        self.signal(PLC.name, signal.SIGHUP)

    def commission(self) -> None:
        self.signal(PLC.name, signal.SIGUSR1)
