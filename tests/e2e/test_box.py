"""A box without containers: systemd boots it, with no network, and docs/install.md is typed on it
as it stands there: what units start works in their sandboxes, is backed up, and comes back.

What systemd holds them to here: system calls, address families, capabilities, folders, namespaces
and IPAddressDeny. Where the box has no controllers in its cgroups, it does not hold them to
MemoryMax, CPUQuota and TasksMax.
"""

from __future__ import annotations

import json
import re
import time
import zipfile
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from tests.deploy.install_page import on_a_box
from tests.processes.box import ADDRESS, USER, Box, why_no_box

pytestmark = [pytest.mark.kafka, pytest.mark.slow, pytest.mark.timeout(540)]
ROOMS = ("vigia-edge", "vigia-stream@1", "vigia-exporters")
UNITS = ("mosquitto", "vigia-kafka", "vigia-topics", *ROOMS)
SECRETS = "/etc/vigia/secrets"
LIMIT_S = 90.0
USUAL, HIGH = 812.5, 950.0
TROUBLE = re.compile(
    "operation not permitted|permission denied|bad system call|SIGSYS|code=dumped|failed at step"
    "|read-only file system|traceback|failed with result",
    re.IGNORECASE,
)


def typed(box: Box, name: str) -> None:
    """A block of the page, line by line."""
    for line in on_a_box(name):
        # tests/e2e/test_bundle.py runs the demo.
        if not line.endswith("vigia demo"):
            done = box.typed(line)
            assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}{troubles(box)}"


def troubles(box: Box) -> list[str]:
    units = [word for unit in UNITS for word in ("--unit", unit)]
    told = box.run("journalctl", "--no-pager", "--boot", *units)
    return [line for line in told.splitlines() if TROUBLE.search(line)]


@pytest.fixture(scope="module")
def machine(archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    """A box on which the line has been installed and started, by the page."""
    if why := why_no_box():
        pytest.skip(f"no box can be booted here: {why}")
    with Box(tmp_path_factory.mktemp("box")) as box:
        box.bring(archive)
        for name in ("install", "files", "mosquitto", "start"):
            typed(box, name)
        yield box


class Sensor:
    """Sends to the box's own address, by TLS and with the sensors' password."""

    def __init__(self, box: Box) -> None:
        words = [
            "mosquitto_pub",
            "-l",
            "-h",
            ADDRESS,
            "-p",
            "8883",
            "-t",
            "plant/works/boiler/pressure",
        ]
        words += [
            "--cafile",
            f"{SECRETS}/rooms/ca.pem",
            "-u",
            "sensors",
            "-P",
            secret(box, "sensors/mqtt-password"),
        ]
        self._process = box.begun(*words)

    def __enter__(self) -> Sensor:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()

    def says_until(self, value: float, true: Callable[[], bool]) -> None:
        assert self._process.stdin is not None
        limit = time.monotonic() + LIMIT_S
        while not true():
            assert time.monotonic() < limit, "it never came true"
            self._process.stdin.write(f'{{"value": {value}}}\n')
            self._process.stdin.flush()
            time.sleep(0.3)


def secret(box: Box, name: str) -> str:
    return box.run("cat", f"{SECRETS}/{name}").strip()


def alarm(box: Box) -> dict[str, Any]:
    """The state of the one alarm of deploy/site/plant.yaml; empty where it has none."""
    asked = "sudo /opt/vigia/bin/vigia alarms --plant /etc/vigia/plant.yaml --json"
    done = box.typed(asked)
    assert done.returncode == 0, done.stderr
    states = {one["alarm"]: one for one in json.loads(done.stdout)}
    return dict(states.get("works/boiler/overpressure", {}))


def raised(box: Box) -> bool:
    return bool(alarm(box).get("raised"))


def shown(box: Box, unit: str, name: str) -> str:
    return box.run("systemctl", "show", "--value", "--property", name, unit).strip()


def until(true: Callable[[], bool]) -> None:
    limit = time.monotonic() + LIMIT_S
    while not true():
        assert time.monotonic() < limit, "it never came true"
        time.sleep(0.3)


def test_an_event_becomes_an_alarm(machine: Box) -> None:
    with Sensor(machine) as sensor:
        sensor.says_until(HIGH, lambda: raised(machine))
    assert 'vigia_alarm_active{asset="works/boiler"' in measured(machine)
    refused = machine.typed("/opt/vigia/bin/vigia alarms --plant /etc/vigia/plant.yaml")
    assert (refused.returncode, "Permission denied" in refused.stderr) == (2, True)


def measured(box: Box) -> str:
    """What the exporter tells who has the certificate of its authority, and the password."""
    code = (
        "import base64, ssl, sys, urllib.error, urllib.request as r\n"
        "request = r.Request('https://127.0.0.1:9464/metrics')\n"
        "tls = ssl.create_default_context(cafile=sys.argv[1])\n"
        "try: r.urlopen(request, context=tls)\n"
        "except urllib.error.HTTPError as error: assert error.code == 401\n"
        "else: sys.exit('it tells everybody')\n"
        "word = base64.b64encode(f'prometheus:{open(sys.argv[2]).read().strip()}'.encode())\n"
        "request.add_header('Authorization', f'Basic {word.decode()}')\n"
        "print(r.urlopen(request, context=tls).read().decode())\n"
    )
    files = (f"{SECRETS}/rooms/ca.pem", f"{SECRETS}/prometheus/exporters-password")
    return box.run("python3", "-c", code, *files)


def test_the_sandboxes_hold_and_nobody_is_in_their_way(machine: Box) -> None:
    for unit in UNITS:
        assert shown(machine, unit, "ActiveState") == "active", unit
        assert shown(machine, unit, "NRestarts") == "0", unit
    assert troubles(machine) == []
    for unit in ("vigia-kafka", *ROOMS):
        status = machine.run("cat", f"/proc/{shown(machine, unit, 'MainPID')}/status")
        said = dict(re.findall(r"^(\w+):\t(\S+)", status, flags=re.M))
        assert (said["Uid"], said["Seccomp"], said["NoNewPrivs"]) == ("10001", "2", "1")
        assert int(said["CapBnd"], 16) == 0


@pytest.mark.parametrize("unit", ["vigia-kafka", *ROOMS])
def test_a_unit_sees_no_secret_but_its_own(machine: Box, unit: str) -> None:
    pid = shown(machine, unit, "MainPID")
    inside = ["nsenter", "--target", pid, "--mount", "--user", "-S", "10001", "-G", "10001"]
    own = re.findall(r"secrets/\S+:(\S+)", machine.run("systemctl", "cat", unit))
    assert own
    for path in own:
        machine.run(*inside, "--", "test", "-r", path)
    files = machine.run("find", SECRETS, "-type", "f").split()
    others = [shown(machine, one, "MainPID") for one in ("vigia-kafka", *ROOMS) if one != unit]
    doors = [
        f"/proc/{other}/root{path}"
        for other in others
        for path in ("/run/secrets", "/etc/kafka/tls")
    ]
    hidden = ["/var/lib/kafka/meta.properties", "/var/lib/vigia/edge/spool", *doors, *files]
    mine = {"vigia-kafka": hidden[0], "vigia-edge": hidden[1]}.get(unit)
    assert len(files) > 20
    code = "import os, sys\nprint([one for one in sys.argv[1:] if os.access(one, os.R_OK)])"
    seen = machine.run(*inside, "--", "python3", "-c", code, *hidden)
    assert seen == f"{[mine] if mine else []}\n"


def test_only_the_edge_speaks_to_others(machine: Box) -> None:
    """Mosquitto listens at the box's address, where the sensors come in."""
    code = (
        "import os, socket, sys\n"
        "open(f'/sys/fs/cgroup{sys.argv[1]}/cgroup.procs', 'w').write(str(os.getpid()))\n"
        "try: socket.create_connection((sys.argv[2], 8883), float(sys.argv[3]))\n"
        "except OSError as error: print(type(error).__name__)\n"
        "else: print('in')\n"
    )

    def reached(unit: str, address: str, patience_s: int) -> str:
        group = shown(machine, unit, "ControlGroup")
        return machine.run("python3", "-c", code, group, address, str(patience_s)).strip()

    assert reached("vigia-edge", ADDRESS, 30) == "in"
    for unit in ("vigia-kafka", "vigia-stream@1", "vigia-exporters"):
        assert reached(unit, "127.0.0.1", 30) == "in"
        assert reached(unit, ADDRESS, 1) in {"TimeoutError", "PermissionError"}


def test_a_worker_that_hangs_is_started_again(machine: Box) -> None:
    """By the watchdog of its unit, which is made less patient here."""
    unit = "vigia-stream@1"
    assert shown(machine, unit, "WatchdogUSec") == "30s"
    folder = f"/run/systemd/system/{unit}.service.d"
    machine.run("mkdir", "-p", folder)
    machine.run("sh", "-c", f"printf '[Service]\\nWatchdogSec=10\\n' >{folder}/test.conf")
    machine.run("systemctl", "daemon-reload")
    machine.run("systemctl", "restart", unit)
    old = shown(machine, unit, "MainPID")
    machine.run("kill", "-STOP", old)
    until(lambda: shown(machine, unit, "NRestarts") != "0")
    until(lambda: shown(machine, unit, "ActiveState") == "active")
    assert shown(machine, unit, "MainPID") not in {"0", old}
    assert "Watchdog timeout" in machine.run("journalctl", "--no-pager", "--unit", unit)
    machine.run("rm", "-r", folder)
    machine.run("systemctl", "daemon-reload")
    machine.run("systemctl", "restart", unit)
    machine.run("systemctl", "reset-failed", unit)


def test_a_back_up_brings_everything_back(machine: Box) -> None:
    with Sensor(machine) as sensor:
        sensor.says_until(HIGH, lambda: raised(machine))
        before = alarm(machine)
        typed(machine, "back up")
        sensor.says_until(HIGH, lambda: shown(machine, "vigia-edge", "StatusText") == "works")
        typed(machine, "restore")
        after = alarm(machine)
        assert (after["phase"], after["since_us"]) == (before["phase"], before["since_us"])
        sensor.says_until(USUAL, lambda: not raised(machine))
        sensor.says_until(HIGH, lambda: raised(machine))
    assert alarm(machine)["activations"] == before["activations"] + 1


def test_passwords_and_programs_are_renewed(machine: Box, archive: Path) -> None:
    old = secret(machine, "rooms/kafka-edge")
    typed(machine, "renew")
    assert secret(machine, "rooms/kafka-edge") != old
    # It can still read its own.
    machine.run("systemctl", "restart", "mosquitto")
    machine.run("rm", f"/home/{USER}/{archive.name}")
    (tree,) = machine.home.glob("vigia-*")
    made_newer(tree)
    machine.run("tar", "-cf", f"/home/{USER}/vigia-newer.tar", "-C", f"/home/{USER}", tree.name)
    machine.run("rm", "-r", f"/home/{USER}/{tree.name}")
    typed(machine, "upgrade")
    assert machine.typed("/opt/vigia/bin/vigia --version").stdout.endswith(" newer\n")
    the_line_works(machine)


def the_line_works(box: Box) -> None:
    """What a sensor says raises an alarm, or ends the one that stands."""
    was = raised(box)
    with Sensor(box) as sensor:
        sensor.says_until(USUAL if was else HIGH, lambda: raised(box) is not was)


def made_newer(tree: Path) -> None:
    """The unpacked archive, with a code of our own in it that is another; the version stays."""
    (wheel,) = tree.glob("wheels/vigia-*.whl")
    newer = wheel.with_suffix(".half")
    here, there = b"{version('vigia')}", b"{version('vigia')} newer"
    with zipfile.ZipFile(wheel) as old, zipfile.ZipFile(newer, "w") as new:
        assert here in old.read("vigia/__main__.py")
        for one in old.infolist():
            new.writestr(one, old.read(one).replace(here, there))
    newer.replace(wheel)
    sums = tree / "SHA256SUMS"
    name = f"./{wheel.relative_to(tree)}"
    kept = [line for line in sums.read_text().splitlines() if not line.endswith(f"  {name}")]
    sums.write_text("\n".join([*kept, f"{sha256(wheel.read_bytes()).hexdigest()}  {name}", ""]))


def test_it_stops_in_order_and_comes_back_with_the_next_boot(machine: Box) -> None:
    stop = on_a_box("restore")[0]
    assert machine.typed(stop).returncode == 0
    for unit in ("vigia-kafka", "vigia-topics", *ROOMS):
        state = [shown(machine, unit, name) for name in ("ActiveState", "Result")]
        assert state == ["inactive", "success"], unit
    machine.reboot()
    for unit in UNITS:
        until(lambda unit=unit: shown(machine, unit, "ActiveState") == "active")  # type: ignore[misc]
    the_line_works(machine)
    assert troubles(machine) == []
