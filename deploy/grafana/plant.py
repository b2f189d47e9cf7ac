"""The dashboards of operators: the plant, one asset, the cameras."""

from __future__ import annotations

from deploy.grafana.boards import Board, Note, Panel, Query, Row, Variable, say

_OF_SITE = 'asset=~"(?:$site)(?:/.*)?"'
_ALARM = "alarm:vigia_alarm_active:held"


def _notes(choice: str) -> tuple[Note, ...]:
    process, instrument = (f'{_ALARM}{{{choice},class="{one}"}} == 1' for one in _CLASSES)
    return (
        Note(say("Process alarms", "Alarmas de proceso"), process, "{{asset}}: {{rule}}", "red"),
        Note(
            say("Instrument alarms", "Alarmas de instrumento"),
            instrument,
            "{{asset}}: {{rule}}",
            "orange",
        ),
    )


_CLASSES = ("process", "instrument")

_STANDING = say("Alarms that stand", "Alarmas presentes")
_SITE_HELP = say(
    "Shelved and acknowledged ones too; what only a backfill says is not among them.",
    "También las aplazadas y reconocidas; no las que solo resultan de datos atrasados.",
)

OVERVIEW = Board(
    "overview",
    say("Plant overview", "La planta"),
    (Variable("site", say("Site", "Planta"), _ALARM, "site", many=True),),
    _notes('site=~"$site"'),
    (
        Row(
            say("Now", "Ahora"),
            (
                Panel(
                    "number",
                    say("Process alarms", "Alarmas de proceso"),
                    _SITE_HELP,
                    (Query('sum(site:vigia_alarm_active:count{site=~"$site",class="process"})'),),
                    width=6,
                    height=5,
                    warn=1,
                ),
                Panel(
                    "number",
                    say("Instrument alarms", "Alarmas de instrumento"),
                    say(
                        "What an instrument cannot see is not watched.",
                        "Lo que un instrumento no ve queda sin vigilar.",
                    ),
                    (
                        Query(
                            'sum(site:vigia_alarm_active:count{site=~"$site",class="instrument"})'
                        ),
                    ),
                    width=6,
                    height=5,
                    warn=1,
                ),
                Panel(
                    "number",
                    say("Usable sources", "Fuentes útiles"),
                    say(
                        "Share of the sensors and cameras that send what can be used.",
                        "Parte de los sensores y cámaras que envían algo útil.",
                    ),
                    (Query('avg(site:vigia_source_up:ratio{site=~"$site"})'),),
                    unit="percentunit",
                    width=6,
                    height=5,
                ),
                Panel(
                    "number",
                    say("Processes that are silent", "Procesos que callan"),
                    say(
                        "More: dashboard Line health.",
                        "Más en el panel Estado de la línea.",
                    ),
                    (Query("sum(1 - max by (process) (vigia_process_up))"),),
                    width=6,
                    height=5,
                    warn=1,
                ),
                Panel(
                    "table",
                    _STANDING,
                    _SITE_HELP,
                    (Query(f'{_ALARM}{{site=~"$site"}} == 1'),),
                    width=24,
                ),
            ),
        ),
        Row(
            say("In time", "En el tiempo"),
            (
                Panel(
                    "states",
                    say("Alarms by asset", "Alarmas por activo"),
                    say("How many stand.", "Cuántas hay."),
                    (
                        Query(
                            'sum by (asset) (asset:vigia_alarm_active:count{site=~"$site"})',
                            "{{asset}}",
                        ),
                    ),
                ),
                Panel(
                    "lines",
                    say("Readings by site", "Lecturas por planta"),
                    say("Values and frames a second.", "Valores e imágenes por segundo."),
                    (Query('site:vigia_source_readings:rate5m{site=~"$site"}', "{{site}}"),),
                    unit="ops",
                ),
                Panel(
                    "lines",
                    say("Alarms raised in a day", "Alarmas en un día"),
                    say(
                        "How often each was raised in the 24 hours before: few is the promise.",
                        "Cuántas veces saltó cada una en las 24 horas anteriores: deben ser pocas.",
                    ),
                    (
                        Query(
                            "sum by (asset, rule) (max by (asset, rule) "
                            f"(increase(vigia_alarm_raised_total{{{_OF_SITE}}}[1d])))",
                            "{{asset}}: {{rule}}",
                        ),
                    ),
                ),
                Panel(
                    "lines",
                    say("From the sensor to the alarm", "Del sensor a la alarma"),
                    say(
                        "99 of 100 are known within this time.",
                        "99 de cada 100 se saben en este tiempo.",
                    ),
                    (Query("transition:vigia_alert_latency_seconds:p99_5m", "{{transition}}"),),
                    unit="s",
                ),
            ),
        ),
    ),
)

_ASSET = 'asset="$asset"'

ASSET = Board(
    "asset",
    say("One asset", "Un activo"),
    (
        Variable("asset", say("Asset", "Activo"), "vigia_source_up", "asset"),
        Variable(
            "detector",
            say("Detector", "Detector"),
            f"vigia_detection_threshold{{{_ASSET}}}",
            "detector",
            many=True,
        ),
    ),
    _notes(_ASSET),
    (
        Row(
            say("Alarms", "Alarmas"),
            (
                Panel(
                    "states",
                    _STANDING,
                    say("Of this asset, by rule.", "De este activo, por regla."),
                    (Query(f"max by (rule) ({_ALARM}{{{_ASSET}}})", "{{rule}}"),),
                    means="alarm",
                ),
                Panel(
                    "table",
                    say("Standing since", "Presentes desde hace"),
                    say("By event time.", "Según la hora de los datos."),
                    (
                        Query(
                            "time() - max by (asset, rule) "
                            f"(vigia_alarm_since_timestamp_seconds{{{_ASSET}}})"
                        ),
                    ),
                    unit="s",
                ),
            ),
        ),
        Row(
            say("What it measures", "Lo que mide"),
            (
                Panel(
                    "lines",
                    say("Signals", "Señales"),
                    say(
                        "The newest value of each, believed or not; Vigía itself sees all of them.",
                        "El último valor de cada una, sea o no fiable; Vigía los ve todos.",
                    ),
                    (
                        Query(
                            f"max by (signal, unit) (vigia_source_value{{{_ASSET}}})",
                            "{{signal}} [{{unit}}]",
                        ),
                    ),
                    width=24,
                ),
                Panel(
                    "lines",
                    say("Score of $detector", "Puntuación de $detector"),
                    say(
                        "Above the threshold a window is abnormal; a gap could not be measured.",
                        "Por encima del umbral la ventana es anómala; un hueco no se pudo medir.",
                    ),
                    (
                        Query(
                            "max by (detector) (vigia_detection_score"
                            f'{{{_ASSET},detector=~"$detector"}})',
                            "{{detector}}",
                        ),
                        Query(
                            "max by (detector) (vigia_detection_threshold"
                            f'{{{_ASSET},detector=~"$detector"}})',
                            "{{detector}} >",
                        ),
                    ),
                    repeat="detector",
                ),
            ),
        ),
        Row(
            say("Whether it can be believed", "Si es de fiar"),
            (
                Panel(
                    "states",
                    say("Usable sources", "Fuentes útiles"),
                    say("Sensors, and the camera.", "Los sensores y la cámara."),
                    (Query(f"max by (signal) (vigia_source_up{{{_ASSET}}})", "{{signal}}"),),
                    means="good",
                ),
                Panel(
                    "states",
                    say("Measured windows", "Ventanas medidas"),
                    say(
                        "A detector that cannot measure says so.",
                        "Un detector que no puede medir lo dice.",
                    ),
                    (
                        Query(
                            f"max by (detector) (vigia_detection_measured{{{_ASSET}}})",
                            "{{detector}}",
                        ),
                    ),
                    means="good",
                ),
                Panel(
                    "table",
                    say("State of each source", "Estado de cada fuente"),
                    say("Its meaning: docs/instruments.md.", "Qué significa: docs/instruments.md."),
                    (
                        Query(
                            f"max by (asset, signal, state) (vigia_source_state{{{_ASSET}}}) == 1"
                        ),
                    ),
                ),
                Panel(
                    "lines",
                    say("Age of the newest window", "Antigüedad de la última ventana"),
                    say(
                        "How far the results are behind the clock.",
                        "Cuánto van los resultados por detrás del reloj.",
                    ),
                    (
                        Query(
                            "time() - max by (detector) "
                            f"(vigia_detection_window_end_timestamp_seconds{{{_ASSET}}})",
                            "{{detector}}",
                        ),
                    ),
                    unit="s",
                ),
            ),
        ),
    ),
)

_CAMERA = 'signal="camera",asset=~"$asset"'

CAMERAS = Board(
    "cameras",
    say("Cameras", "Cámaras"),
    (
        Variable(
            "asset", say("Asset", "Activo"), 'vigia_source_up{signal="camera"}', "asset", many=True
        ),
    ),
    _notes('asset=~"$asset"'),
    (
        Row(
            say("What they see", "Lo que ven"),
            (
                Panel(
                    "states",
                    say("Usable cameras", "Cámaras útiles"),
                    say(
                        "Not usable: lost, frozen, dark, blurred, moved, or its edge is silent.",
                        "No útil: perdida, congelada, oscura, borrosa, movida, o el edge calla.",
                    ),
                    (Query(f"max by (asset) (vigia_source_up{{{_CAMERA}}})", "{{asset}}"),),
                    means="good",
                ),
                Panel(
                    "table",
                    say("State", "Estado"),
                    say("Its meaning: docs/instruments.md.", "Qué significa: docs/instruments.md."),
                    (Query(f"max by (asset, state) (vigia_source_state{{{_CAMERA}}}) == 1"),),
                ),
                Panel(
                    "lines",
                    say("Frames a second", "Imágenes por segundo"),
                    say("As they come from the camera.", "Según llegan de la cámara."),
                    (
                        Query(
                            f"max by (asset) (vigia_source_readings_per_second{{{_CAMERA}}})",
                            "{{asset}}",
                        ),
                    ),
                    unit="ops",
                ),
                Panel(
                    "lines",
                    say("Age of the newest frame", "Antigüedad de la última imagen"),
                    say("By the camera's own time.", "Según la hora de la propia cámara."),
                    (
                        Query(
                            "time() - max by (asset) "
                            f"(vigia_source_last_reading_timestamp_seconds{{{_CAMERA}}})",
                            "{{asset}}",
                        ),
                    ),
                    unit="s",
                ),
            ),
        ),
        Row(
            say("What becomes of the frames", "Qué es de las imágenes"),
            (
                Panel(
                    "lines",
                    say("In and out", "Entran y salen"),
                    say("Of all cameras, by stage.", "De todas las cámaras, por etapa."),
                    (
                        Query('stage:vigia_stage_in:rate5m{stage=~".*frames"}', "{{stage}} in"),
                        Query('stage:vigia_stage_out:rate5m{stage=~".*frames"}', "{{stage}} out"),
                    ),
                    unit="ops",
                ),
                Panel(
                    "lines",
                    say("Dropped, by reason", "Descartadas, por motivo"),
                    say("None vanishes uncounted.", "Ninguna desaparece sin contarse."),
                    (
                        Query(
                            'stage:vigia_stage_dropped:rate5m{stage=~".*frames"}',
                            "{{stage}}: {{reason}}",
                        ),
                    ),
                    unit="ops",
                ),
                Panel(
                    "lines",
                    say("From the camera to Kafka", "De la cámara a Kafka"),
                    say(
                        "99 of 100 are there within this time.",
                        "99 de cada 100 llegan en este tiempo.",
                    ),
                    (
                        Query(
                            'measure:vigia_stage_latency_seconds:p99_5m{measure="edge.frame-to-kafka"}',
                            "p99",
                        ),
                    ),
                    unit="s",
                ),
                Panel(
                    "lines",
                    say("Kept on the edge's disk", "Guardado en el disco del edge"),
                    say("While Kafka takes nothing.", "Mientras Kafka no recibe."),
                    (Query('max by (process) (vigia_spool_bytes{spool="frames"})', "{{process}}"),),
                    unit="bytes",
                ),
            ),
        ),
    ),
)
