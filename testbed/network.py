"""The testbed's network: one bridge, one namespace per host, one veth pair per host.

Every host sits in its own network namespace; the bridge sits in another one, together with the capture.
No namespace has a route or an interface to the outside, so no frame can leave the testbed.
"""

import subprocess
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

SUBNET = "192.168.10.0/24"
PREFIX_LENGTH = 24

# The ports a Linux kernel gives to its programs, attacks included.
EPHEMERAL_PORTS = (32768, 60999)


@dataclass(frozen=True)
class Host:
    """A host of the testbed: its name, IPv4 address and (locally administered) MAC address."""

    name: str
    ip: str
    mac: str


PLC = Host("plc", "192.168.10.10", "02:50:4c:43:00:10")
OPERATOR = Host("operator", "192.168.10.20", "02:48:4d:49:00:20")
ENGINEERING = Host("engineering", "192.168.10.30", "02:45:4e:47:00:30")
MONITOR = Host("monitor", "192.168.10.40", "02:4d:4f:4e:00:40")
ROGUES = (
    Host("rogue-1", "192.168.10.66", "02:52:4f:47:00:66"),
    Host("rogue-2", "192.168.10.177", "02:52:4f:47:00:77"),
    Host("rogue-3", "192.168.10.9", "02:52:4f:47:00:09"),
)
# Comes and goes; its address is whatever dnsmasq gives it.
LAPTOP = Host("laptop", "", "02:4c:41:50:00:64")

HOSTS = {host.name: host for host in (PLC, OPERATOR, ENGINEERING, MONITOR, LAPTOP, *ROGUES)}
SWITCH = "switch"


def run(*command: str) -> None:
    subprocess.run(command, check=True)


class Network:
    """The namespaces of one recording; `with Network("normal") as network:` removes them at the end."""

    def __init__(self, recording: str):
        self.recording = recording

    def namespace(self, name: str) -> str:
        return f"tb-{self.recording}-{name}"

    def inside(self, name: str, *command: str) -> list[str]:
        """The command line which runs `command` in the namespace of host `name`."""
        return ["ip", "netns", "exec", self.namespace(name), *command]

    def __enter__(self) -> "Network":
        self._remove()
        switch = self.namespace(SWITCH)
        self._add_namespace(SWITCH)
        run("ip", "-n", switch, "link", "add", "br0", "type", "bridge", "stp_state", "0", "mcast_snooping", "0")
        # Bit 14 lets the bridge forward LLDP (01:80:c2:00:00:0e), as an unmanaged switch does.
        run("ip", "-n", switch, "link", "set", "br0", "type", "bridge", "group_fwd_mask", "0x4000")
        # A promiscuous bridge hands each frame it forwards, once, to a capture on the bridge itself.
        run("ip", "-n", switch, "link", "set", "br0", "up", "promisc", "on")
        for host in HOSTS.values():
            self._add_host(host)
        return self

    def __exit__(self, *_) -> None:
        self._remove()

    def _sysctl(self, name: str, *settings: str) -> None:
        run(*self.inside(name, "sysctl", "-qw", *settings))

    def _add_namespace(self, name: str) -> None:
        run("ip", "netns", "add", self.namespace(name))
        self._sysctl(name, "net.ipv6.conf.all.disable_ipv6=1", "net.ipv6.conf.default.disable_ipv6=1")
        run("ip", "-n", self.namespace(name), "link", "set", "lo", "up")

    def _add_host(self, host: Host) -> None:
        namespace, switch, port = self.namespace(host.name), self.namespace(SWITCH), f"p-{host.name}"
        self._add_namespace(host.name)
        run("ip", "-n", switch, "link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", namespace)
        run("ip", "-n", namespace, "link", "set", "eth0", "address", host.mac)
        # Without offloads every frame has its true size and a true checksum.
        offloads = [word for name in ("tso", "gso", "gro", "tx", "rx", "sg") for word in (name, "off")]
        for place, device in ((host.name, "eth0"), (SWITCH, port)):
            subprocess.run(self.inside(place, "ethtool", "-K", device, *offloads), check=True, capture_output=True)
        run("ip", "-n", switch, "link", "set", port, "master", "br0", "up")
        if host.ip:
            address = f"{host.ip}/{PREFIX_LENGTH}"
            run("ip", "-n", namespace, "address", "add", address, "broadcast", "+", "dev", "eth0")
        # An unknown host is not there until its visit.
        if host.ip and host not in ROGUES:
            self.link_up(host.name)
        resolver = Path("/etc/netns", namespace, "resolv.conf")
        resolver.parent.mkdir(parents=True, exist_ok=True)
        resolver.write_text(f"nameserver {MONITOR.ip}\noptions timeout:1 attempts:2\n")

    def link_up(self, name: str) -> None:
        run("ip", "-n", self.namespace(name), "link", "set", "eth0", "up")
        run("ip", "-n", self.namespace(name), "route", "add", "224.0.0.0/4", "dev", "eth0")

    def link_down(self, name: str) -> None:
        run("ip", "-n", self.namespace(name), "link", "set", "eth0", "down")

    def forget_address(self, name: str) -> None:
        run("ip", "-n", self.namespace(name), "address", "flush", "dev", "eth0")

    def has_address(self, name: str) -> bool:
        show = ("ip", "-n", self.namespace(name), "-4", "-o", "address", "show", "dev", "eth0")
        return bool(subprocess.run(show, capture_output=True, check=True).stdout)

    def new_hardware(self, name: str, mac: str) -> None:
        """Another network card; the link must be down."""
        run("ip", "-n", self.namespace(name), "link", "set", "eth0", "address", mac)

    def _remove(self) -> None:
        for name in (*HOSTS, SWITCH):
            namespace = self.namespace(name)
            subprocess.run(["ip", "netns", "delete", namespace], capture_output=True)
            resolver = Path("/etc/netns", namespace, "resolv.conf")
            resolver.unlink(missing_ok=True)
            if resolver.parent.exists():
                resolver.parent.rmdir()
        # Other programs may have files there.
        with suppress(OSError):
            Path("/etc/netns").rmdir()
