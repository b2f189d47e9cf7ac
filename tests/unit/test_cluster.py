"""How a Kafka is reached, from what the plant file says."""

from __future__ import annotations

from pathlib import Path

import pytest

from broker.cluster import Cluster, Who, cluster
from broker.tls import tls_context
from contracts.errors import ConfigError
from contracts.plant.model import Kafka, Mqtt
from contracts.plant.sections import Secret
from tests.processes.authority import Authority


def test_a_plain_one_needs_nothing() -> None:
    options = cluster("127.0.0.1:9092").options()
    assert options == {
        "bootstrap_servers": "127.0.0.1:9092",
        "security_protocol": "PLAINTEXT",
    }


def test_each_room_has_its_own_user_and_password(tmp_path: Path) -> None:
    for room in ("edge", "stream"):
        (tmp_path / room).write_text(f"{room}-secret\n")
    kafka = Kafka(
        bootstrap="k:9092",
        username="vigia-{room}",
        password=Secret(file=f"{tmp_path}/{{room}}"),
    )
    rooms: tuple[Who, ...] = ("edge", "stream")
    for room in rooms:
        options = Cluster.of(kafka, room).options()
        assert options["security_protocol"] == "SASL_PLAINTEXT"
        assert options["sasl_mechanism"] == "SCRAM-SHA-512"
        assert options["sasl_plain_username"] == f"vigia-{room}"
        assert options["sasl_plain_password"] == f"{room}-secret"
    with pytest.raises(ConfigError, match="exporters: No such file"):
        Cluster.of(kafka, "exporters")


def test_a_password_that_is_renewed_is_taken_and_one_that_is_gone_stays(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("first")
    kafka = Kafka(bootstrap="k:9092", username="vigia", password=Secret(file=str(file)))
    made = Cluster.of(kafka, "edge", "other:9092")
    file.write_text("second")
    assert made.fresh().options()["sasl_plain_password"] == "second"
    assert str(made.fresh()) == "other:9092"
    file.unlink()
    assert made.fresh().options()["sasl_plain_password"] == "first"


@pytest.mark.parametrize("address", ["kafka:nine", "kafka:9092,other:x"])
def test_an_address_that_is_none_is_named(address: str) -> None:
    with pytest.raises(ConfigError, match=f"expected HOST:PORT, got '{address}'"):
        cluster(address)
    assert cluster("a:1, [::1]:2,c").hosts() == [("a", 1), ("::1", 2), ("c", 9092)]


def test_without_an_address_it_is_an_error() -> None:
    with pytest.raises(ConfigError, match="--kafka"):
        Cluster.of(Kafka(), "edge")


def test_tls_is_on_where_a_file_or_the_word_says_so(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    pair = authority.issue("edge")
    assert tls_context(Kafka(), "kafka") is None
    assert tls_context(Kafka(tls=True), "kafka") is not None
    both = Mqtt(certificate_file=str(pair.certificate), key_file=str(pair.key))
    assert tls_context(both, "mqtt") is not None
    made = Cluster.of(Kafka(ca_file=str(authority.ca_file)), "edge", "k:9092")
    assert made.options()["security_protocol"] == "SSL"


def test_files_that_cannot_be_used_are_named_with_their_field(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    one, other = authority.issue("one"), authority.issue("other")
    nothing = tmp_path / "nothing.pem"
    nothing.write_text("no certificate")
    cases = {
        "mqtt.ca_file .*none.pem: No such file": Mqtt(ca_file=str(tmp_path / "none.pem")),
        "mqtt.ca_file .*nothing.pem: ": Mqtt(ca_file=str(nothing)),
        "mqtt.key_file .*none.pem: No such file": Mqtt(
            certificate_file=str(one.certificate), key_file=str(tmp_path / "none.pem")
        ),
        "the key is not that of the certificate": Mqtt(
            certificate_file=str(one.certificate), key_file=str(other.key)
        ),
    }
    for told, section in cases.items():
        with pytest.raises(ConfigError, match=told):
            tls_context(section, "mqtt")
