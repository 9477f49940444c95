"""The operator's station: polls the controller at several rates and now and then sets something.

It reconnects every two to seven minutes, looking the controller's name up anew, and looks at the status page.
SIGUSR1 is the change of shift: it disconnects, and after a pause the next operator looks around and begins a batch.
"""

import argparse
import heapq
import random
import signal
import time
import urllib.request

from pymodbus.client import ModbusTcpClient
from pymodbus.exceptions import ModbusException

from hosts import tank

PLC_NAME = "plc.plant.test"
UNIT = 1

# What is polled: seconds between two polls, function, first address, count.
POLLS = (
    (1.0, "read_input_registers", 0, 8),
    (1.5, "read_discrete_inputs", 0, 12),
    (2.0, "read_coils", 0, 8),
    (3.0, "read_input_registers", 8, 8),
    (5.0, "read_holding_registers", 0, 10),
    (15.0, "read_input_registers", 16, 2),
    (30.0, "read_holding_registers", 10, 22),
)
PAGE_SECONDS = (40, 120)
CONNECTION_SECONDS = (120, 400)
ACTION_SECONDS = (8, 30)
SHIFT_PAUSE_SECONDS = (15, 45)
PAGES = ("/", "/alarms", "/trend")


class Station:
    """One operator's station; the seed decides what the operator does and when."""

    def __init__(self, seed: int):
        self.random = random.Random(seed)
        self.client = None
        self.shift_ends = False

    def connect(self) -> None:
        self.client = ModbusTcpClient(PLC_NAME, timeout=2, retries=1)
        if not self.client.connect():
            raise ConnectionError(f"{PLC_NAME} does not answer")

    def poll(self, function: str, address: int, count: int) -> None:
        getattr(self.client, function)(address, count=count, device_id=UNIT)

    def act(self) -> None:
        """One action of an operator, within the range he normally uses."""
        draw, client = self.random, self.client
        action = draw.choices(
            ("level", "temperature", "limits", "mixer", "lamp", "acknowledge", "pump", "heater"),
            (6, 4, 1, 3, 3, 2, 2, 1),
        )[0]
        if action == "level":
            client.write_register(tank.LEVEL_SETPOINT, 10 * draw.randint(42, 64), device_id=UNIT)
        elif action == "temperature":
            client.write_register(tank.TEMPERATURE_SETPOINT, 5 * draw.randint(96, 112), device_id=UNIT)
        elif action == "limits":
            limits = [10 * draw.randint(80, 88), 10 * draw.randint(18, 24)]
            client.write_registers(tank.ALARM_HIGH, limits, device_id=UNIT)
        elif action == "mixer":
            client.write_coil(tank.MIXER, draw.random() < 0.7, device_id=UNIT)
            client.write_register(tank.MIXER_SPEED, draw.choice((90, 120, 150)), device_id=UNIT)
        elif action == "lamp":
            client.write_coil(tank.LAMP, draw.random() < 0.5, device_id=UNIT)
        elif action == "acknowledge":
            client.write_coil(tank.ACKNOWLEDGE, True, device_id=UNIT)
        elif action == "pump":
            client.write_coils(tank.PUMP, [False, True, True], device_id=UNIT)
            time.sleep(draw.uniform(1.0, 2.0))
            client.write_coils(tank.PUMP, [True, True, True], device_id=UNIT)
        else:
            client.write_coil(tank.HEATER, True, device_id=UNIT)

    def look_at_page(self, path: str = "") -> None:
        path = path or self.random.choices(PAGES, (6, 1, 1))[0]
        with urllib.request.urlopen(f"http://{PLC_NAME}{path}", timeout=3) as page:
            page.read()

    def change_shift(self) -> None:
        """The next operator looks at every page, acknowledges what is there and begins a batch."""
        time.sleep(self.random.uniform(*SHIFT_PAUSE_SECONDS))
        self.shift_ends = False
        self.connect()
        for path in PAGES:
            self.look_at_page(path)
            time.sleep(self.random.uniform(1, 4))
        self.client.read_holding_registers(0, count=32, device_id=UNIT)
        self.client.write_coil(tank.ACKNOWLEDGE, True, device_id=UNIT)
        self.client.write_register(tank.BATCH, self.random.randint(418, 999), device_id=UNIT)
        self.client.close()

    def session(self) -> None:
        """One connection to the controller, from the look-up of its name to the disconnect."""
        self.connect()
        now = time.monotonic()
        end = now + self.random.uniform(*CONNECTION_SECONDS)
        work = [(now + 0.1 * i, i, period, self.poll, arguments) for i, (period, *arguments) in enumerate(POLLS)]
        work.append((now + self.random.uniform(*ACTION_SECONDS), 100, ACTION_SECONDS, self.act, ()))
        work.append((now + self.random.uniform(*PAGE_SECONDS), 101, PAGE_SECONDS, self.look_at_page, ()))
        heapq.heapify(work)
        while work[0][0] < end and not self.shift_ends:
            due, order, period, call, arguments = heapq.heappop(work)
            time.sleep(max(0.0, due - time.monotonic()))
            call(*arguments)
            pause = self.random.uniform(*period) if isinstance(period, tuple) else period
            # A station that fell behind does not catch up with a burst.
            heapq.heappush(work, (max(due + pause, time.monotonic()), order, period, call, arguments))
        self.client.close()


def main(seed: int) -> None:
    station = Station(seed)

    def end_shift(*_) -> None:
        station.shift_ends = True

    signal.signal(signal.SIGUSR1, end_shift)
    while True:
        try:
            if station.shift_ends:
                station.change_shift()
            station.session()
        except (ModbusException, OSError) as error:
            print(f"operator: {error}; connects again", flush=True)
            station.client.close()
        time.sleep(station.random.uniform(0.5, 2.0))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, required=True)
    main(parser.parse_args().seed)
