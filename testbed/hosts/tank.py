"""The simulated process: a heated water tank, held at a level by a PI controller, and its Modbus registers.

Input registers (read only)          Holding registers (settings)
  0 level, 0.1 %                       0 level setpoint, 0.1 %
  1 inflow, 0.01 l/s                   1 temperature setpoint, 0.1 C
  2 outflow, 0.01 l/s                  2 high level alarm, 0.1 %
  3 temperature, 0.1 C                 3 low level alarm, 0.1 %
  4 pressure, mbar                     4 controller Kp, 0.01
  5 pump speed, 0.1 %                  5 controller Ki, 0.001
  6 outlet valve, 0.1 %                6 mode, 0 manual or 1 automatic
  7 pump current, mA                   7 pump speed in manual mode, 0.1 %
  8 energy, Wh (two registers)         8 mixer speed, rpm
 10 volume, l (float32)                9 batch number
 12 run time, s                       10 to 31 recipe and name plate, constant
 13 alarm word
 14 heartbeat                        Coils                  Discrete inputs
 15 supply, 0.1 V                      0 pump enabled         0 pump runs     5 heater on
 16 clock, Unix time (two registers)   1 inlet open           1 inlet open    6 mixer runs
                                       2 outlet open          2 outlet open   7 alarm
                                       3 heater enabled       3 level high    8 automatic
                                       4 mixer on             4 level low     9 lamp
                                       5 automatic            10 and 11: constant
                                       6 alarm acknowledge
                                       7 lamp
"""

import math
import random
import struct

LEVEL_SETPOINT, TEMPERATURE_SETPOINT, ALARM_HIGH, ALARM_LOW, KP, KI, MODE, MANUAL_SPEED, MIXER_SPEED, BATCH = range(10)
PUMP, INLET, OUTLET, HEATER, MIXER, AUTOMATIC, ACKNOWLEDGE, LAMP = range(8)

NAME_PLATE = "TANK-01 WATER HEATING UNIT 400V 50HZ"


class Tank:
    """State and registers of the process; `step` moves it on by some seconds."""

    def __init__(self, seed: int):
        self.random = random.Random(seed)
        self.level, self.temperature = 52.0, 51.0
        self.integral, self.heating, self.alarm_held = 40.0, False, False
        self.inflow = self.outflow = self.speed = 0.0
        self.energy, self.volume, self.time = 183_000.0, 48_211.0, self.random.uniform(2_000, 20_000)
        self.demand = 1.0
        self.blocked_until = 0.0
        self.holding: list[int] = []
        self.coils: list[bool] = []
        self.commission()
        self.inputs = [0] * 18
        self.discrete = [False] * 12
        self._publish()

    def commission(self) -> None:
        """Gives all settings, which are what a client may write, the values the plant starts with."""
        plate = struct.unpack(">18H", NAME_PLATE.encode().ljust(36))
        self.holding[:] = [520, 520, 850, 200, 350, 60, 1, 450, 120, 417, 3, 12, 1800, 75, *plate]
        self.coils[:] = [True, True, True, True, True, True, False, False]

    def block_inlet(self) -> None:
        """Something sticks in the inlet for about a minute: the level falls until the low alarm comes."""
        self.blocked_until = self.time + self.random.uniform(55, 75)

    def step(self, seconds: float) -> None:
        self.time += seconds
        # Demand follows a slow cycle of two minutes with a wandering part.
        self.demand += self.random.gauss(0, 0.02) * math.sqrt(seconds) - 0.01 * seconds * (self.demand - 1.0)
        demand = max(0.3, self.demand + 0.25 * math.sin(2 * math.pi * self.time / 120))
        self._control(seconds)
        flows = self.coils[INLET] and self.time > self.blocked_until
        self.inflow = 0.06 * self.speed if flows else 0.0
        self.outflow = 0.35 * math.sqrt(max(self.level, 0.0)) * demand if self.coils[OUTLET] else 0.0
        self.level = min(100.0, max(0.0, self.level + 0.25 * seconds * (self.inflow - self.outflow)))
        target = self.holding[TEMPERATURE_SETPOINT] / 10
        if self.temperature < target - 0.8:
            self.heating = True
        elif self.temperature > target + 0.8:
            self.heating = False
        self.heating = self.heating and self.coils[HEATER]
        warming = 0.35 if self.heating else 0.0
        cooling = 0.0035 * (self.temperature - 18.0) + 0.01 * self.inflow
        self.temperature += seconds * (warming - cooling)
        self.energy += seconds / 3.6 * (0.011 * self.speed + (6.0 if self.heating else 0.0))
        self.volume += seconds * self.outflow
        self._publish()

    def _control(self, seconds: float) -> None:
        if not self.coils[PUMP]:
            wanted = 0.0
        elif self.coils[AUTOMATIC] and self.holding[MODE] == 1:
            error = self.holding[LEVEL_SETPOINT] / 10 - self.level
            self.integral = min(100.0, max(0.0, self.integral + self.holding[KI] / 1000 * error * seconds * 10))
            wanted = self.holding[KP] / 100 * error + self.integral
        else:
            wanted = self.holding[MANUAL_SPEED] / 10
        wanted = min(100.0, max(0.0, wanted))
        # A pump follows its drive with a ramp of 20 % per second.
        self.speed += max(-20 * seconds, min(20 * seconds, wanted - self.speed))

    def _publish(self) -> None:
        noise = self.random.gauss
        level = min(100.0, max(0.0, self.level + noise(0, 0.08)))
        high, low = level > self.holding[ALARM_HIGH] / 10, level < self.holding[ALARM_LOW] / 10
        self.alarm_held = high or low or (self.alarm_held and not self.coils[ACKNOWLEDGE])
        if self.coils[ACKNOWLEDGE]:
            self.coils[ACKNOWLEDGE] = False
        current = 400 + 42 * self.speed + noise(0, 12) if self.speed > 0.5 else 0
        analog = (
            level * 10,
            max(0, self.inflow + noise(0, 0.01)) * 100,
            max(0, self.outflow + noise(0, 0.01)) * 100,
            (self.temperature + noise(0, 0.08)) * 10,
            1013 + level * 1.96 + noise(0, 0.6),
            self.speed * 10,
            1000 if self.coils[OUTLET] else 0,
            current,
        )
        alarm_word = (1 if high else 0) | (2 if low else 0) | (4 if self.alarm_held else 0)
        self.inputs[:8] = [max(0, min(65535, round(value))) for value in analog]
        self.inputs[8:10] = struct.unpack(">2H", struct.pack(">I", int(self.energy)))
        self.inputs[10:12] = struct.unpack(">2H", struct.pack(">f", self.volume))
        heartbeat, supply = int(self.time * 2) & 0xFFFF, round(3998 + noise(0, 8))
        self.inputs[12:16] = [int(self.time) & 0xFFFF, alarm_word, heartbeat, supply]
        c = self.coils
        self.discrete[:] = [
            self.speed > 0.5, c[INLET], c[OUTLET], high, low, self.heating,
            c[MIXER], self.alarm_held, c[AUTOMATIC], c[LAMP], True, False,
        ]
