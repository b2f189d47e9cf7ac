"""Draws docs/demo.svg: the demo's terminal view at a moment when an alarm stands.

Runs the demo itself (`.venv/bin/python scripts/demo_picture.py`), waits for the alarm, and saves
what a terminal of 150 columns would show.
"""

from __future__ import annotations

import asyncio
import re
import shutil
import tempfile
from io import StringIO
from pathlib import Path

from rich.console import Console

from contracts.messages import AlarmClass
from vigia.demo.__main__ import line_of
from vigia.demo.eyes import Eyes
from vigia.demo.show import Show, Wish
from vigia.session import Session
from vigia.view import render

PICTURE = Path(__file__).parents[1] / "docs" / "demo.svg"
SEED = 2
WIDTH = 150


async def main() -> None:
    """Raises TimeoutError when no alarm comes within a minute."""
    folder = Path(tempfile.mkdtemp(prefix="vigia-picture-"))
    session = Session()
    eyes = Eyes.prepare(folder)
    screen, line = line_of(eyes, Console(file=StringIO()), "en")
    session.supervisor = line.supervisor
    show = Show(Wish(SEED, 4, 90), line, eyes, screen, session)
    playing = asyncio.create_task(show.play())
    try:
        async with asyncio.timeout(90):
            while len(_process_alarms(show)) < 2:
                await asyncio.sleep(0.2)
        await asyncio.sleep(2)
        picture = Console(file=StringIO(), record=True, width=WIDTH)
        picture.print(render(screen.board, show.frame(), "en", (WIDTH, 40)))
        # No font from elsewhere: whoever looks at the picture fetches nothing.
        drawn = re.sub(r"@font-face \{.*?\}", "", picture.export_svg(title="make demo"), flags=re.S)
        PICTURE.write_text(drawn, encoding="utf-8")
    finally:
        session.stop.set()
        await asyncio.wait((playing,))
        await line.supervisor.stop()
        shutil.rmtree(folder, ignore_errors=True)


def _process_alarms(show: Show) -> list[str]:
    raised = show.screen.board.raised()
    return [one.alarm for one in raised if one.alarm_class is AlarmClass.PROCESS]


if __name__ == "__main__":
    asyncio.run(main())
