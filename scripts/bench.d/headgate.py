"""Headgate under test: how it is configured, and what it says of itself."""

import hashlib
import re
from pathlib import Path

from certificate import self_signed
from processes import free_port, get
from server import Books, Programs, Server

# All else is at its default: what is measured is what a user gets.
CONFIGURATION = """
[server]
listen = "127.0.0.1:{port}"
drain_delay = "0s"
{tls}
[admin]
listen = "127.0.0.1:{admin_port}"
[ingest]
durability = "{durability}"
[spool]
dir = "{folder}/spool"
{spool}
[dead_letters]
dir = "{folder}/dead-letters"
[broker]
urls = [{urls}]
{broker}
[log]
level = "error"
{key}
"""

KEY = "hg_0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

API_KEY = f"""
[[auth.keys]]
name = "bench"
hash = "sha256:{hashlib.sha256(KEY.encode()).hexdigest()}"
"""


class Headgate(Server):
    """A server with its folders below its own. `broker_ports` is a port or several; `spool` and `broker` are further
    lines of those sections."""

    health_path = "/ready"

    def __init__(
        self,
        folder: Path,
        programs: Programs,
        broker_ports: int | list[int],
        durability: str,
        *,
        key: bool = False,
        tls: bool = False,
        spool: str = "",
        broker: str = "",
    ):
        super().__init__(folder)
        self.binary = programs.headgate
        self.broker_ports = [broker_ports] if isinstance(broker_ports, int) else broker_ports
        self.durability = durability
        self.admin_port = free_port()
        self.has_key = key
        self.tls = tls
        self.spool, self.broker = spool, broker
        if key:
            self.headers = {"Authorization": f"Bearer {KEY}"}

    def command(self) -> list[str]:
        configuration = self.folder / "headgate.toml"
        configuration.write_text(
            CONFIGURATION.format(
                folder=self.folder,
                port=self.port,
                admin_port=self.admin_port,
                urls=", ".join(f'"http://127.0.0.1:{port}/"' for port in self.broker_ports),
                durability=self.durability,
                spool=self.spool,
                broker=self.broker,
                tls=self.certificate() if self.tls else "",
                key=API_KEY if self.has_key else "",
            )
        )
        return [str(self.binary), "serve", "--config", str(configuration)]

    def certificate(self) -> str:
        certificate, key = self_signed(self.folder)
        return f'[server.tls]\ncertificate = "{certificate}"\nkey = "{key}"\n'

    def books(self) -> Books:
        metrics = self.metrics()
        return Books(
            accepted=counter(metrics, "headgate_events_accepted_total"),
            delivered=counter(metrics, "headgate_events_delivered_total"),
            dead_lettered=counter(metrics, "headgate_events_dead_lettered_total"),
            syncs=counter(metrics, "headgate_spool_sync_duration_seconds_count"),
            in_flight_bytes=counter(metrics, "headgate_in_flight_bytes"),
        )

    def metrics(self) -> str:
        return get(self.admin_port, "/metrics")[1]


def counter(metrics: str, name: str) -> int:
    """A counter of a Prometheus text, summed over its labels; 0 where it has not counted yet."""
    samples = re.findall(rf"^{name}(?:{{[^\n]*}})? (\S+)", metrics, re.MULTILINE)
    return int(sum(map(float, samples)))
