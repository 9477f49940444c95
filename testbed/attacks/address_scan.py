"""Which addresses are there: an ARP sweep over 64 addresses (nmap), then two pings to each host found."""

import random
import subprocess

from attacks.episode import arguments, between, episode
from network import ENGINEERING, MONITOR, OPERATOR, PLC

if __name__ == "__main__":
    given = arguments(__doc__)
    echo_id = random.randrange(1, 65536)
    # In ordinary operation the engineering station and the operator's have nothing to say to each other.
    claims = [
        between(ENGINEERING, OPERATOR),
        {"kind": "sweep", "mac": ENGINEERING.mac},
        {"kind": "echo", "ip": ENGINEERING.ip, "id": echo_id},
    ]
    with episode(given.log, "address_scan", "ARP sweep over 64 addresses, pings to the hosts found", claims):
        subprocess.run(["nmap", "-n", "-sn", "-PR", "192.168.10.0/26"], check=True, stdout=subprocess.DEVNULL)
        for host in (PLC, OPERATOR, MONITOR):
            ping = ["ping", "-q", "-c", "2", "-i", "0.2", "-W", "1", "-e", str(echo_id), host.ip]
            subprocess.run(ping, check=True, stdout=subprocess.DEVNULL)
