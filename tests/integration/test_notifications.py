"""What a real Alertmanager makes of deploy/alertmanager: what comes in one mail, what is kept quiet
and for how long, and the heartbeat. All of it in one run, each part with alarms of its own."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import count

import pytest

from tests.integration.secure_site import until
from tests.processes.alertmanager import Alert, Alertmanager
from tests.processes.authority import Authority
from tests.processes.composed import made_secrets
from tests.processes.sinks import MailSink, WebhookSink

PATH = "/secret-of-the-heartbeat"
_numbers = count()


def process(asset: str, rule: str, severity: str = "critical") -> Alert:
    site = asset.partition("/")[0]
    return Alert.of(
        "ProcessAlarm", site=site, asset=asset, rule=rule, severity=severity, kind="process"
    )


def instrument(asset: str) -> Alert:
    site = asset.partition("/")[0]
    return Alert.of(
        "InstrumentAlarm", site=site, asset=asset, rule="eye", severity="warning", kind="instrument"
    )


@dataclass(frozen=True, slots=True)
class Told:
    """An Alertmanager that runs, and those whom it tells."""

    manager: Alertmanager
    mail: MailSink
    hook: WebhookSink
    heartbeat: WebhookSink

    def post(self, *alerts: Alert, over: bool = False) -> None:
        self.manager.post(alerts, over=over)

    def mails(self, what: str) -> list[str]:
        """Subjects of those that name it."""
        return [one for one in self.mail.subjects if what in one]

    def until(self, true: Callable[[], object]) -> None:
        until(true, lambda: f"{self.mail.subjects}\n{self.manager.log[-2000:]}")

    def all_is_told(self) -> None:
        """Returns once all that was posted before, and may be told, has been: the second of two
        alarms that come after each other waits longer than what came before the first."""
        for _ in range(2):
            asset = f"fence/{next(_numbers)}"
            self.post(process(asset, "fence"))
            self.until(partial(self.mails, f"{asset}:"))


@pytest.fixture(scope="module")
def told(alertmanager: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Told]:
    folder = tmp_path_factory.mktemp("told")
    authority = Authority(folder / "authority")
    made = made_secrets(folder / "made")
    with (
        MailSink(authority) as mail,
        WebhookSink(authority) as hook,
        WebhookSink(authority, PATH) as heartbeat,
        Alertmanager(
            alertmanager, folder / "am", made, authority.ca_file, mail, hook, heartbeat
        ) as manager,
    ):
        yield Told(manager, mail, hook, heartbeat)
        assert hook.refused == heartbeat.refused == 0


def test_twenty_alarms_of_one_asset_are_one_mail(told: Told) -> None:
    alarms = [process("works/mixer", f"rule-{number:02}") for number in range(20)]
    elsewhere = process("works/oven", "heat")
    told.post(*alarms, elsewhere)
    told.all_is_told()
    (subject,) = told.mails("works/mixer")
    assert subject == "Vigía: works/mixer: rule-00 (critical) (+)"
    assert told.mails("works/oven") == ["Vigía: works/oven: heat (critical)"]
    (mail,) = (one for one in told.mail.mails if one["Subject"] == subject)
    body = mail.get_body(("plain",))
    assert body is not None
    text = body.get_content()
    assert (text.count("ALARM  "), text.count("ALARMA  ")) == (20, 20)
    for alarm in alarms:
        assert f"works/mixer: {alarm.labels['rule']} (critical)" in text
    assert calls(told, "works/mixer") == [("firing", 20)]

    told.post(*alarms, over=True)
    told.until(lambda: len(told.mails("works/mixer")) == 2)
    told.all_is_told()
    assert told.mails("works/mixer")[1:] == [
        "Vigía, over / fin: works/mixer: rule-00 (critical) (+)"
    ]
    assert calls(told, "works/mixer") == [("firing", 20), ("resolved", 20)]


def calls(told: Told, asset: str) -> list[tuple[str, int]]:
    """What the webhook heard of an asset."""
    return [
        (call["status"], len(call["alerts"]))
        for call in told.hook.calls
        if call["groupLabels"].get("asset") == asset
    ]


def test_who_hears_of_what(told: Told) -> None:
    told.post(process("works/tank", "overfilled"), instrument("works/gate"))
    told.all_is_told()
    to = {str(mail["Subject"]): str(mail["To"]) for mail in told.mail.mails}
    assert to["Vigía: works/tank: overfilled (critical)"] == "operators@plant.example"
    (lying,) = told.mails("works/gate")
    assert to[lying] == "maintenance@plant.example"


def test_an_instrument_that_lies_keeps_warnings_of_its_asset_quiet_while_it_does(
    told: Told,
) -> None:
    lies = instrument("works/boiler")
    quiet = [
        process("works/boiler", "warm", "warning"),
        process("works/boiler", "mild", "info"),
        Alert.of("VigiaSourceDown", site="works", asset="works/boiler", signal="heat"),
    ]
    loud = [
        process("works/boiler", "burst", "critical"),
        process("works/pump", "warm", "warning"),
        Alert.of("VigiaSourceDown", site="works", asset="works/pump", signal="flow"),
    ]
    told.post(lies, *quiet, *loud)
    told.all_is_told()
    assert sorted(told.mails("works/boiler")) == [
        "Vigía: works/boiler: burst (critical)",
        "Vigía: works/boiler: eye: an instrument cannot be believed",
    ]
    assert len(told.mails("works/pump")) == 2
    told.post(lies, over=True)
    # What is of the line comes together, whatever it is about: also that of the pump.
    told.until(lambda: told.mails("Vigía: works/boiler: heat gives nothing usable (+)"))
    # With the one that had been told the other two of its group are.
    told.until(lambda: ("firing", 3) in calls(told, "works/boiler"))


def test_of_a_process_that_is_down_the_consequences_are_no_news(told: Told) -> None:
    down = [Alert.of("VigiaProcessDown", process=f"edge/{name}") for name in "abc"]
    quiet = [
        Alert.of("VigiaConsumerLag", group="g", topic="t"),
        Alert.of("VigiaSlow"),
        Alert.of("VigiaSpoolFilling", process="edge/d", spool="readings"),
        Alert.of("VigiaProcessRestarts", process="edge/a"),
        Alert.of("VigiaPlantFileDiffers", process="edge/a"),
    ]
    loud = [
        Alert.of("VigiaUnaccounted", stage="edge.mqtt", unit="message"),
        Alert.of("VigiaProcessRestarts", process="edge/d"),
        process("works/belt", "stuck", "warning"),
    ]
    told.post(*down, *quiet, *loud)
    told.all_is_told()
    # Three processes, one mail.
    assert len(told.mails("says nothing (+)")) == 1
    assert told.mails("started") == [f"Vigía: {loud[1].annotations['summary']}"]
    assert len(told.mails("edge.mqtt")) == len(told.mails("works/belt")) == 1
    named = {alert["labels"]["alertname"] for call in told.hook.calls for alert in call["alerts"]}
    assert not named & {"VigiaConsumerLag", "VigiaSlow", "VigiaSpoolFilling"}
    assert "VigiaPlantFileDiffers" not in named
    told.post(*down, *quiet, *loud, over=True)


def test_of_a_line_that_nobody_sees_nothing_else_is_told(told: Told) -> None:
    nobody = Alert.of("VigiaExporterDown")
    quiet = [Alert.of("VigiaDeadLetters", reason="json"), Alert.of("VigiaProcessDown", process="x")]
    loud = [
        Alert.of("VigiaNotificationsFail", integration="sms"),
        process("works/silo", "full", "warning"),
    ]
    told.post(nobody, *quiet, *loud)
    told.all_is_told()
    assert told.mails("No exporter") == ["Vigía: No exporter of Vigía is read"]
    assert len(told.mails("sms")) == len(told.mails("works/silo")) == 1
    assert told.mails("json") == told.mails("x says nothing") == []
    told.post(nobody, over=True)
    told.until(lambda: told.mails("json") and told.mails("x says nothing"))
    told.post(*quiet, *loud, over=True)


def test_the_heartbeat_beats_and_is_no_mail(told: Told) -> None:
    beat = Alert.of("VigiaWatchdog")
    assert told.heartbeat.calls == []
    told.post(beat, Alert.of("VigiaExporterDown"))
    told.until(lambda: len(told.heartbeat.calls) >= 3)
    told.post(beat, over=True)
    told.all_is_told()
    # That it is over nobody is told: it ceases.
    heard = len(told.heartbeat.calls)
    told.all_is_told()
    assert len(told.heartbeat.calls) == heard
    every = [alert for call in told.heartbeat.calls for alert in call["alerts"]]
    assert {alert["labels"]["alertname"] for alert in every} == {"VigiaWatchdog"}
    assert {call["status"] for call in told.heartbeat.calls} == {"firing"}
    assert told.mails(beat.annotations["summary"]) == []
    assert "VigiaWatchdog" not in str(told.hook.calls)
    assert PATH not in told.manager.log


def test_its_health_is_asked_as_compose_does(told: Told) -> None:
    words = told.manager.service.health(told.manager.port)
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    (told.manager.service.folder / "secrets" / "health-password").write_text("another")
    refused = subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)
    assert refused.returncode != 0
