"""Training without TensorFlow: data, scenarios, judges, and that the shipped package is whole."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from contracts.errors import ModelError
from stream.core.features import Why, extract
from stream.core.manifest import SCORE_TOLERANCE, Manifest, read_manifest
from training import recipe, whut
from training.card import card
from training.evaluation import (
    NOT_MEASURED,
    Judge,
    Rule,
    Verdicts,
    alarms,
    episodes,
    false_alarms,
    pump_changes,
    withdrawals,
)
from training.fitting import Fitted, drifted, fit, training_windows
from training.scenarios import pump, trapezoid, withdraw
from vigia.demo.planting import Event, EventKind, Plan, rows
from vigia.demo.recording import Recording, recordings

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "models" / "whut-lstm"


@pytest.fixture(scope="module")
def fitted() -> tuple[Fitted, ...]:
    return tuple(fit(run) for run in whut.load())


@pytest.fixture(scope="module")
def manifest() -> Manifest:
    return read_manifest((PACKAGE / "manifest.json").read_bytes())


HEADER = "time,pre1,pre2,vib1,flow2,flow1,,\r\n"


def test_reading_the_original_files() -> None:
    text = HEADER + "14:1,0.2,0.1 ,9,3,4,,\r\n0,1,1,1,1,1,,\r\n,,,,,,,\r\n14:2,0.2,,9,3,4,,\r\n"
    kept, dropped = whut.read_csv(text)
    assert kept.tolist() == [[4.0, 3.0, 0.2, 0.1]]
    assert dropped == 3


def test_the_shipped_file_is_rebuilt_from_the_original_files(tmp_path: Path) -> None:
    runs = whut.load()
    for run, name in zip(runs, whut.ASSETS.values(), strict=True):
        lines = [f"t,{p1!r},{p2!r},0,{f2!r},{f1!r}" for f1, f2, p1, p2 in run.rows.tolist()]
        (tmp_path / name).write_text("time,pre1,pre2,vib1,flow2,flow1\n" + "\n".join(lines))
    counts = whut.ship(tmp_path, tmp_path / "again.npz")
    assert {asset: kept for asset, (kept, _) in counts.items()} == {
        run.asset: len(run.rows) for run in runs
    }
    for run, again in zip(runs, whut.load(tmp_path / "again.npz"), strict=True):
        np.testing.assert_array_equal(again.rows, run.rows)


def test_training_and_demo_read_the_same_rows() -> None:
    demo = recordings()
    for run in whut.load():
        np.testing.assert_array_equal(demo[run.asset].rows, run.rows)
        np.testing.assert_array_equal(demo[run.asset].held_out, run.held_out)


@pytest.mark.parametrize("kind", [EventKind.WITHDRAWAL, EventKind.PUMP_CHANGE])
def test_training_judges_on_what_the_demo_plants(kind: EventKind) -> None:
    asset, constant = "whut/pumps-1", np.tile([2.0, 1.9, 1.0, 0.9], (500, 1))
    split = 0.3 if kind is EventKind.WITHDRAWAL else 0.0
    event = Event(asset, kind, 5.0, 17.0, 1.0, 0.1, split)
    planted = rows(Plan(0, 0, 30, {asset: 0}, (event,)), Recording(asset, constant), 0, 200)
    shape = trapezoid(200, 50, 10, 100)
    taken = kind is EventKind.WITHDRAWAL
    mine = constant[:200]
    judged = withdraw(mine, shape, 0.1, split) if taken else pump(mine, shape, 0.1)
    np.testing.assert_allclose(planted, judged, atol=1e-6)


def test_a_lagging_outlet() -> None:
    shape = trapezoid(20, 5, 2, 4)
    changed = pump(np.ones((20, 4)), shape, 0.1, lag=2)
    np.testing.assert_allclose(changed[2:, 1], changed[:-2, 0])


def test_scalers_come_from_the_history_alone(fitted: tuple[Fitted, ...]) -> None:
    for one in fitted:
        changed = one.run.rows.copy()
        changed[one.run.cut :] *= 7.0
        again = fit(whut.Run(one.run.asset, changed))
        np.testing.assert_array_equal(again.centre, one.centre)
        np.testing.assert_array_equal(again.spread, one.spread)


def test_training_windows_are_quiet_and_drift_moves_the_laws_alone(
    fitted: tuple[Fitted, ...],
) -> None:
    x = training_windows(fitted)
    assert x.shape[1:] == (recipe.ROWS, 3) and x.dtype == np.float32
    assert len(x) > 10_000
    moved = drifted(x[:50], np.random.default_rng(1))
    np.testing.assert_array_equal(moved[..., 0], x[:50, :, 0])
    by = (moved - x[:50])[..., 1:]
    np.testing.assert_allclose(by, np.broadcast_to(by[:, :1, :1], by.shape), atol=1e-5)
    assert np.abs(by).max() <= recipe.LAW_DRIFT


A, N, M = 1, 0, NOT_MEASURED


@pytest.mark.parametrize(
    ("verdicts", "raised"),
    [
        ([N, A, A, A, A, N], []),
        ([N, A, A, A, A, A, A, N], [5]),
        ([A, A, M, M, A, N], [4]),
        ([A, A, A, N, A, A, A], []),
        ([A] * 6 + [N] + [A] * 6, [4, 11]),
    ],
)
def test_alarms_wait_for_the_on_delay(verdicts: list[int], raised: list[int]) -> None:
    assert alarms(np.array(verdicts, np.int8)) == raised


def test_episodes() -> None:
    assert episodes(np.array([A, A, N, A, M, A], np.int8)) == 2


def test_the_rule_has_no_false_window_and_finds_three_percent(fitted: tuple[Fitted, ...]) -> None:
    judge: Judge = Rule()
    for row in false_alarms(judge, fitted).values():
        assert row["false_windows"] == 0
    assert pump_changes(judge, fitted, draws=20, lag=0, seed=11)["false_windows"] == 0
    found = withdrawals(judge, fitted, draws=50, seed=11)
    assert {found[size]["found"] for size in ("3%", "5%", "10%", "15%")} == {50}


def test_a_judge_that_always_cries_is_counted(fitted: tuple[Fitted, ...]) -> None:
    def always(one: Fitted, windows: whut.Rows) -> Verdicts:
        return np.ones(len(windows), np.int8)

    row = false_alarms(always, fitted[:1])["whut/pumps-1"]
    assert row["false_windows"] == row["windows"]
    assert row["false_alarms"] == row["false_episodes"] == 1


def test_the_package_is_what_its_manifest_says(
    manifest: Manifest, fitted: tuple[Fitted, ...]
) -> None:
    for name, expected in manifest.files.items():
        assert hashlib.sha256((PACKAGE / name).read_bytes()).hexdigest() == expected
    assert manifest.data["sha256"] == hashlib.sha256(whut.SHIPPED.read_bytes()).hexdigest()
    assert manifest.feature_set() == recipe.FEATURES
    assert manifest.signals == whut.SIGNALS
    for one in fitted:
        np.testing.assert_allclose(manifest.assets[one.run.asset].centre, one.centre)
        np.testing.assert_allclose(manifest.assets[one.run.asset].spread, one.spread)
    assert (PACKAGE / "model.onnx").stat().st_size < 300_000


def session() -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(PACKAGE / "model.onnx", options)


def test_golden_samples_score_here_as_they_did_in_keras(manifest: Manifest) -> None:
    golden = np.load(PACKAGE / "golden.npz", allow_pickle=False)
    assert len(golden["score"]) >= 32
    centre, spread = manifest.scaler(tuple(golden["asset"].tolist()))
    found = extract(golden["values"], manifest.signals, manifest.feature_set(), centre, spread)
    np.testing.assert_array_equal(found.why, golden["why"])
    assert {Why.MEASURED, Why.MISSING} <= set(found.why.tolist())
    score, errors = session().run(["score", "errors"], {"window": found.x})
    np.testing.assert_allclose(
        score[found.measured], golden["score"][found.measured], atol=SCORE_TOLERANCE, rtol=0
    )
    np.testing.assert_allclose(errors.mean(axis=1), score, atol=1e-5)


def test_a_score_does_not_depend_on_the_batch(fitted: tuple[Fitted, ...]) -> None:
    x = fitted[4].features(recipe.cut_windows(fitted[4].run.held_out)).x[:256]
    run = session()
    (whole,) = run.run(["score"], {"window": x})
    rng = np.random.default_rng(5)
    for size in (1, 2, 3, 7, 16, 33, 100):
        some = rng.permutation(len(x))[:size]
        (score,) = run.run(["score"], {"window": x[some]})
        np.testing.assert_allclose(score, whole[some], atol=1e-5, rtol=0)


def test_the_shipped_model_keeps_quiet_and_finds_three_percent(manifest: Manifest) -> None:
    judged = manifest.metrics["model"]
    assert isinstance(judged, dict)
    for row in (*judged["held_out"].values(), judged["pump_changes"]["both flows at once"]):
        assert row["false_windows"] == 0
    for size in ("3%", "5%", "10%", "15%"):
        assert judged["withdrawals"][size]["found"] == judged["withdrawals"][size]["events"]


def test_the_card_is_written_from_the_manifest(manifest: Manifest) -> None:
    assert (ROOT / "docs" / "models" / "whut-lstm.md").read_text() == card(manifest)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('"format": 1', '"format": 2', "format"),
        ('"kind": "square_law"', '"kind": "cube_law"', "features.1.kind"),
        ('"feature": "imbalance"', '"feature": "loss"', "guard"),
        ('"model.onnx":', '"other.onnx":', "files"),
        ('"rows": 30', '"rows": 0', "window.rows"),
        ("{", "", "manifest"),
    ],
)
def test_a_wrong_manifest_is_refused_and_says_where(old: str, new: str, said: str) -> None:
    text = (PACKAGE / "manifest.json").read_text()
    assert old in text
    with pytest.raises(ModelError, match=said):
        read_manifest(text.replace(old, new, 1))


def test_an_asset_without_a_scaler_is_refused(manifest: Manifest) -> None:
    with pytest.raises(ModelError, match="not fitted for x/y"):
        manifest.scaler(("whut/pumps-1", "x/y"))


def test_what_is_fitted_on_and_what_is_replayed_do_not_overlap() -> None:
    """Training and demo read the same file by code of their own: neither may import the other."""
    for run in whut.load():
        recording = recordings()[run.asset]
        assert (run.cut, len(run.rows)) == (recording.cut, len(recording.rows))
