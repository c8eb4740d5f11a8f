"""Web pages in Chromium: fetch() with its preflight, and sendBeacon() of a text and of JSON."""
import hashlib
import urllib.parse

from support.browser import Chromium, Pages
from support.headgate import Headgate
from support.programs import CLIENTS
from support.registry import Sandbox, add, check, check_equal

KEY = "a key for pages/+&1"
ANSWER = '{"accepted":1}'


def page(sandbox: Sandbox, host: str, origins: str, said: list[str], messages: list[str]) -> None:
    """A page of this host sends with a key that is for pages of these origins; what it reads, and what arrives."""
    with Pages(CLIENTS / "programs" / "page.html") as pages:
        key = {"name": "page", "hash": "sha256:" + hashlib.sha256(KEY.encode()).hexdigest(),
               "fields": {"Application": "page"}, "allowed_origins": [origins.format(pages.origin())]}
        config = {"auth": {"keys": [key]}, "enrich": {"ecs_compatibility": "v1"}}
        with Headgate(sandbox, config=config) as headgate:
            query = urllib.parse.urlencode({"target": headgate.url("").rstrip("/"), "key": KEY})
            with Chromium(sandbox.folder, f"{pages.origin(host)}/?{query}"):
                check_equal("what the page could read", pages.said(), said)
                headgate.wait_for(len(messages))
            events = headgate.finish(len(messages))
    check_equal("messages", sorted(event["message"] for event in events), sorted(messages))
    for event in events:
        check_equal("Application", event["Application"], "page")
        path = "/v1/events" if event["message"] == "fetch" else "/v1/events?page=1"
        check_equal("path", event["url"]["path"], path)
        check("key" not in str(event), f"the key is in {event}")


ALLOWED = [f"fetch: 200 id {ANSWER}", "without key: 401 id", "beacons: true true"]
add(page, "127.0.0.1", "{}", ALLOWED, ["fetch", "beacon of text", "beacon of JSON"], variant="allowed")
# A beacon of JSON needs a preflight that allows credentials, which is not given to every page there is.
add(page, "127.0.0.1", "*", ALLOWED, ["fetch", "beacon of text"], variant="any")
# The browser tells a page of another origin nothing at all, and does not send what needs a preflight.
add(page, "localhost", "{}", ["fetch: TypeError", "without key: TypeError", "beacons: true true"], [], variant="foreign")
