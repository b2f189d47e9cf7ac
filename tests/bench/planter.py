"""`python -m tests.bench.planter PORT ASSETS HZ SECONDS`: the sensors of `latency`, in a process of
their own and as cheap as can be, since they share the machine with what is measured: MQTT packets
put together by hand, a row a message, at QoS 1, each asset's rows spread over the period.

Assets lose water in turn, half of EPISODE_S each, so that alarms are raised and cleared all the
time.
"""

from __future__ import annotations

import socket
import sys
import threading
import time

import numpy as np

from tests.bench.plants import NORMAL, assets_of

EPISODE_S = 6
STOLEN = 0.05
TICK_S = 0.001
PAYLOAD = '{"t":%d,"flow1":%.6f,"flow2":%.6f,"pre1":%.6f,"pre2":%.6f}'


def main(port: int, assets: int, hz: int, seconds: int) -> None:
    """Sends until all is sent and acknowledged."""
    topics = [f"bench/{asset.split('/')[1]}".encode() for asset in assets_of(assets)]
    total, r = seconds * hz * assets, np.random.default_rng(3)
    noise = r.normal(0, 0.002, (total, 2))
    with socket.create_connection(("127.0.0.1", port)) as device:
        device.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        _connect(device)
        ears = threading.Thread(target=_listen, args=(device, 4 * total))
        ears.start()
        began, sent = time.monotonic(), 0
        while sent < total:
            elapsed = time.monotonic() - began
            due = min(total, int(elapsed * hz * assets) + 1)
            packets = []
            for number in range(sent, due):
                which = number % assets
                phase = (elapsed + which * EPISODE_S / assets) % EPISODE_S
                stolen = STOLEN if phase < EPISODE_S / 2 else 0.0
                row = _row(noise[number, 0], noise[number, 1], stolen)
                packets.append(_packet(topics[which], row, number))
            device.sendall(b"".join(packets))
            sent = due
            time.sleep(TICK_S)
        ears.join()


def _row(inlet_noise: float, outlet_noise: float, stolen: float) -> bytes:
    inlet = 1 + inlet_noise
    outlet = inlet * (1 - NORMAL - stolen) + outlet_noise
    pressures = 0.272532 * inlet * inlet, 0.278037 * outlet * outlet
    return (PAYLOAD % (time.time_ns() // 1_000_000, inlet, outlet, *pressures)).encode()


def _packet(topic: bytes, payload: bytes, number: int) -> bytes:
    """An MQTT 3.1.1 PUBLISH at QoS 1, of 128 to 16,383 bytes."""
    body = b"%b%b%b%b" % (
        len(topic).to_bytes(2, "big"),
        topic,
        (number % 60_000 + 1).to_bytes(2, "big"),
        payload,
    )
    size = len(body)
    head = bytes((0x32, size)) if size < 128 else bytes((0x32, size & 0x7F | 0x80, size >> 7))
    return head + body


def _connect(device: socket.socket) -> None:
    name = b"bench-planter"
    rest = b"\0\4MQTT\4\2\0\0" + len(name).to_bytes(2, "big") + name
    device.sendall(b"\x10" + bytes([len(rest)]) + rest)
    device.recv(4)


def _listen(device: socket.socket, awaited: int) -> None:
    """Until so many bytes of acknowledgements came, four each."""
    while awaited > 0:
        awaited -= len(device.recv(65_536))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
