"""What the programs of the integration test have in common."""

from __future__ import annotations

import array
import json
import math
from typing import Any

RATE = 16_000


def tell(what: str, **line: Any) -> None:
    """Prints a line of JSON at once."""
    print(json.dumps({"what": what, **line}), flush=True)


def tone(hertz: int, seconds: float) -> bytes:
    """s16le of a pure tone."""
    count = round(seconds * RATE)
    return array.array(
        "h", (round(8_000 * math.sin(2 * math.pi * hertz * i / RATE)) for i in range(count))
    ).tobytes()
