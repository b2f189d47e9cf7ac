"""The words of the terminal view, in English and Spanish."""

from __future__ import annotations

from contracts.texts import Language

WORDS: dict[str, dict[Language, str]] = {
    "asset": {"en": "asset", "es": "activo"},
    "rate": {"en": "readings/s", "es": "lecturas/s"},
    "sensors": {"en": "sensors", "es": "sensores"},
    "raised": {"en": "raised", "es": "activas"},
    "none": {"en": "no alarm is raised", "es": "ninguna alarma activa"},
    "happened": {"en": "what happened", "es": "lo ocurrido"},
    "account": {
        "en": "account (in = out + held + dropped)",
        "es": "cuentas (entra = sale + retenido + descartado)",
    },
    "stage": {"en": "stage", "es": "etapa"},
    "unit": {"en": "unit", "es": "unidad"},
    "in": {"en": "in", "es": "entra"},
    "out": {"en": "out", "es": "sale"},
    "held": {"en": "held", "es": "retenido"},
    "dropped": {"en": "dropped", "es": "descartado"},
    "balance": {"en": "adds up", "es": "cuadra"},
    "processes": {"en": "processes", "es": "procesos"},
    "metrics": {"en": "metrics", "es": "métricas"},
    "more": {"en": "and {n} more", "es": "y {n} más"},
    "first": {"en": "waiting for the first readings", "es": "esperando las primeras lecturas"},
    "waiting": {"en": "waiting", "es": "esperando"},
    "not-measured": {"en": "not measured", "es": "sin medir"},
    "quiet": {"en": "says nothing", "es": "no dice nada"},
    "quit": {"en": "Ctrl-C ends it", "es": "Ctrl-C lo termina"},
    "ok": {"en": "ok", "es": "bien"},
    "silent": {"en": "silent", "es": "mudo"},
    "lost": {"en": "lost", "es": "perdida"},
    "unauthorised": {"en": "wrong user or password", "es": "usuario o contraseña erróneos"},
    "frozen": {"en": "image frozen", "es": "imagen congelada"},
    "dark": {"en": "image dark", "es": "imagen oscura"},
    "out-of-range": {"en": "out of range", "es": "fuera de rango"},
}


def word(key: str, lang: Language, **fields: object) -> str:
    """The word for `key`; KeyError for one that is not in the table."""
    return WORDS[key][lang].format(**fields)
