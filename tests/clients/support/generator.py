"""Data like that of real servers, the same in every run."""
import datetime
import json
import random

_SEED = 20_150_517
_START = datetime.datetime(2015, 5, 17, 10, 5, tzinfo=datetime.UTC)
_METHODS = ("GET", "GET", "GET", "GET", "HEAD", "POST")
_STATUSES = (200, 200, 200, 200, 206, 301, 304, 404, 500)
_WORDS = ("images", "blog", "articles", "presentations", "logstash", "reset.css", "favicon.ico", "tags", "größe", "über-uns")
_AGENTS = (
    "Mozilla/5.0 (Windows NT 6.1; WOW64; rv:27.0) Gecko/20100101 Firefox/27.0",
    "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
    'Tiny Tiny RSS/1.11 \\"quoted\\"',
    "-",
)


def access_log(count: int) -> list[str]:
    """Lines in the combined log format."""
    chance = random.Random(_SEED)
    return [_access_log_line(chance, number) for number in range(count)]


def documents(count: int) -> list[bytes]:
    """Documents like the status of a proxy: about 200 leaves, nested eight deep, numbers of every spelling."""
    chance = random.Random(_SEED)
    return [
        json.dumps({"sequence": number, **_zone(chance, 4)}, ensure_ascii=chance.random() < 0.5).encode()
        for number in range(count)
    ]


def _access_log_line(chance: random.Random, number: int) -> str:
    time = (_START + datetime.timedelta(seconds=number)).strftime("%d/%b/%Y:%H:%M:%S %z")
    address = ".".join(str(chance.randint(1, 254)) for _ in range(4))
    path = "/".join(chance.choices(_WORDS, k=chance.randint(1, 5)))
    return (f'{address} - - [{time}] "{chance.choice(_METHODS)} /{path} HTTP/1.1" {chance.choice(_STATUSES)} '
            f'{chance.randint(0, 300_000)} "-" "{chance.choice(_AGENTS)}"')


def _zone(chance: random.Random, levels: int) -> dict:
    leaves = {
        "requests": chance.randint(0, 10**12),
        "sent": chance.randint(10**15, 10**19),
        "load": chance.random(),
        "tiny": chance.random() * 1e-9,
        "up": chance.random() < 0.9,
        "server": f"10.0.{chance.randint(0, 255)}.{chance.randint(0, 255)}:8080",
        "name": chance.choice(_WORDS) + ' "\\/\t\u2028 😀',
        "upstream": None,
        "codes": {"1xx": 0, "2xx": chance.randint(0, 10**6), "total": chance.randint(0, 10**6)},
        "peers": [chance.randint(0, 9) for _ in range(3)],
    }
    if levels > 1:
        leaves["zones"] = {f"zone{index}": _zone(chance, levels - 1) for index in range(2)}
    return leaves
