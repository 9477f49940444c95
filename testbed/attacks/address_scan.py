"""Which addresses are there: an ARP sweep (nmap), then pings to each host found."""

import random
import subprocess

from attacks.episode import arguments, between, episode
from network import ENGINEERING, MONITOR, OPERATOR, PLC

# How many addresses, the targets as nmap wants them, further options, pings per host.
SWEEPS = {
    1: (64, "192.168.10.0/26", (), 2),
    2: (128, "192.168.10.0/25", ("--max-rate", "20"), 1),
    3: (50, "192.168.10.1-50", ("--max-rate", "5"), 3),
}

if __name__ == "__main__":
    given = arguments(__doc__)
    count, targets, options, pings = SWEEPS[given.number]
    echo_id = random.randrange(1, 65536)
    # In ordinary operation the engineering station and the operator's have nothing to say to each other.
    claims = [
        between(ENGINEERING, OPERATOR),
        {"kind": "sweep", "mac": ENGINEERING.mac},
        {"kind": "echo", "ip": ENGINEERING.ip, "id": echo_id},
    ]
    description = f"ARP sweep over {count} addresses, pings to the hosts found"
    with episode(given.log, f"address_scan_{given.number}", description, claims):
        scan = ["nmap", "-n", "-sn", "-PR", *options, targets]
        subprocess.run(scan, check=True, stdout=subprocess.DEVNULL)
        for host in (PLC, OPERATOR, MONITOR):
            ping = ["ping", "-q", "-c", str(pings), "-i", "0.2", "-W", "1", "-e", str(echo_id), host.ip]
            subprocess.run(ping, check=True, stdout=subprocess.DEVNULL)
