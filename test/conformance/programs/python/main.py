"""The Python program of the conformance suite. Its protocol is in docs/new-language.md."""

import asyncio

from program import Program

asyncio.run(Program().run())
