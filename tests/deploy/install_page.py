"""The commands of docs/install.md, block by block."""

from __future__ import annotations

import re

from tests.deploy.compose_rules import ROOT

PAGE = (ROOT / "docs" / "install.md").read_text(encoding="utf-8")
BLOCKS: list[list[str]] = [
    block.splitlines() for block in re.findall(r"^```sh\n(.*?)^```", PAGE, flags=re.S | re.M)
]
_ON_A_BOX = {
    "install": "/opt/vigia/bin/vigia demo",
    "files": "sudo systemd-sysusers ",
    "mosquitto": "sudo chown -R mosquitto",
    "start": "sudo systemctl enable ",
    "renew": "sudo rm /etc/vigia/secrets/",
    "upgrade": "sudo systemctl restart vigia-stream@1 ",
    "back up": "sudo tar -czf ",
    "restore": "sudo tar -xzf ",
}
"""How a line begins in each block that is typed on a box without containers: tests/e2e/test_box.py
types them all."""


def on_a_box(name: str) -> list[str]:
    """The lines of a block of `_ON_A_BOX`."""
    start = _ON_A_BOX[name]
    (found,) = [block for block in BLOCKS if any(line.startswith(start) for line in block)]
    return found


def elsewhere() -> list[str]:
    """The lines of all other blocks, without sudo."""
    typed = [on_a_box(name) for name in _ON_A_BOX]
    return [line.removeprefix("sudo ") for block in BLOCKS if block not in typed for line in block]
