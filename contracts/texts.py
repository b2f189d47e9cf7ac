"""What operators read, in English and Spanish.

Each code has several wordings: the first one for which all numbers are there is taken, and the
last one needs nothing. `{score%}` is a share as percent, `{score}` a plain number.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Literal, get_args

from contracts.messages import AlarmClass, AlarmState, Alert, Phase, Severity, Transition

Language = Literal["en", "es"]
LANGUAGES: tuple[Language, ...] = get_args(Language)

UNWATCHED = "unwatched"
"""The reason of an alarm that was cleared because nothing watches any more what it is about."""
Wordings = tuple[str, ...]
REASONS: dict[str, dict[Language, Wordings]] = {
    "limit-high": {
        "en": ("value {value} is above the limit {limit}", "value above its limit"),
        "es": ("el valor {value} supera el límite {limit}", "el valor supera su límite"),
    },
    "limit-low": {
        "en": ("value {value} is below the limit {limit}", "value below its limit"),
        "es": ("el valor {value} está bajo el límite {limit}", "el valor está bajo su límite"),
    },
    "rate-rise": {
        "en": ("rises too fast: {rate} (limit {threshold})", "rises too fast"),
        "es": ("sube demasiado rápido: {rate} (límite {threshold})", "sube demasiado rápido"),
    },
    "rate-fall": {
        "en": ("falls too fast: {rate} (limit {threshold})", "falls too fast"),
        "es": ("baja demasiado rápido: {rate} (límite {threshold})", "baja demasiado rápido"),
    },
    "imbalance-loss": {
        "en": ("inlet exceeds outlet by {score%} (limit {threshold%})", "inlet exceeds outlet"),
        "es": (
            "la entrada supera la salida en {score%} (límite {threshold%})",
            "la entrada supera la salida",
        ),
    },
    "imbalance-gain": {
        "en": ("outlet exceeds inlet by {score%} (limit {threshold%})", "outlet exceeds inlet"),
        "es": (
            "la salida supera la entrada en {score%} (límite {threshold%})",
            "la salida supera la entrada",
        ),
    },
    "pulse": {
        "en": (
            "instrument reads {score} times its reference (limit {threshold})",
            "instrument pulses",
        ),
        "es": (
            "el instrumento marca {score} veces su referencia (límite {threshold})",
            "pulsos del instrumento",
        ),
    },
    "missing": {
        "en": ("no readings for {score%} of the time (limit {threshold%})", "no readings"),
        "es": ("sin lecturas el {score%} del tiempo (límite {threshold%})", "sin lecturas"),
    },
    "out-of-range": {
        "en": (
            "impossible readings for {score%} of the time (limit {threshold%})",
            "impossible readings",
        ),
        "es": (
            "lecturas imposibles el {score%} del tiempo (límite {threshold%})",
            "lecturas imposibles",
        ),
    },
    "frozen": {
        "en": (
            "the picture stands still for {score%} of the time (limit {threshold%})",
            "the picture stands still",
        ),
        "es": (
            "la imagen está congelada el {score%} del tiempo (límite {threshold%})",
            "la imagen está congelada",
        ),
    },
    "dark": {
        "en": (
            "the picture is black for {score%} of the time (limit {threshold%})",
            "the picture is black",
        ),
        "es": (
            "la imagen está negra el {score%} del tiempo (límite {threshold%})",
            "la imagen está negra",
        ),
    },
    "stuck": {
        "en": (
            "the reading stands still for {score%} of the time (limit {threshold%})",
            "the reading stands still",
        ),
        "es": (
            "la lectura no cambia el {score%} del tiempo (límite {threshold%})",
            "la lectura no cambia",
        ),
    },
    "jump": {
        "en": (
            "readings jump further than they can for {score%} of the time (limit {threshold%})",
            "readings jump further than they can",
        ),
        "es": (
            "las lecturas saltan más de lo posible el {score%} del tiempo (límite {threshold%})",
            "las lecturas saltan más de lo posible",
        ),
    },
    "clock": {
        "en": (
            "the source's clock cannot be believed for {score%} of the time (limit {threshold%})",
            "the source's clock cannot be believed",
        ),
        "es": (
            "el reloj de la fuente no es creíble el {score%} del tiempo (límite {threshold%})",
            "el reloj de la fuente no es creíble",
        ),
    },
    "over-exposed": {
        "en": (
            "the picture is over-exposed for {score%} of the time (limit {threshold%})",
            "the picture is over-exposed",
        ),
        "es": (
            "la imagen está sobreexpuesta el {score%} del tiempo (límite {threshold%})",
            "la imagen está sobreexpuesta",
        ),
    },
    "blurred": {
        "en": (
            "the picture is blurred for {score%} of the time (limit {threshold%})",
            "the picture is blurred",
        ),
        "es": (
            "la imagen está borrosa el {score%} del tiempo (límite {threshold%})",
            "la imagen está borrosa",
        ),
    },
    "moved": {
        "en": (
            "the camera was moved for {score%} of the time (limit {threshold%})",
            "the camera was moved",
        ),
        "es": (
            "la cámara se ha movido el {score%} del tiempo (límite {threshold%})",
            "la cámara se ha movido",
        ),
    },
    "not-observable": {
        "en": (
            "the picture does not show it for {score%} of the time (limit {threshold%})",
            "the picture does not show it",
        ),
        "es": (
            "la imagen no lo muestra el {score%} del tiempo (límite {threshold%})",
            "la imagen no lo muestra",
        ),
    },
    "reconstruction": {
        "en": (
            "unlike its normal pattern: {score} (limit {threshold})",
            "unlike its normal pattern",
        ),
        "es": (
            "distinto de su patrón normal: {score} (límite {threshold})",
            "distinto de su patrón normal",
        ),
    },
    "image": {
        "en": (
            "looks abnormal in {above} of {frames} images: {score} (limit {threshold})",
            "looks abnormal",
        ),
        "es": (
            "aspecto anormal en {above} de {frames} imágenes: {score} (límite {threshold})",
            "aspecto anormal",
        ),
    },
    "too-few-rows": {
        "en": ("not measured: too few readings",),
        "es": ("sin medir: muy pocas lecturas",),
    },
    "masked": {
        "en": ("not measured: the instrument was disturbed",),
        "es": ("sin medir: el instrumento estaba perturbado",),
    },
    "model-failed": {
        "en": ("not measured: the model failed",),
        "es": ("sin medir: el modelo ha fallado",),
    },
    UNWATCHED: {
        "en": ("nothing watches it any more, by the plant file",),
        "es": ("según el archivo de planta ya nada lo vigila",),
    },
    "": {
        "en": ("score {score} (limit {threshold})", "abnormal"),
        "es": ("puntuación {score} (límite {threshold})", "anormal"),
    },
}

Words = dict[Language, str]
TRANSITIONS: dict[Transition, Words] = {
    Transition.RAISED: {"en": "raised", "es": "activada"},
    Transition.ESCALATED: {"en": "escalated", "es": "agravada"},
    Transition.ACKNOWLEDGED: {"en": "acknowledged", "es": "reconocida"},
    Transition.SHELVED: {"en": "shelved", "es": "aplazada"},
    Transition.CLEARED: {"en": "cleared", "es": "despejada"},
    Transition.REVISED: {"en": "revised", "es": "revisada"},
}
PHASES: dict[Phase, Words] = {
    Phase.NORMAL: {"en": "normal", "es": "normal"},
    Phase.PENDING: {"en": "pending", "es": "pendiente"},
    Phase.ACTIVE: {"en": "raised", "es": "activa"},
    Phase.CLEARING: {"en": "raised, clearing", "es": "activa, despejándose"},
}
SEVERITIES: dict[Severity, Words] = {
    Severity.CRITICAL: {"en": "critical", "es": "crítica"},
    Severity.WARNING: {"en": "warning", "es": "aviso"},
    Severity.INFO: {"en": "info", "es": "información"},
}
CLASSES: dict[AlarmClass, Words] = {
    AlarmClass.PROCESS: {"en": "process", "es": "proceso"},
    AlarmClass.INSTRUMENT: {"en": "instrument", "es": "instrumento"},
}
NOTES: dict[str, Words] = {
    "kafka-away": {
        "en": "Kafka does not answer: what comes is kept on disk",
        "es": "Kafka no responde: lo que llega se guarda en disco",
    },
    "draining": {
        "en": "what was kept on disk goes to Kafka now",
        "es": "lo guardado en disco va ahora a Kafka",
    },
    "disk-refuses": {
        "en": "the disk takes nothing more: what Kafka does not take waits with its senders",
        "es": "el disco no admite más: lo que Kafka no recibe espera en su origen",
    },
    "camera-ahead": {
        "en": "the camera's clock is far ahead; times of arrival are used",
        "es": "el reloj de la cámara va muy adelantado; se usan las horas de llegada",
    },
    "camera-behind": {
        "en": "the camera's clock is far behind; times of arrival are used",
        "es": "el reloj de la cámara va muy atrasado; se usan las horas de llegada",
    },
    "moved-unseen": {
        "en": "whether the camera was moved cannot be told now; its view shows too little",
        "es": "no se puede saber ahora si se movió la cámara; su vista muestra demasiado poco",
    },
    "blurred-unseen": {
        "en": "whether the camera is blurred cannot be told now; its view shows too little",
        "es": "no se puede saber ahora si la cámara ve borroso; su vista muestra demasiado poco",
    },
    "model-fails": {
        "en": "a model fails: what it fails at is not measured",
        "es": "un modelo falla: lo que no puede evaluar queda sin medir",
    },
    "plant-refused": {
        "en": "the plant file or a model on disk is refused and the one before stays in use",
        "es": "el archivo de planta o un modelo en disco se rechaza y sigue en uso el anterior",
    },
}
"""What a process says of itself, in its Status in English; some after the name of an asset, some
with more after a colon."""
_UNKNOWN: dict[Language, Wordings] = {
    "en": ("{code}: score {score} (limit {threshold})", "{code}"),
    "es": ("{code}: puntuación {score} (límite {threshold})", "{code}"),
}
_FIELD = re.compile(r"\{([a-z_]+)(%?)\}")


_BACKFILL: dict[Language, str] = {
    "en": "known only afterwards, nobody was told",
    "es": "sabido solo después, no se avisó a nadie",
}


def describe(
    what: Alert | AlarmState, lang: Language = "en", names: Mapping[str, str] | None = None
) -> str:
    """One line for an operator, as `Line 3: inlet exceeds outlet by 4.2 % (limit 2.0 %)`.

    `names` gives assets' display names. Of an alert other than raised, and of an alarm that is
    not raised now, it says that too; and of what only a backfill says, that nobody was told.
    """
    where = (names or {}).get(what.asset) or what.asset
    after = f" ({_BACKFILL[lang]})" if what.backfill else ""
    if isinstance(what, Alert):
        happened = TRANSITIONS[what.transition][lang]
        if what.transition is Transition.CLEARED:
            why = f": {REASONS[UNWATCHED][lang][0]}" if what.reason == UNWATCHED else ""
            return f"{where}: {happened}{why}{after}"
        told = "" if what.transition is Transition.RAISED else f"{happened}: "
    elif what.raised:
        told = ""
    else:
        return f"{where}: {PHASES[what.phase][lang]}"
    figures = {"score": what.score, "threshold": what.threshold}
    return f"{where}: {told}{reason_text(what.reason, lang, figures, what.evidence)}{after}"


def reason_text(
    code: str,
    lang: Language,
    figures: Mapping[str, float | None],
    evidence: Mapping[str, float] | None = None,
) -> str:
    """The words for a reason code; one that is not known here is shown as it is."""
    known: dict[str, float | None] = {**(evidence or {}), **figures}
    wordings = REASONS.get(code, _UNKNOWN)[lang]
    for wording in wordings:
        if all(known.get(name) is not None for name, _ in _fields(wording)):
            return _FIELD.sub(lambda found: _filled(found, known, code, lang), wording)
    return wordings[-1].replace("{code}", code)


def _fields(wording: str) -> list[tuple[str, str]]:
    return [found for found in _FIELD.findall(wording) if found[0] != "code"]


def _filled(
    found: re.Match[str], known: Mapping[str, float | None], code: str, lang: Language
) -> str:
    if found[1] == "code":
        return code
    value = known[found[1]] or 0.0
    text = f"{value * 100:.1f} %" if found[2] else number_text(value)
    return text.replace(".", ",") if lang == "es" else text


def note_text(note: str, lang: Language) -> str:
    """A note of a Status in the operator's language; one that is not known here as it is."""
    told, colon, rest = note.partition(": ")
    for words in NOTES.values():
        if words["en"] == note:
            return words[lang]
        if words["en"] == told:
            return f"{words[lang]}{colon}{rest}"
        if words["en"] == rest:
            return f"{told}{colon}{words[lang]}"
    return note


def number_text(value: float) -> str:
    """A number with the four digits that a person reads."""
    return f"{value:.4g}"
