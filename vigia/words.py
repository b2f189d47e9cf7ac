"""The words of the terminal view and of what commands say, in English and Spanish."""

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
    "over-exposed": {"en": "image over-exposed", "es": "imagen sobreexpuesta"},
    "blurred": {"en": "image blurred", "es": "imagen borrosa"},
    "moved": {"en": "camera moved", "es": "cámara movida"},
    "out-of-range": {"en": "out of range", "es": "fuera de rango"},
    "stuck": {"en": "stuck", "es": "parado"},
    "jump": {"en": "jumped", "es": "salto"},
    "clock": {"en": "wrong clock", "es": "reloj erróneo"},
    "well": {"en": "well again", "es": "bien otra vez"},
    "line": {
        "en": "{sensors} sensors, {rate} readings/s{cameras}, {ill} silent or ill; "
        "{raised} alarms raised; {dropped} dropped",
        "es": "{sensors} sensores, {rate} lecturas/s{cameras}, {ill} mudos o con fallo; "
        "{raised} alarmas activas; {dropped} descartados",
    },
    "cameras": {
        "en": ", {n} cameras, {rate} frames/s",
        "es": ", {n} cámaras, {rate} imágenes/s",
    },
    "unbalanced": {"en": "; {n} stages do not add up", "es": "; {n} etapas no cuadran"},
    "init-done": {
        "en": "wrote {file}: look for its lines with <--\n"
        "next: vigia config check {file}\nthen: vigia run --plant {file}",
        "es": "{file} escrito: busque sus líneas con <--\n"
        "ahora: vigia config check {file}\nluego: vigia run --plant {file}",
    },
    "init-exists": {
        "en": "{file}: exists already and is not overwritten; name another: vigia init FILE",
        "es": "{file}: ya existe y no se sobrescribe; dé otro nombre: vigia init ARCHIVO",
    },
    "init-cannot": {
        "en": "{file}: cannot be written: {why}",
        "es": "{file}: no se puede escribir: {why}",
    },
    "starting": {
        "en": "starting Kafka ({kafka}), the edge, which reads MQTT at {mqtt}, the "
        "workers ({workers}), which look for alarms, and the exporter of metrics",
        "es": "arrancan Kafka ({kafka}), el edge, que lee MQTT en {mqtt}, los workers "
        "({workers}), que buscan alarmas, y el exportador de métricas",
    },
    "kafka-own": {"en": "our own, data in {folder}", "es": "propio, datos en {folder}"},
    "started": {"en": "started ({took})", "es": "en marcha ({took})"},
    "sensors-at": {
        "en": "sensors: MQTT broker {mqtt}; Kafka: {kafka}",
        "es": "sensores: broker MQTT {mqtt}; Kafka: {kafka}",
    },
    "look": {
        "en": "alarms, in another terminal: {alarms}; metrics: {metrics}; logs: {logs}; "
        "Ctrl-C ends it",
        "es": "alarmas, en otra terminal: {alarms}; métricas: {metrics}; registros: {logs}; "
        "Ctrl-C lo termina",
    },
    "look-live": {
        "en": "alarms: {alarms}   logs: {logs}",
        "es": "alarmas: {alarms}   registros: {logs}",
    },
    "stopping": {"en": "stopping ...", "es": "parando ..."},
    "stopped": {
        "en": "stopped; started again it goes on where it was",
        "es": "parado; al arrancar de nuevo sigue donde estaba",
    },
    "no-plant": {
        "en": "{file}: there is no such file; vigia init writes one to begin with",
        "es": "{file}: no existe tal archivo; vigia init escribe uno para empezar",
    },
    "metrics-port-taken": {
        "en": "--metrics-port {port}: something listens there already (another `vigia run`?); "
        "choose another: --metrics-port N",
        "es": "--metrics-port {port}: ya hay algo que escucha ahí (¿otro `vigia run`?); "
        "elija otro: --metrics-port N",
    },
    "kafka-port-taken": {
        "en": "port {port} is taken, so our Kafka listens at {kafka}: "
        "give vigia alarms and vigia tail --kafka {kafka} too",
        "es": "el puerto {port} está ocupado, así que nuestro Kafka escucha en {kafka}: "
        "dé a vigia alarms y vigia tail también --kafka {kafka}",
    },
    "mqtt-port-taken": {
        "en": "--own-mqtt: something listens at {mqtt} already; "
        "if it is an MQTT broker, leave --own-mqtt out",
        "es": "--own-mqtt: ya hay algo que escucha en {mqtt}; "
        "si es un broker MQTT, omita --own-mqtt",
    },
    "mqtt-elsewhere": {
        "en": "--own-mqtt: the plant file names the MQTT broker {mqtt}, and ours listens only on "
        "this machine: write host: 127.0.0.1 under mqtt:",
        "es": "--own-mqtt: el archivo de planta nombra el broker MQTT {mqtt}, y el nuestro solo "
        "escucha en esta máquina: escriba host: 127.0.0.1 bajo mqtt:",
    },
    "mqtt-absent": {
        "en": "no MQTT broker answers at {mqtt}: start one there, or write the address of yours "
        "under mqtt: in the plant file, or let us start one: vigia run --own-mqtt. "
        "The edge keeps trying",
        "es": "ningún broker MQTT responde en {mqtt}: arranque uno ahí, o escriba la dirección "
        "del suyo bajo mqtt: en el archivo de planta, o deje que lo arranquemos: "
        "vigia run --own-mqtt. El edge sigue intentándolo",
    },
    "mqtt-back": {
        "en": "the edge now reads from the MQTT broker {mqtt}",
        "es": "el edge ya lee del broker MQTT {mqtt}",
    },
    "mqtt-refuses": {
        "en": "something answers at {mqtt}, but does not let the edge in as an MQTT broker would: "
        "check port, username, password and ca_file under mqtt: in the plant file. "
        "The edge's log: {log}",
        "es": "algo responde en {mqtt}, pero no deja entrar al edge como haría un broker MQTT: "
        "revise port, username, password y ca_file bajo mqtt: en el archivo de planta. "
        "El registro del edge: {log}",
    },
    "nothing-came": {
        "en": "nothing has come for {seconds} s on {n} topic(s): {topics}. Do the sensors send to "
        "the MQTT broker {mqtt}, and is each topic spelt as there?",
        "es": "nada ha llegado en {seconds} s por {n} tópico(s): {topics}. ¿Envían los sensores "
        "al broker MQTT {mqtt}, y está cada tópico escrito como allí?",
    },
    "unusable": {
        "en": "{n} MQTT message(s) could not be used ({reasons}); those kept, and why: "
        "vigia tail dead-letters --from-start{options}",
        "es": "{n} mensaje(s) MQTT no se pudieron usar ({reasons}); los guardados, y por qué: "
        "vigia tail dead-letters --from-start{options}",
    },
    "model-refused": {
        "en": "the model package of the detector {detector} is refused, so nothing is watched: "
        "put the whole package, unchanged, into {folder}, or take the detector and its alarms "
        "out of the plant file",
        "es": "el paquete de modelo del detector {detector} se rechaza, así que no se vigila nada: "
        "ponga el paquete entero y sin cambios en {folder}, o quite el detector y sus alarmas "
        "del archivo de planta",
    },
}


def word(key: str, lang: Language, **fields: object) -> str:
    """The word for `key`; KeyError for one that is not in the table."""
    return WORDS[key][lang].format(**fields)
