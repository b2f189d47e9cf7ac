"""`make containers`: CONTAINERS_WITHOUT=name,name… leaves services out whose image cannot be had;
exit code 0 only if all held. As root, or the containers could not read their secrets."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from tests.containers.project import Project
from tests.deploy.compose_rules import ROOT

SENSOR = (
    "read -r word; exec mosquitto_pub -l -q 1 -h localhost -p 8883 --cafile /mosquitto/tls/ca.pem"
    ' -u sensors -P "$word" -t plant/works/boiler/pressure'
)
HIGH = '{"value": 950.5}\n'
READINGS = 12
"""One a second: the alarm of deploy/site/plant.yaml asks for less."""
HEALTHY_S = 150
STOPPED = (0, 143)
"""Exit codes of what left when it was asked to; who had to be killed has 137."""


def main() -> None:
    without = {name for name in os.environ.get("CONTAINERS_WITHOUT", "").split(",") if name}
    with tempfile.TemporaryDirectory(prefix="vigia-check-") as folder:
        Path(folder).chmod(0o711)
        secrets = Path(folder) / "secrets"
        subprocess.run([str(ROOT / "deploy" / "secrets" / "make"), str(secrets)], check=True)
        project = Project(secrets, without)
        try:
            held = (
                said("starts", starts(project)),
                said("a reading by TLS raises an alarm", reading_alarms(project, secrets)),
                said("all are healthy", project.unwell()),
                said("none is root, none writes where it must not", loose(project)),
                said("all stop in their time", stops(project)),
            )
        finally:
            project.compose("down", "--volumes", "--timeout", "5")
    sys.exit(0 if all(held) else 1)


def said(what: str, wrong: Mapping[str, object]) -> bool:
    """Whether nothing is wrong; the line is printed."""
    print(f"{'FAILED' if wrong else 'held':7}{what}", *wrong.items(), flush=True)
    return not wrong


def starts(project: Project) -> Mapping[str, object]:
    """All but the edge, which has no reading yet, become healthy; what runs once ends well."""
    project.compose("build", within_s=1200)
    project.compose("up", "--detach", *project.services, within_s=300)
    end = time.monotonic() + HEALTHY_S
    while (unwell := project.unwell()).keys() - {"edge"} and time.monotonic() < end:
        time.sleep(1)
    once = {n: s["ExitCode"] for n, s in project.states().items() if n not in project.lasting}
    failed = {name: code for name, code in once.items() if code}
    return failed | {name: health for name, health in unwell.items() if name != "edge"}


def reading_alarms(project: Project, secrets: Path) -> Mapping[str, object]:
    """What the operator sees instead, if not one alarm that is raised."""
    sensor = project.typed("mosquitto", SENSOR)
    assert sensor.stdin is not None
    sensor.stdin.write((secrets / "sensors" / "mqtt-password").read_text().strip() + "\n")
    for _ in range(READINGS):
        sensor.stdin.write(HIGH)
        sensor.stdin.flush()
        time.sleep(1)
    sensor.stdin.close()
    code = sensor.wait(timeout=30)
    seen = project.compose("run", "--rm", "operator", "alarms", "--json")
    raised = [alarm["raised"] for alarm in json.loads(seen)]
    # The edge's health is looked at every quarter of a minute.
    end = time.monotonic() + 30
    while project.unwell() and time.monotonic() < end:
        time.sleep(1)
    return {} if (code, raised) == (0, [True]) else {"sensor": code, "alarms": seen}


def loose(project: Project) -> Mapping[str, object]:
    """Of each that is root or can write to its root file system: its user, and `written`."""
    look = "id -u; touch /written 2>/dev/null && echo written || true"
    seen = {
        name: project.compose("exec", "-T", name, "sh", "-c", look).split()
        for name in project.lasting
    }
    return {name: words for name, words in seen.items() if len(words) != 1 or words == ["0"]}


def stops(project: Project) -> Mapping[str, object]:
    project.compose("stop")
    codes = {name: state["ExitCode"] for name, state in project.states().items()}
    return {name: code for name, code in codes.items() if code not in STOPPED}


if __name__ == "__main__":
    main()
