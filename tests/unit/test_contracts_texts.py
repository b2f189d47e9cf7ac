"""Operators' texts: every code in every language, with numbers where they are known."""

from __future__ import annotations

import string
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.messages import AlarmClass, AlarmState, Alert, Phase, Severity, Transition
from contracts.texts import (
    CLASSES,
    LANGUAGES,
    PHASES,
    REASONS,
    SEVERITIES,
    TRANSITIONS,
    Language,
    describe,
    reason_text,
)
from tests import samples

CODES = {
    "limit-high",
    "limit-low",
    "rate-rise",
    "rate-fall",
    "imbalance-loss",
    "imbalance-gain",
    "pulse",
    "missing",
    "out-of-range",
    "reconstruction",
    "image",
    "frozen",
    "dark",
    "over-exposed",
    "blurred",
    "moved",
    "stuck",
    "jump",
    "clock",
    "not-observable",
    "too-few-rows",
    "masked",
    "model-failed",
    "unwatched",
    "",
}


def test_every_code_has_every_language() -> None:
    assert REASONS.keys() == CODES
    for code, texts in REASONS.items():
        assert set(texts) == set(LANGUAGES) == set(get_args(Language)), code
        assert len({len(wordings) for wordings in texts.values()}) == 1, code
        assert all("{" not in wordings[-1] and wordings[-1] for wordings in texts.values()), code
    for catalog, kind in (
        (TRANSITIONS, Transition),
        (PHASES, Phase),
        (SEVERITIES, Severity),
        (CLASSES, AlarmClass),
    ):
        assert set(catalog) == set(kind)
        assert all(set(words) == set(LANGUAGES) for words in catalog.values())


def test_the_languages_name_the_same_figures() -> None:
    for texts in REASONS.values():
        for english, spanish in zip(texts["en"], texts["es"], strict=True):
            fields = [
                sorted(f for _, f, _, _ in string.Formatter().parse(t) if f)
                for t in (english, spanish)
            ]
            assert fields[0] == fields[1]


@pytest.mark.parametrize(
    ("code", "evidence", "score", "threshold", "english", "spanish"),
    [
        (
            "imbalance-loss",
            {"excess": 0.042},
            0.042,
            0.02,
            "inlet exceeds outlet by 4.2 % (limit 2.0 %)",
            "la entrada supera la salida en 4,2 % (límite 2,0 %)",
        ),
        (
            "limit-high",
            {"value": 912.5, "limit": 900.0},
            12.5,
            0.0,
            "value 912.5 is above the limit 900",
            "el valor 912,5 supera el límite 900",
        ),
        ("limit-low", {}, 1.0, 0.0, "value below its limit", "el valor está bajo su límite"),
        (
            "rate-rise",
            {"rate": 4.0},
            4.0,
            3.5,
            "rises too fast: 4 (limit 3.5)",
            "sube demasiado rápido: 4 (límite 3,5)",
        ),
        (
            "missing",
            {"inlet": 0.75},
            0.75,
            0.5,
            "no readings for 75.0 % of the time (limit 50.0 %)",
            "sin lecturas el 75,0 % del tiempo (límite 50,0 %)",
        ),
        (
            "invented",
            {},
            2.0,
            1.0,
            "invented: score 2 (limit 1)",
            "invented: puntuación 2 (límite 1)",
        ),
        ("invented", {}, None, None, "invented", "invented"),
        (
            "too-few-rows",
            {},
            None,
            1.0,
            "not measured: too few readings",
            "sin medir: muy pocas lecturas",
        ),
    ],
)
def test_reasons(
    code: str,
    evidence: dict[str, float],
    score: float | None,
    threshold: float | None,
    english: str,
    spanish: str,
) -> None:
    figures = {"score": score, "threshold": threshold}
    assert reason_text(code, "en", figures, evidence) == english
    assert reason_text(code, "es", figures, evidence) == spanish


@given(
    st.one_of(st.sampled_from(sorted(CODES)), st.text(max_size=20)),
    st.sampled_from(LANGUAGES),
    st.dictionaries(st.text(max_size=8), st.floats()),
    st.one_of(st.none(), st.floats()),
)
def test_any_code_with_any_evidence_is_a_text(
    code: str, lang: Language, evidence: dict[str, float], score: float | None
) -> None:
    assert reason_text(code, lang, {"score": score, "threshold": score}, evidence) or not code


def test_an_alert_is_described() -> None:
    names = {samples.ASSET: "Line 3"}
    raised = samples.alert()
    why = "inlet exceeds outlet by 4.2 % (limit 2.0 %)"
    assert describe(raised, "en", names) == f"Line 3: {why}"
    assert describe(raised) == f"north/line1: {why}"
    assert describe(samples.alert(Transition.CLEARED), "en", names) == "Line 3: cleared"
    assert describe(samples.alert(Transition.CLEARED), "es", names) == "Line 3: despejada"
    assert describe(samples.alert(Transition.ESCALATED)) == f"north/line1: escalated: {why}"


def test_what_only_a_backfill_says_is_marked() -> None:
    alert = samples.alert().model_copy(update={"backfill": True})
    assert describe(alert).endswith(" (known only afterwards, nobody was told)")
    state = samples.alarm(Phase.ACTIVE).model_copy(update={"backfill": True})
    assert describe(state, "es").endswith(" (sabido solo después, no se avisó a nadie)")


@pytest.mark.parametrize("lang", LANGUAGES)
@pytest.mark.parametrize("phase", Phase)
def test_an_alarm_is_described_in_every_phase(phase: Phase, lang: Language) -> None:
    text = describe(samples.alarm(phase), lang)
    reason = {"en": "inlet exceeds outlet", "es": "la entrada supera la salida"}[lang]
    assert (reason in text) == (phase in (Phase.ACTIVE, Phase.CLEARING))
    assert text.startswith("north/line1: ")


@pytest.mark.parametrize("transition", Transition)
def test_an_alert_without_numbers_is_described(transition: Transition) -> None:
    bare: dict[str, object] = {"score": None, "threshold": None, "evidence": {}, "reason": ""}
    alert: Alert = samples.alert(transition).model_copy(update=bare)
    state: AlarmState = samples.alarm().model_copy(update=bare)
    assert describe(alert, "es").startswith("north/line1: ")
    assert describe(state) == "north/line1: abnormal"
