"""The labelling rule on frames made by hand: `python3 -m unittest test_labels` in this folder."""

import json
import struct
import tempfile
import unittest
from pathlib import Path

import label

ATTACKER, OPERATOR, PLC = "02:00:00:00:00:03", "02:00:00:00:00:02", "02:00:00:00:00:01"
ATTACKER_IP, OPERATOR_IP, PLC_IP = "10.0.0.3", "10.0.0.2", "10.0.0.1"


def ethernet(source: str, destination: str, ether_type: int, rest: bytes) -> bytes:
    return bytes.fromhex((destination + source).replace(":", "")) + struct.pack(">H", ether_type) + rest


def address(text: str) -> bytes:
    return bytes(int(part) for part in text.split("."))


def tcp(source: str, destination: str, source_ip: str, destination_ip: str, ports: tuple[int, int]) -> bytes:
    header = b"\x45" + bytes(8) + b"\x06" + bytes(2) + address(source_ip) + address(destination_ip)
    return ethernet(source, destination, 0x0800, header + struct.pack(">HH", *ports) + bytes(16))


def udp(source: str, destination: str, source_ip: str, destination_ip: str, ports: tuple[int, int]) -> bytes:
    header = b"\x45" + bytes(8) + b"\x11" + bytes(2) + address(source_ip) + address(destination_ip)
    return ethernet(source, destination, 0x0800, header + struct.pack(">HH", *ports) + bytes(4))


def arp(source: str, destination: str, operation: int, source_ip: str, destination_ip: str) -> bytes:
    body = bytes(6) + struct.pack(">H", operation) + bytes(6) + address(source_ip) + bytes(6) + address(destination_ip)
    return ethernet(source, destination, 0x0806, body)


def capture_of(frames: list[bytes]) -> bytes:
    """A pcap file with these frames, all at 105 s."""
    records = b"".join(struct.pack("<4I", 105, 0, len(frame), len(frame)) + frame for frame in frames)
    return struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1) + records


def episode(*claims: dict) -> dict:
    return {"episode": "attack", "description": "", "start": 100.0, "end": 110.0, "claims": list(claims)}


PORTS = {"kind": "ports", "ip": ATTACKER_IP, "ports": [40000, 40002]}
SWEEP = {"kind": "sweep", "mac": ATTACKER}
BETWEEN = {"kind": "between", "mac": ATTACKER, "ips": [OPERATOR_IP, PLC_IP]}
HOST = {"kind": "host", "mac": ATTACKER, "ip": ATTACKER_IP}


class Rule(unittest.TestCase):
    def check(self, claim: dict, frame: bytes, expected: bool, time: float = 105.0):
        name = label.episode_of(time, label.parse(frame), [episode(claim)])
        self.assertEqual(name, "attack" if expected else None)

    def test_a_segment_of_the_attack_and_its_answer_are_anomalous(self):
        self.check(PORTS, tcp(ATTACKER, PLC, ATTACKER_IP, PLC_IP, (40000, 502)), True)
        self.check(PORTS, tcp(PLC, ATTACKER, PLC_IP, ATTACKER_IP, (502, 40002)), True)

    def test_another_connection_of_the_same_host_is_normal(self):
        self.check(PORTS, tcp(ATTACKER, PLC, ATTACKER_IP, PLC_IP, (40001, 502)), False)

    def test_the_same_port_of_another_host_is_normal(self):
        self.check(PORTS, tcp(OPERATOR, PLC, OPERATOR_IP, PLC_IP, (40000, 502)), False)

    def test_outside_the_time_of_the_episode_a_port_is_normal(self):
        frame = tcp(ATTACKER, PLC, ATTACKER_IP, PLC_IP, (40000, 502))
        self.check(PORTS, frame, False, time=99.0)
        self.check(PORTS, frame, False, time=119.0)

    def test_the_end_of_a_connection_after_the_attack_program_is_anomalous(self):
        self.check(PORTS, tcp(PLC, ATTACKER, PLC_IP, ATTACKER_IP, (502, 40000)), True, time=111.0)

    def test_a_sweep_covers_broadcast_questions(self):
        self.check(SWEEP, arp(ATTACKER, label.BROADCAST, 1, ATTACKER_IP, PLC_IP), True)
        self.check(SWEEP, arp(ATTACKER, PLC, 1, ATTACKER_IP, PLC_IP), False)
        self.check(SWEEP, arp(ATTACKER, label.BROADCAST, 1, ATTACKER_IP, PLC_IP), False, time=110.5)

    def test_traffic_between_two_hosts_is_anomalous_only_where_it_passes_the_attacker(self):
        self.check(BETWEEN, tcp(OPERATOR, ATTACKER, OPERATOR_IP, PLC_IP, (35000, 502)), True)
        self.check(BETWEEN, tcp(ATTACKER, PLC, OPERATOR_IP, PLC_IP, (35000, 502)), True)
        self.check(BETWEEN, arp(ATTACKER, OPERATOR, 2, PLC_IP, OPERATOR_IP), True)
        self.check(BETWEEN, tcp(OPERATOR, PLC, OPERATOR_IP, PLC_IP, (35000, 502)), False)
        self.check(BETWEEN, tcp(ATTACKER, PLC, ATTACKER_IP, PLC_IP, (35000, 502)), False)

    def test_a_host_is_covered_with_the_questions_for_it(self):
        self.check(HOST, tcp(PLC, ATTACKER, PLC_IP, ATTACKER_IP, (502, 1)), True)
        self.check(HOST, arp(PLC, label.BROADCAST, 1, PLC_IP, ATTACKER_IP), True)
        self.check(HOST, arp(PLC, label.BROADCAST, 1, PLC_IP, OPERATOR_IP), False)

    def test_a_lease_renewed_and_a_start_during_an_attack_are_normal(self):
        renewal = udp(ATTACKER, OPERATOR, ATTACKER_IP, OPERATOR_IP, (68, 67))
        start = arp(OPERATOR, label.BROADCAST, 1, OPERATOR_IP, OPERATOR_IP)
        for claim in (PORTS, SWEEP, HOST | {"mac": "02:00:00:00:00:09", "ip": "10.0.0.9"}):
            self.check(claim, renewal, False)
            self.check(claim, start, False)

    def test_a_laptop_of_maintenance_is_normal_unless_the_sweep_asks_for_it(self):
        laptop, laptop_ip = "02:00:00:00:00:05", "10.0.0.5"
        self.check(BETWEEN, tcp(laptop, PLC, laptop_ip, PLC_IP, (40000, 502)), False)
        self.check(SWEEP, arp(laptop, label.BROADCAST, 1, laptop_ip, PLC_IP), False)
        question = arp(ATTACKER, label.BROADCAST, 1, ATTACKER_IP, laptop_ip)
        reply = arp(laptop, ATTACKER, 2, laptop_ip, ATTACKER_IP)
        _, (time, frame) = label.frames(capture_of([question, reply]))
        self.assertEqual(label.episode_of(time, frame, [episode(SWEEP)]), "attack")

    def test_each_occurrence_of_an_attack_has_its_own_name(self):
        first, second = (episode(PORTS) | {"episode": f"attack_{number}"} for number in (1, 2))
        second |= {"start": 200.0, "end": 210.0}
        frame = label.parse(tcp(ATTACKER, PLC, ATTACKER_IP, PLC_IP, (40000, 502)))
        names = [label.episode_of(time, frame, [first, second]) for time in (105.0, 150.0, 205.0)]
        self.assertEqual(names, ["attack_1", None, "attack_2"])

    def test_a_reply_belongs_to_the_sweep_if_its_question_was_a_broadcast(self):
        reply = arp(PLC, ATTACKER, 2, PLC_IP, ATTACKER_IP)
        for asked, expected in ((label.BROADCAST, "attack"), (PLC, None)):
            question = arp(ATTACKER, asked, 1, ATTACKER_IP, PLC_IP)
            (_, _), (time, frame) = label.frames(capture_of([question, reply]))
            self.assertEqual(label.episode_of(time, frame, [episode(SWEEP)]), expected)


class Files(unittest.TestCase):
    def test_there_is_one_row_per_packet_and_one_per_episode(self):
        frames = [
            tcp(OPERATOR, PLC, OPERATOR_IP, PLC_IP, (35000, 502)),
            tcp(ATTACKER, PLC, ATTACKER_IP, PLC_IP, (40000, 502)),
            ethernet(PLC, "01:80:c2:00:00:0e", 0x88CC, bytes(46)),
        ]
        with tempfile.TemporaryDirectory() as folder:
            capture, log, out = (Path(folder, name) for name in ("a.pcap", "a.jsonl", "a"))
            capture.write_bytes(capture_of(frames))
            log.write_text(json.dumps(episode(PORTS)) + "\n")
            label.write(capture, log, out)
            self.assertEqual(Path(f"{out}.labels.csv").read_text(), "-1,\n1,attack\n-1,\n")
            self.assertEqual(Path(f"{out}.episodes.csv").read_text().splitlines()[1], "attack,2,2,1,")

    def test_a_replaced_device_is_listed_from_its_first_packet_on(self):
        new = "02:00:00:00:00:22"
        frames = [
            tcp(OPERATOR, PLC, OPERATOR_IP, PLC_IP, (35000, 502)),
            arp(new, label.BROADCAST, 1, OPERATOR_IP, OPERATOR_IP),
            ethernet(PLC, "01:80:c2:00:00:0e", 0x88CC, bytes(46)),
            tcp(PLC, new, PLC_IP, OPERATOR_IP, (502, 35000)),
        ]
        with tempfile.TemporaryDirectory() as folder:
            capture, out = Path(folder, "q.pcap"), Path(folder, "q")
            capture.write_bytes(capture_of(frames))
            label.write_device(capture, new, out)
            row = Path(f"{out}.episodes.csv").read_text().splitlines()[1]
            self.assertTrue(row.startswith("device_replaced,2,4,2,"), row)


if __name__ == "__main__":
    unittest.main()
