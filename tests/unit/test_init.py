"""The first hour: the plant file to begin with, and what `vigia run` says is wrong."""

from __future__ import annotations

import re
import socket
import string
from io import StringIO
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from rich.console import Console

from broker.loopback import HOST, free_port
from contracts.messages import Account, SourceHealth, Status
from contracts.plant import Plant, check_plant, read_plant
from contracts.texts import LANGUAGES, Language
from vigia.__main__ import cli
from vigia.board import Board
from vigia.commands.init import starter
from vigia.commands.language import language_of
from vigia.hints import QUIET_US, Hints, model_refused
from vigia.screen import Screen
from vigia.view import Frame, render
from vigia.words import WORDS

TOPIC = "plant/works/boiler/pressure"


def vigia(*arguments: str, **env: str) -> Result:
    return CliRunner(env={"LC_ALL": "C.UTF-8", **env}).invoke(cli, arguments, prog_name="vigia")


def with_camera(text: str) -> str:
    """The starter with its camera turned on, as its comments say."""
    lines = text.splitlines()
    begin = next(at for at, line in enumerate(lines) if line.strip() == "# - id: gate")
    end = next(at for at, line in enumerate(lines) if line.strip().startswith("#     rate:"))
    on = [line.replace("# ", "", 1) for line in lines[begin : end + 1]]
    return "\n".join([*lines[:begin], *on, *lines[end + 1 :]])


@pytest.mark.parametrize("lang", LANGUAGES)
def test_what_init_writes_passes_the_check(lang: Language, tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    done = vigia("init", str(file), "--lang", lang)
    assert done.exit_code == 0, done.output
    assert f"vigia config check {file}" in done.stdout
    assert vigia("config", "check", str(file)).stdout.startswith("ok: 1 site, 1 asset, ")
    assert f"vigia config check {file}" in file.read_text(encoding="utf-8")


@pytest.mark.parametrize("lang", LANGUAGES)
def test_its_camera_can_be_turned_on(lang: Language) -> None:
    plant, problems = check_plant(with_camera(starter(lang, "plant.yaml")))
    assert problems == ()
    assert plant is not None
    (camera,) = plant.cameras().values()
    assert camera.password is not None
    assert (camera.username, camera.password.file) == ("viewer", "/etc/vigia/gate-password")


@pytest.mark.parametrize("lang", LANGUAGES)
def test_what_it_mentions_can_be_turned_on(lang: Language) -> None:
    text = with_camera(starter(lang, "plant.yaml"))
    keys = ("spool", "watch", "skew", "stuck", "jump")
    for key in keys:
        text, turned = re.subn(rf"# ({key}: )", r"\1", text)
        assert turned == 1, key
    plant, problems = check_plant(text)
    assert problems == () and plant is not None
    (signals,), (camera,) = plant.signal_sets.values(), plant.cameras().values()
    assert (camera.watch, signals.skew) == (("moved", "blurred"), 30_000_000)
    assert signals.signals[0].stuck is not None and signals.signals[0].jump is not None
    assert (plant.spool.size_bytes, plant.spool.frames_bytes) == (10**9, 250 * 10**6)


def bare(text: str) -> list[str]:
    """The lines without comments and names."""
    lines = [re.sub(r"name: .*", "name:", line) for line in text.splitlines()]
    return [line for line in (re.sub(r"\s*# .*", "", one) for one in lines) if line.strip()]


def test_both_languages_say_the_same() -> None:
    english, spanish = starter("en", "x"), starter("es", "x")
    assert bare(english) == bare(spanish)
    assert english.count("<-- yours") == spanish.count("<-- lo suyo") > 10
    assert len(english.splitlines()) == len(spanish.splitlines())


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    file = tmp_path / "plant.yaml"
    file.write_text("mine", encoding="utf-8")
    done = vigia("init", str(file))
    assert done.exit_code == 2
    assert done.stderr == (
        f"vigia: {file}: exists already and is not overwritten; name another: vigia init FILE\n"
    )
    assert file.read_text(encoding="utf-8") == "mine"
    assert "ya existe" in vigia("init", str(file), LC_ALL="es_CO.UTF-8").stderr


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    done = vigia("init", str(tmp_path / "no" / "plant.yaml"))
    assert done.exit_code == 2
    assert "cannot be written: No such file or directory" in done.stderr


def test_a_name_cannot_break_the_file() -> None:
    plant, problems = check_plant(starter("en", "a\nb: \x01.yaml"))
    assert (plant is not None, problems) == (True, ())


@pytest.mark.parametrize(
    ("environment", "lang"),
    [
        ({}, "en"),
        ({"LANG": "es_CO.UTF-8"}, "es"),
        ({"LANG": "es"}, "es"),
        ({"LANG": "est_EE"}, "en"),
        ({"LANG": "de_DE.UTF-8"}, "en"),
        ({"LANG": "es_ES", "LC_ALL": "C.UTF-8"}, "en"),
        ({"LANG": "en_GB", "LC_MESSAGES": "es_MX@euro", "LC_ALL": ""}, "es"),
    ],
)
def test_the_language_of_the_environment(environment: dict[str, str], lang: str) -> None:
    assert language_of(environment) == lang


def test_words_name_the_same_figures_in_every_language() -> None:
    for key, texts in WORDS.items():
        assert set(texts) == set(LANGUAGES), key
        figures = [
            sorted(name for _, name, _, _ in string.Formatter().parse(text) if name)
            for text in texts.values()
        ]
        assert figures[0] == figures[1], key
        assert all(texts.values()), key


def board(readings: int = 0, *notes: str, dropped: dict[str, int] | None = None) -> Board:
    source = SourceHealth(
        asset="works/boiler",
        signal="pressure",
        state="waiting",
        clock="arrival",
        rate_hz=0.0,
        readings=readings,
        last_us=None,
    )
    account = Account(unit="message", taken_in=0, gone_out=0, held=0, dropped=dropped or {})
    status = Status(
        process="edge/box",
        at_us=QUIET_US,
        started_us=0,
        sources=(source,),
        notes=notes,
        account={"edge.mqtt": account},
    )
    found = Board()
    found.on_status(status)
    return found


def plant() -> Plant:
    return read_plant(starter("en", "plant.yaml"))


def hints(lang: Language = "en") -> Hints:
    return Hints(plant(), lang, "127.0.0.1:1883", "logs/edge.log", " --plant plant.yaml")


AWAY = "no connection to the MQTT broker"


@pytest.mark.parametrize("lang", LANGUAGES)
def test_topics_on_which_nothing_came_are_named_once(lang: Language) -> None:
    one = hints(lang)
    assert one.look(board(), QUIET_US - 1) == []
    (text,) = one.look(board(), QUIET_US)
    for part in ("30 s", TOPIC, "127.0.0.1:1883"):
        assert part in text
    assert one.look(board(), 10 * QUIET_US) == []


def test_of_a_signal_that_came_nothing_is_said() -> None:
    assert hints().look(board(1), QUIET_US) == []
    assert hints().look(Board(), QUIET_US) == []


def test_of_many_topics_some_are_named() -> None:
    signals = [{"id": f"s{n}", "topic": f"t/{n}"} for n in range(10)]
    text = starter("en", "x").split("signal_sets:")[0]
    many = read_plant(f"{text}signal_sets: {{boiler: {{signals: {signals}}}}}")
    silent = board()
    (status,) = silent.statuses.values()
    sources = [status.sources[0].model_copy(update={"signal": one["id"]}) for one in signals]
    silent.on_status(status.model_copy(update={"sources": tuple(sources)}))
    (told,) = Hints(many, "en", "h:1", "log").look(silent, QUIET_US)
    assert "t/0, t/1, t/2, t/3, t/4, t/5, t/6, t/7, and 2 more" in told


def test_messages_that_cannot_be_used_are_told_instead() -> None:
    one = hints()
    (text,) = one.look(board(dropped={"not-json": 2, "field": 0}), QUIET_US)
    assert text.startswith("2 MQTT message(s) could not be used (not-json)")
    assert text.endswith("vigia tail dead-letters --from-start --plant plant.yaml")
    assert one.look(board(dropped={"not-json": 3}), 2 * QUIET_US) == []


def test_without_a_broker_the_broker_is_told_and_not_the_topics() -> None:
    one = hints()
    away = board(0, AWAY)
    assert one.apart(away)
    assert not one.apart(board(0, "reading is paused"))
    assert one.look(away, QUIET_US) == []
    (text,) = one.broker(answers=False)
    assert "no MQTT broker answers at 127.0.0.1:1883" in text
    assert one.broker(answers=False) == []
    assert one.look(board(), 0) == ["the edge now reads from the MQTT broker 127.0.0.1:1883"]
    assert one.look(board(), 0) == []


def test_a_plant_with_cameras_alone_needs_no_broker() -> None:
    text = "vigia: 1\nsites: [{id: s, assets: [{id: gate, camera: {folder: images}}]}]\n"
    one = Hints(read_plant(text), "en", "127.0.0.1:1883", "log")
    assert not one.apart(board(0, AWAY))


def test_a_broker_that_does_not_let_us_in_is_told_once_it_had_its_time() -> None:
    one = hints()
    told = [text for _ in range(30) for text in one.broker(answers=True)]
    assert len(told) == 1
    assert "logs/edge.log" in told[0]
    assert one.broker(answers=False) != []


@pytest.mark.parametrize("lang", LANGUAGES)
def test_a_model_package_that_is_refused_is_named(lang: Language, tmp_path: Path) -> None:
    detector = "  - {id: shape, kind: autoencoder, package: models/a, window: {width: 5s, hop: 5s}}"
    text = starter("en", "x").replace("detectors:", f"detectors:\n{detector}", 1)
    found = read_plant(text)
    package = tmp_path / "models" / "a"
    words = f"stream/box-1 ended with exit code 2\nvigia: {package}/manifest.json: No such file"
    told = model_refused(found, tmp_path, words, lang)
    assert told is not None
    assert "shape" in told
    assert str(package) in told
    assert model_refused(found, tmp_path, "ended with exit code 2", lang) is None


def test_run_without_a_plant_file_names_init(tmp_path: Path) -> None:
    done = vigia("run", "--plant", str(tmp_path / "plant.yaml"))
    assert done.exit_code == 2
    assert "vigia init writes one" in done.stderr


def refused(plant_text: str, folder: Path, *options: str) -> str:
    """What `vigia run` says of a start that it refuses."""
    file, data = folder / "plant.yaml", folder / "data"
    file.write_text(plant_text, encoding="utf-8")
    done = vigia("run", "--plant", str(file), "--data", str(data), *options)
    assert done.exit_code == 2
    assert not data.exists()
    return done.stderr


def test_a_broker_of_our_own_is_only_for_this_machine(tmp_path: Path) -> None:
    text = starter("en", "x").replace("127.0.0.1", "broker.example")
    told = refused(text, tmp_path, "--own-mqtt", "--metrics-port", str(free_port()))
    assert "names the MQTT broker broker.example:1883" in told


def test_ports_that_are_taken_are_told(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind((HOST, 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        told = refused(starter("en", "x"), tmp_path, "--metrics-port", port, "--lang", "es")
        assert f"--metrics-port {port}: ya hay algo que escucha" in told
        text = starter("en", "x").replace("1883", port)
        told = refused(text, tmp_path, "--own-mqtt", "--metrics-port", str(free_port()))
        assert f"something listens at {HOST}:{port} already" in told


def test_what_was_said_is_seen_on_the_smallest_terminal() -> None:
    (text,) = hints().broker(answers=False)
    said = Frame("The works", "http://127.0.0.1:1/metrics", now_us=0, said=(text,))
    console = Console(file=StringIO(), width=80, height=24)
    console.print(render(board(), said, "en", (80, 24)))
    output = console.file
    assert isinstance(output, StringIO)
    assert "no MQTT broker answers" in "\n".join(output.getvalue().splitlines()[:6])


def test_a_warning_is_printed_where_there_is_no_terminal() -> None:
    output = StringIO()
    Screen(Console(file=output), "en").warn("the valve is stuck")
    assert output.getvalue() == "the valve is stuck\n"
