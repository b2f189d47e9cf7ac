"""A planted event of a running line ends as one e-mail and one webhook, and its end as another of
each: Kafka with TLS and SASL, Mosquitto with TLS and passwords, edge, worker, exporter, Prometheus
and Alertmanager, by the files under deploy/."""

from __future__ import annotations

import time
import urllib.error
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from tests.integration.monitored_line import MonitoredLine
from tests.integration.secure_site import Site, until
from tests.processes.composed import Composed
from tests.processes.door import Door
from tests.processes.prometheus import find_prometheus
from tests.processes.sinks import MailSink, WebhookSink

LABELS = {
    "alertname": "ProcessAlarm",
    "site": "works",
    "asset": "works/boiler",
    "rule": "overpressure",
    "severity": "critical",
    "class": "process",
}


def prometheus_program() -> str:
    program = find_prometheus()
    if program is None:
        pytest.skip("no Prometheus: install Debian's package prometheus")
    return program


def nobody_else_comes_in(door: Door, another_ca: Path) -> None:
    """`door` opens, and not without TLS, without a password or with another, or for who trusts
    another authority."""
    assert door.refusal("/metrics") is None
    assert replace(door, user="").refusal("/metrics") == 401
    assert replace(door, password="secret-of-nobody").refusal("/metrics") == 401
    assert replace(door, user="root").refusal("/metrics") == 401
    assert replace(door, ca_file=None).refusal("/metrics") == 400
    with pytest.raises(urllib.error.URLError, match="CERTIFICATE_VERIFY_FAILED"):
        replace(door, ca_file=another_ca).refusal("/metrics")


def grafana_s(folder: Path, made: Path, port: int) -> Door:
    """As Grafana asks Prometheus, by its provisioning and by what compose shows to it."""
    grafana = Composed("grafana", folder, made)
    text = (folder / "provisioning" / "datasources" / "prometheus.yml").read_text()
    (source,) = yaml.safe_load(grafana.here(text))["datasources"]
    assert source["basicAuth"]
    assert source["jsonData"]["tlsAuthWithCACert"]
    ca, password = (
        Path(source["secureJsonData"][key].removeprefix("$__file{").removesuffix("}"))
        for key in ("tlsCACert", "basicAuthPassword")
    )
    return Door(port, ca, source["basicAuthUser"], password.read_text())


@pytest.mark.prometheus
@pytest.mark.slow
def test_an_event_is_one_e_mail_and_one_webhook_and_its_end_another(
    site: Site, alertmanager: str, tmp_path: Path
) -> None:
    line = MonitoredLine(site)
    with (
        MailSink(line.authority) as mail,
        WebhookSink(line.authority) as hook,
        line.senses() as logs,
        line.watchers(prometheus_program(), alertmanager, mail, hook) as (manager, server),
        site.sensor() as publish,
    ):

        def send(value: float, seconds: float) -> None:
            for _ in range(int(seconds * 5)):
                publish(value)
                time.sleep(0.2)

        def told() -> str:
            seen = server.query("alarm:vigia_alarm_active:held")
            texts = [log.read_text()[-1500:] for log in logs]
            return "\n".join([str(seen), str(server.targets()), manager.log[-1500:], *texts])

        def come(count: int, value: float) -> bool:
            send(value, 0.4)
            return len(mail.mails) >= count and len(hook.calls) >= count

        def seen() -> bool:
            return bool(server.query('up{job="vigia"} == 1'))

        for door in (manager.door, server.door):
            nobody_else_comes_in(door, line.authority.ca_file)
        assert (
            grafana_s(tmp_path / "grafana", line.made, server.door.port).refusal("/metrics") is None
        )
        with line.exporter():
            until(lambda: "MQTT: 1 topics" in logs[0].read_text(), told)
            until(lambda: server.query("alarm:vigia_alarm_active:held == 0"), told)
            until(lambda: come(1, 1000.0), told)
        # An exporter that is started again, while the alarm stands, is no news.
        until(lambda: not seen(), told)
        with line.exporter():
            until(seen, told)
            send(1000.0, 3)
            assert mail.subjects == ["Vigía: works/boiler: overpressure (critical)"]
            (call,) = hook.calls
            assert (call["status"], call["alerts"][0]["labels"]) == ("firing", LABELS)
            until(lambda: come(2, 100.0), told)
            send(100.0, 3)
        assert mail.subjects[1:] == ["Vigía, over / fin: works/boiler: overpressure (critical)"]
        assert [(c["status"], len(c["alerts"])) for c in hook.calls[1:]] == [("resolved", 1)]
    assert hook.refused == 0
    first = mail.mails[0]
    assert first["To"] == "operators@plant.example"
    body = first.get_body(("plain",))
    assert body is not None
    assert "Hay una alarma del proceso." in body.get_content()
    # The heartbeat that nobody outside waits for is no error.
    assert "level=error" not in manager.log.lower()
    said = manager.log + server.log + "".join(log.read_text() for log in logs)
    words = [file.read_text() for file in line.made.rglob("*-password") if file.stat().st_size]
    assert len(words) == 9
    for secret in (mail.password, hook.token, *words, *site.passwords.values()):
        assert secret not in said
