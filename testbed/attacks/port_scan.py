"""Which services are there: a SYN scan (nmap) of up to 100 ports of two hosts."""

import subprocess

from attacks.episode import arguments, between, episode, ports, reserve_ports
from network import ENGINEERING, MONITOR, OPERATOR, PLC

# Who is scanned, which ports, how many that are, and how many in a second.
SCANS = {
    1: ((PLC, OPERATOR), "1-94,102,443,502,4840,20000,44818", 100, 60),
    2: ((PLC, MONITOR), "20-25,53,80,102,123,443,502,1089-1091,2222,4840,8000-8020,20000,34962-34964", 43, 8),
    3: ((OPERATOR, MONITOR), "100-139,445,3389,5900-5903,8080", 47, 150),
}

if __name__ == "__main__":
    given = arguments(__doc__)
    hosts, scanned, count, rate = SCANS[given.number]
    (port,) = reserve_ports(1)
    # nmap asks by ARP for the addresses it is about to scan; it scans from one port. In ordinary operation
    # the engineering station and the operator's have nothing to say to each other.
    claims = [{"kind": "sweep", "mac": ENGINEERING.mac}, ports([port]), between(ENGINEERING, OPERATOR)]
    description = f"SYN scan of {count} ports of {hosts[0].name} and {hosts[1].name}"
    with episode(given.log, f"port_scan_{given.number}", description, claims):
        scan = ["nmap", "-n", "-sS", "-g", str(port), "--max-retries", "1", "--max-rate", str(rate)]
        targets = [host.ip for host in hosts]
        subprocess.run([*scan, "-p", scanned, *targets], check=True, stdout=subprocess.DEVNULL)
