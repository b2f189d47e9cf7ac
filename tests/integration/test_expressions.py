"""Every PromQL expression of the rules and of the dashboards has data on a real Prometheus that
asks a real exporter."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.conftest import RunningKafka
from tests.grafana import expressions
from tests.integration.monitored_line import MonitoredLine, Plain
from tests.integration.secure_site import until
from tests.integration.test_monitoring import prometheus_program
from tests.integration.troubled_line import PLANT, TroubledLine
from tests.processes.deployed import DEPLOY
from tests.processes.prometheus import Prometheus
from tests.processes.sinks import MailSink, WebhookSink

CHOICES = {
    "overview": {"$site": "north"},
    "asset": {"$asset": "north/line1", "$detector": "theft"},
    "cameras": {"$asset": "north/gate"},
    "line": {},
}
"""What a reader chose on each dashboard."""
NOBODY = "VigiaExporterDown"
"""It has data only while no exporter is read."""


def rules() -> dict[str, str]:
    """Each expression of rules.yml by the rule's name."""
    groups = yaml.safe_load((DEPLOY / "prometheus" / "rules.yml").read_text())["groups"]
    every = [rule for group in groups for rule in group["rules"]]
    return {rule.get("record") or rule["alert"]: rule["expr"] for rule in every}


def panels() -> Iterator[tuple[str, str]]:
    """Each expression of the dashboards, with what a reader chose."""
    for name, choice in CHOICES.items():
        board = json.loads((DEPLOY / "grafana" / "dashboards" / "en" / f"{name}.json").read_text())
        for number, (where, text) in enumerate(expressions(board)):
            expression = text
            for variable, value in choice.items():
                expression = expression.replace(variable, value)
            assert "$" not in expression, (where, expression)
            yield f"{name}: {where} ({number})", expression


def has_data(server: Prometheus, expression: str) -> bool:
    """Whether it has a value that is a number."""
    found = server.query(expression)
    return any(math.isfinite(float(one["value"][1])) for one in found)


@pytest.mark.prometheus
@pytest.mark.slow
def test_every_expression_has_data(
    kafka: RunningKafka, topic_prefix: str, alertmanager: str, tmp_path: Path
) -> None:
    prefix = topic_prefix.rstrip(".")
    rooms = Plain.of(tmp_path, kafka.bootstrap, PLANT.format(prefix=prefix))
    line = MonitoredLine(rooms)
    missing = {**rules(), **dict(panels())}
    nobody = missing.pop(NOBODY)
    with (
        WebhookSink(line.authority) as hook,
        # Nobody takes its mail: that is one of the alerts.
        line.watchers(prometheus_program(), alertmanager, MailSink(line.authority), hook) as (
            _,
            server,
        ),
    ):

        def none_is_missing() -> bool:
            for name in [one for one, text in missing.items() if has_data(server, text)]:
                del missing[name]
            return not missing

        with TroubledLine(kafka.bootstrap, prefix), line.exporter() as log:
            until(none_is_missing, lambda: f"{missing}\n{log.read_text()[-2000:]}")
            assert not has_data(server, nobody)
        until(lambda: has_data(server, nobody), lambda: nobody)
        assert not has_data(server, 'vigia_nothing{of="that name"}')
