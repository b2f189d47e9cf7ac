"""What a probe found of a plant's brokers, sources and models, in English and Spanish."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from contracts.texts import Language, number_text

What = Literal["kafka", "topic", "mqtt", "sensor", "camera", "model"]
Field = str | int | float

WHATS: dict[What, dict[Language, str]] = {
    "kafka": {"en": "Kafka", "es": "Kafka"},
    "topic": {"en": "topic", "es": "tópico"},
    "mqtt": {"en": "MQTT broker", "es": "broker MQTT"},
    "sensor": {"en": "sensor", "es": "sensor"},
    "camera": {"en": "camera", "es": "cámara"},
    "model": {"en": "model", "es": "modelo"},
}
WELL: dict[str, dict[Language, str]] = {
    "lets-in": {"en": "lets us in {door}", "es": "nos deja entrar {door}"},
    "kafka-own": {
        "en": "not running: vigia run starts our own",
        "es": "no está en marcha: vigia run arranca el nuestro",
    },
    "partitions": {"en": "{count} partitions", "es": "{count} particiones"},
    "readings": {"en": "{values}", "es": "{values}"},
    "subscribed": {"en": "subscribed; not waited for", "es": "suscrito; no se esperó"},
    "frames": {
        "en": "{codec} {width}x{height}, {rate} frames/s, the first after {first} s",
        "es": "{codec} {width}x{height}, {rate} imágenes/s, la primera a los {first} s",
    },
    "frame": {
        "en": "{codec} {width}x{height}, one frame, after {first} s",
        "es": "{codec} {width}x{height}, una imagen, a los {first} s",
    },
    "loads": {
        "en": "{name} loads and scores its samples as it should",
        "es": "{name} se carga y puntúa sus muestras como debe",
    },
}
"""By code: what is as it should be."""
ILL: dict[str, dict[Language, str]] = {
    "refused": {"en": "{why}", "es": "{why}"},
    "not-asked": {
        "en": "not asked, for {why} cannot be used",
        "es": "no se preguntó, pues {why} no se puede usar",
    },
    "late": {"en": "nothing came in {seconds} s", "es": "nada llegó en {seconds} s"},
    "topic-missing": {
        "en": "is not there: vigia topics create",
        "es": "no existe: vigia topics create",
    },
    "partitions-differ": {
        "en": "{count} partitions, expected {wanted}",
        "es": "{count} particiones, se esperaban {wanted}",
    },
    "denied": {
        "en": "the broker refuses the subscription",
        "es": "el broker rechaza la suscripción",
    },
    "unread": {"en": "cannot be read: {why}", "es": "no se puede leer: {why}"},
    "partly": {
        "en": "{values}; nothing of {missing} in {seconds} s",
        "es": "{values}; nada de {missing} en {seconds} s",
    },
}
"""By code: what somebody must mend."""
DOORS: dict[tuple[bool, bool], dict[Language, str]] = {
    (False, False): {"en": "without TLS and without a user", "es": "sin TLS y sin usuario"},
    (False, True): {"en": "without TLS, with a user", "es": "sin TLS, con usuario"},
    (True, False): {"en": "with TLS, without a user", "es": "con TLS, sin usuario"},
    (True, True): {"en": "with TLS and a user", "es": "con TLS y usuario"},
}
"""By whether there is TLS, and a user."""

WHYS: dict[str, str] = {
    "the broker does not accept the connection": "el broker no acepta la conexión",
    "the broker does not answer": "el broker no responde",
    "the broker refuses": "el broker rechaza",
    "the broker asks for a certificate": "el broker pide un certificado",
    "the broker's certificate has expired": "el certificado del broker ha caducado",
    "our certificate has expired, says the broker": "el broker dice que el nuestro ha caducado",
    "the broker ended TLS": "el broker cerró el TLS",
    "does it ask for a certificate, or refuse ours?": "¿pide un certificado o rechaza el nuestro?",
    "the broker speaks no TLS at this port": "el broker no habla TLS en este puerto",
    "nothing answers in time": "nada responde a tiempo",
    "it cannot be reached": "no se puede alcanzar",
    "the connection was lost": "se perdió la conexión",
    "cannot be opened": "no se puede abrir",
    "nothing came in time": "nada llegó a tiempo",
    "the camera wants another user or password": "la cámara pide otro usuario u otra contraseña",
    "the camera has no stream at this path": "la cámara no tiene ningún flujo en esta ruta",
    "what answers is no video stream": "lo que responde no es un flujo de vídeo",
    "there is no video in the stream": "no hay vídeo en el flujo",
    "the camera ended the stream": "la cámara terminó el flujo",
    "the stream was lost": "se perdió el flujo",
    "Connection refused": "conexión rechazada",
    "No such file or directory": "no existe el archivo o dispositivo",
    "Not authorized": "no autorizado",
}
"""In Spanish: the parts, between colons, of why something fails that are said most."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at: `where` it is, and what was found as a code of WELL or ILL
    with its fields. No field holds a secret."""

    what: What
    where: str
    code: str
    fields: Mapping[str, Field] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Whether it is as it should be."""
        return self.code in WELL

    def text(self, lang: Language) -> str:
        """What was found, for a person. Why something fails stays in English where it is rare."""
        told = {name: _told(value, lang) for name, value in self.fields.items()}
        if "tls" in self.fields:
            door = bool(self.fields["tls"]), bool(self.fields.get("user"))
            told["door"] = DOORS[door][lang]
        if lang == "es" and "why" in told:
            told["why"] = ": ".join(WHYS.get(part, part) for part in told["why"].split(": "))
        return (WELL | ILL)[self.code][lang].format(**told)


def _told(value: Field, lang: Language) -> str:
    if not isinstance(value, float):
        return str(value)
    return number_text(value).replace(".", ",") if lang == "es" else number_text(value)
