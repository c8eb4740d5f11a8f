"""Logs through python-logstash-async's HTTP transport, and the same records into a file as a witness.

Arguments: port, number of records, witness file, and user and password where the server asks for them.
"""
import logging
import sys

from logstash_async.formatter import LogstashFormatter
from logstash_async.handler import AsynchronousLogstashHandler
from logstash_async.transport import HttpTransport


def main(port: str, count: str, witness_file: str, username: str | None = None, password: str | None = None) -> None:
    """Logs the records and waits until they are shipped."""
    transport = HttpTransport(
        "127.0.0.1", int(port), ssl_enable=False, timeout=30.0, username=username, password=password)
    shipped = AsynchronousLogstashHandler(
        "127.0.0.1", int(port), transport=transport, database_path=None, enable=True)
    witness = logging.FileHandler(witness_file, encoding="utf-8")
    formatter = LogstashFormatter(message_type="client-test", tags=["first", "second"], extra={"team": "größe"})
    logger = logging.getLogger("client-test")
    logger.setLevel(logging.DEBUG)
    for handler in (shipped, witness):
        handler.setFormatter(formatter)
        logger.addHandler(handler)

    for number in range(int(count)):
        logger.log(
            (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR)[number % 4],
            "record %d of \"%s\": é 😀 \\ \t end", number, count,
            extra={"number": number, "ratio": number / 7, "nested": {"list": [1, None, {"deep": True}]}})
    try:
        raise ValueError("with a stack trace")
    except ValueError:
        logger.exception("the last record")
    logging.shutdown()


main(*sys.argv[1:])
