"""Which services are there: a SYN scan (nmap) of 100 ports of the controller and of the operator's station."""

import subprocess

from attacks.episode import arguments, between, episode, ports, reserve_ports
from network import ENGINEERING, OPERATOR, PLC

SCANNED = "1-94,102,443,502,4840,20000,44818"

if __name__ == "__main__":
    given = arguments(__doc__)
    (port,) = reserve_ports(1)
    # nmap asks by ARP for the addresses it is about to scan; it scans from one port. In ordinary operation
    # the engineering station and the operator's have nothing to say to each other.
    claims = [{"kind": "sweep", "mac": ENGINEERING.mac}, ports([port]), between(ENGINEERING, OPERATOR)]
    with episode(given.log, "port_scan", "SYN scan of 100 ports of plc and operator", claims):
        scan = ["nmap", "-n", "-sS", "-g", str(port), "--max-retries", "1", "--max-rate", "60"]
        subprocess.run([*scan, "-p", SCANNED, PLC.ip, OPERATOR.ip], check=True, stdout=subprocess.DEVNULL)
