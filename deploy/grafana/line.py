"""The dashboard of those who look after Vigía: the line's health and its account."""

from __future__ import annotations

from deploy.grafana.boards import Board, Note, Panel, Query, Row, say

_P99 = say("99 of 100 take no longer.", "99 de cada 100 no tardan más.")

_NOW = Row(
    say("Now", "Ahora"),
    (
        Panel(
            "number",
            say("Exporters that are read", "Exportadores leídos"),
            say("0: nothing below is known.", "0: no se sabe nada de lo de abajo."),
            (Query('sum(up{job="vigia"})'),),
            width=6,
            height=5,
        ),
        Panel(
            "number",
            say("Processes that are silent", "Procesos que callan"),
            say("For 10 seconds or more.", "Desde hace 10 segundos o más."),
            (Query("sum(1 - max by (process) (vigia_process_up))"),),
            width=6,
            height=5,
            warn=1,
        ),
        Panel(
            "number",
            say("Unaccounted", "Sin contabilizar"),
            say(
                "In, and neither out nor held nor dropped: must be 0.",
                "Entraron y ni salieron, ni se guardan, ni se descartaron: debe ser 0.",
            ),
            (Query("sum(stage:vigia_stage_unaccounted:sum)"),),
            width=6,
            height=5,
            warn=1,
        ),
        Panel(
            "number",
            say("Dead letters in a day", "Mensajes inservibles en un día"),
            say("Messages that could not be used.", "Mensajes que no se pudieron usar."),
            (Query("sum(max by (reason) (increase(vigia_dead_letters_total[1d])))"),),
            width=6,
            height=5,
            warn=1,
        ),
    ),
)

_ACCOUNT = Row(
    say("The account: in = out + held + dropped", "La cuenta: entra = sale + queda + descarta"),
    (
        Panel(
            "lines",
            say("In", "Entra"),
            say("By stage.", "Por etapa."),
            (Query("stage:vigia_stage_in:rate5m", "{{stage}} ({{unit}})"),),
            unit="ops",
        ),
        Panel(
            "lines",
            say("Out", "Sale"),
            say("By stage.", "Por etapa."),
            (Query("stage:vigia_stage_out:rate5m", "{{stage}} ({{unit}})"),),
            unit="ops",
        ),
        Panel(
            "lines",
            say("Dropped", "Se descarta"),
            say("By stage and reason.", "Por etapa y motivo."),
            (Query("stage:vigia_stage_dropped:rate5m", "{{stage}}: {{reason}}"),),
            unit="ops",
        ),
        Panel(
            "lines",
            say("Held", "Queda"),
            say("In open windows, queues and on disk.", "En ventanas abiertas, colas y disco."),
            (Query("stage:vigia_stage_held:sum", "{{stage}} ({{unit}})"),),
        ),
        Panel(
            "lines",
            say("Unaccounted", "Sin contabilizar"),
            say("Must be 0 everywhere.", "Debe ser 0 en todas partes."),
            (Query("stage:vigia_stage_unaccounted:sum", "{{stage}}"),),
        ),
        Panel(
            "lines",
            say("Dead letters, by reason", "Mensajes inservibles, por motivo"),
            say("In the hour before.", "En la hora anterior."),
            (Query("max by (reason) (increase(vigia_dead_letters_total[1h]))", "{{reason}}"),),
        ),
    ),
)

_SPEED = Row(
    say("Speed", "Velocidad"),
    (
        Panel(
            "lines",
            say("Behind, by topic", "Retraso, por topic"),
            say(
                "Records that are not committed; open windows hold some always.",
                "Registros sin confirmar; las ventanas abiertas siempre retienen algunos.",
            ),
            (Query("topic:vigia_consumer_lag_records:sum", "{{topic}}"),),
        ),
        Panel(
            "lines",
            say("From the last row to the result", "De la última fila al resultado"),
            _P99,
            (
                Query("vigia:vigia_detection_latency_seconds:p99_5m", "detections"),
                Query("measure:vigia_stage_latency_seconds:p99_5m", "{{measure}}"),
            ),
            unit="s",
        ),
        Panel(
            "lines",
            say("Windows judged", "Ventanas juzgadas"),
            say("By verdict.", "Por veredicto."),
            (Query("sum by (verdict) (detector:vigia_detections:rate5m)", "{{verdict}}"),),
            unit="ops",
        ),
        Panel(
            "lines",
            say("What happened to alarms", "Qué pasó con las alarmas"),
            say("In the hour before.", "En la hora anterior."),
            (
                Query(
                    "sum by (transition) (max by (transition, severity, class) "
                    "(increase(vigia_alerts_total[1h])))",
                    "{{transition}}",
                ),
            ),
        ),
    ),
)

_PROCESSES = Row(
    say("Processes", "Procesos"),
    (
        Panel(
            "states",
            say("Alive", "Vivos"),
            say("Each speaks every second.", "Cada uno habla cada segundo."),
            (Query("max by (process) (vigia_process_up)", "{{process}}"),),
            means="good",
        ),
        Panel(
            "lines",
            say("Resident memory", "Memoria residente"),
            say("It does not grow for ever.", "No crece sin fin."),
            (Query("max by (process) (vigia_process_resident_memory_bytes)", "{{process}}"),),
            unit="bytes",
        ),
        Panel(
            "lines",
            say("Time since the start", "Tiempo desde el arranque"),
            say("A step down is a restart.", "Un escalón hacia abajo es un arranque."),
            (Query("time() - max by (process) (vigia_process_start_time_seconds)", "{{process}}"),),
            unit="s",
        ),
        Panel(
            "lines",
            say("Time since it spoke", "Tiempo desde que habló"),
            say("More than 10 s is silence.", "Más de 10 s es silencio."),
            (Query("max by (process) (vigia_process_status_age_seconds)", "{{process}}"),),
            unit="s",
        ),
        Panel(
            "table",
            say("Plant file in use", "Fichero de planta en uso"),
            say("All should have the same hash.", "Todos deben tener el mismo hash."),
            (Query("max by (process, hash) (vigia_process_plant_info)"),),
        ),
        Panel(
            "states",
            say("Another plant file or model on disk", "Otro fichero o modelo en el disco"),
            say(
                "Refused, or it needs a restart; the process's log says which.",
                "Rechazado, o necesita un reinicio; lo dice el registro del proceso.",
            ),
            (Query("max by (process) (vigia_process_plant_differs)", "{{process}}"),),
            means="bad",
        ),
        Panel(
            "lines",
            say("Kept on disk", "Guardado en disco"),
            say(
                "Share of what may be; Kafka does not take it now.",
                "Parte de lo permitido; Kafka no lo recibe ahora.",
            ),
            (
                Query(
                    "max by (process, spool) (vigia_spool_bytes / (vigia_spool_limit_bytes > 0))",
                    "{{process}} {{spool}}",
                ),
            ),
            unit="percentunit",
        ),
        Panel(
            "lines",
            say("Oldest message on disk", "Mensaje más antiguo en disco"),
            say("How long ago it was received.", "Hace cuánto se recibió."),
            (
                Query(
                    "max by (process, spool) (vigia_spool_oldest_age_seconds)",
                    "{{process}} {{spool}}",
                ),
            ),
            unit="s",
        ),
    ),
)

_TOLD = Row(
    say("What is told", "Lo que se avisa"),
    (
        Panel(
            "table",
            say("Alerts of the line", "Avisos de la línea"),
            say("What each means: docs/metrics.md.", "Qué significa cada uno: docs/metrics.md."),
            (Query('max by (alertname, alertstate) (ALERTS{class="line"})'),),
        ),
        Panel(
            "lines",
            say("E-mails and webhooks", "Correos y webhooks"),
            say("In the hour before.", "En la hora anterior."),
            (
                Query(
                    "sum by (integration) (increase(alertmanager_notifications_total"
                    '{integration=~"email|webhook"}[1h]))',
                    "{{integration}}",
                ),
                Query(
                    "sum by (integration) (increase(alertmanager_notifications_failed_total"
                    '{integration=~"email|webhook"}[1h]))',
                    "{{integration}} !",
                ),
            ),
        ),
    ),
)

LINE = Board(
    "line",
    say("Line health", "Estado de la línea"),
    (),
    (
        Note(
            say("Alerts of the line", "Avisos de la línea"),
            'ALERTS{class="line",alertstate="firing"}',
            "{{alertname}} {{process}}{{stage}}{{topic}}",
            "purple",
        ),
    ),
    (_NOW, _ACCOUNT, _SPEED, _PROCESSES, _TOLD),
)
