"""The running mean and standard deviation of one series, by Welford's method (Technometrics 4(3), 1962)."""

import math
import struct
from typing import Optional, Tuple

# How many points are learnt before the first is scored.
WARMUP_POINTS = 10
# A value this many standard deviations away scores 1.
LIMIT_DEVIATIONS = 3.0
# The first byte of the state; another one is refused.
STATE_VERSION = 1
# The version, then count, mean and squares in little-endian order.
STATE = struct.Struct("<BQdd")


class Mean:
    """Count, mean, and sum of squared distances to the mean."""

    def __init__(self, count: int = 0, mean: float = 0.0, squares: float = 0.0):
        self.count, self.mean, self.squares = count, mean, squares

    def is_warming(self) -> bool:
        """Whether there are too few points yet."""
        return self.count < WARMUP_POINTS

    def judge(self, value: float) -> Tuple[float, float, float]:
        """Score and band of a value, by the points before it."""
        limit = LIMIT_DEVIATIONS * math.sqrt(self.squares / self.count)
        distance = abs(value - self.mean)
        score = distance / limit if limit > 0 else float(distance > 0)
        return score, self.mean - limit, self.mean + limit

    def learn(self, value: float) -> None:
        """Takes a value in; what is no number is left out."""
        if math.isfinite(value):
            self.count += 1
            before = value - self.mean
            self.mean += before / self.count
            self.squares += before * (value - self.mean)

    def save(self) -> bytes:
        return STATE.pack(STATE_VERSION, self.count, self.mean, self.squares)

    @staticmethod
    def load(state: bytes) -> Optional["Mean"]:
        """The state that `save` wrote, or nothing when it is another one."""
        if len(state) != STATE.size or state[0] != STATE_VERSION:
            return None
        return Mean(*STATE.unpack(state)[1:])
