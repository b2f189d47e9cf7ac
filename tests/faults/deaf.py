"""`python -m tests.faults.deaf worker …`: a stream worker that ceases to consume at SIGUSR1, and
does everything else as ever."""

from __future__ import annotations

import asyncio
import signal

from stream.__main__ import cli
from stream.adapters.faust_log import FaustLog


async def _run_until_told(self: FaustLog) -> None:
    # What Faust does in a rebalance, after which it has been seen to forget to go on.
    def stop() -> None:
        consumer = self._app.consumer
        consumer.stop_flow()
        # The rebalance in which it joined may not be over.
        consumer.resume_flow = consumer.stop_flow  # type: ignore[method-assign]

    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, stop)
    await _run(self)


_run = FaustLog.run
FaustLog.run = _run_until_told  # type: ignore[method-assign]

if __name__ == "__main__":
    cli()
