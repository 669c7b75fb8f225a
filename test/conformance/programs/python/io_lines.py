"""Lines out, and errors as the protocol writes them."""

from __future__ import annotations

import json
import sys
from typing import Any

from callweave import CallweaveError


class ProgramError(Exception):
    """Something the program was told that it does not know."""


def show(**line: Any) -> None:
    """Prints a line at once; what is None is left out."""
    given = {name: value for name, value in line.items() if value is not None}
    sys.stdout.write(json.dumps(given) + "\n")
    sys.stdout.flush()


def told(error: BaseException) -> dict[str, Any]:
    """An error as the protocol writes it."""
    if isinstance(error, CallweaveError):
        return {"reason": error.reason, "message": error.message, "metadata": dict(error.metadata)}
    if isinstance(error, ProgramError):
        return {"reason": "PROGRAM", "message": str(error), "metadata": {}}
    text = f"{type(error).__name__}: {error}"
    return {"reason": "TRANSPORT", "message": text, "metadata": {}}
