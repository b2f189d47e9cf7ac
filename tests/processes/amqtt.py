"""amqtt on the loopback interface: a broker that speaks MQTT 3.1.1 and nothing newer."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from broker.loopback import HOST, answers, free_port
from broker.tether import spawn, stop

_START_LIMIT_S = 30.0
TABOO = "prohibited"
"""A topic to which it refuses every subscription."""


@contextmanager
def amqtt(folder: Path) -> Iterator[int]:
    """Its port."""
    port, config, log_path = free_port(), folder / "amqtt.yaml", folder / "amqtt.log"
    config.write_text(
        f"listeners:\n  default:\n    type: tcp\n    bind: {HOST}:{port}\n"
        "plugins:\n  amqtt.plugins.authentication.AnonymousAuthPlugin:\n"
        "    allow_anonymous: true\n"
        "  amqtt.plugins.topic_checking.TopicTabooPlugin: {}\n"
    )
    program = Path(sys.executable).parent / "amqtt"
    with log_path.open("wb") as log:
        broker = spawn([str(program), "-c", str(config)], output=log)
    try:
        limit = time.monotonic() + _START_LIMIT_S
        while not answers(port):
            if broker.poll() is not None or time.monotonic() > limit:
                raise RuntimeError(f"amqtt did not start:\n{log_path.read_text()[-2000:]}")
            time.sleep(0.02)
        yield port
    finally:
        stop(broker)
