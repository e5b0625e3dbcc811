"""Canary values planted everywhere secrets go; nothing that the product wrote or answered holds one.

A canary is looked for as it is, in base64 at every alignment, and in hexadecimal.
"""

import base64
import http.cookiejar
import json
import re
import secrets
import urllib.parse
import urllib.request

import pytest

from tests.support.callers import path_of
from tests.support.remote import Remote
from tests.support.waiting import wait_until

pytestmark = pytest.mark.processes

TEXT, OCTETS, BROKEN = (f"canary-{kind}-{secrets.token_hex(8)}" for kind in ("text", "octets", "broken"))
PASSPHRASE = f"canary-passphrase-{secrets.token_hex(8)}"
PASSWORD = f"canary-password-{secrets.token_hex(8)}"
CANARIES = {"text": TEXT, "octets": OCTETS, "refused": BROKEN}
NOVA = {"service": "nova", "resource_type": "instance", "resource_id": "i-1"}


def spellings(canary):
    """How a value may look in a file: plain, in hexadecimal, and inside base64 of a longer text."""
    octets = canary.encode()
    cut = [base64.b64encode(b"x" * shift + octets)[4:-4] for shift in range(3)]
    return [octets, octets.hex().encode(), *cut]


def holders(canary, contents):
    """Names of what holds the canary in any spelling."""
    return [
        str(name) for name, content in contents.items() if any(form in content for form in spellings(canary))
    ]


@pytest.fixture(scope="module")
def answers():
    """Everything that was answered, but for the payload read itself."""
    return {}


@pytest.fixture(scope="module")
def console(product):
    """A browser's session of an operator who has chosen a password of their own."""
    made = json.loads(product.manage("operator", "create", "--username", "ops"))
    opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar()))

    def get(path):
        with opener.open(product.url + path, timeout=30) as answer:
            return answer.read()

    def post(path, **fields):
        page = get(path).decode()
        fields["csrfmiddlewaretoken"] = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page)[1]
        request = urllib.request.Request(
            product.url + path,
            urllib.parse.urlencode(fields).encode(),
            {"Referer": product.url + path, "Origin": product.url},
        )
        with opener.open(request, timeout=30) as answer:
            return answer.read()

    post("/admin/login/?next=/admin/", username="ops", password=made["password"])
    post(
        "/admin/password_change/",
        old_password=made["password"],
        new_password1=PASSWORD,
        new_password2=PASSWORD,
    )
    get.one_time_password = made["password"]
    return get


@pytest.fixture(scope="module", autouse=True)
def planted(product, answers, console):
    """The canaries, sent in good requests and in every kind of bad one."""
    remote = Remote(product)

    def keep(name, answer):
        answers[name] = repr(answer.headers).encode() + answer.content
        return answer

    def stored(name, *arguments, **options):
        answer = keep(name, remote.post("/v1/secrets", *arguments, **options))
        return answer.json()["secret_ref"].removeprefix(product.url)

    in_base64 = base64.b64encode(OCTETS.encode()).decode()
    octets = {"payload_content_type": "application/octet-stream", "payload_content_encoding": "base64"}
    text = {"payload_content_type": "text/plain"}
    paths = [
        stored("text", {"payload": TEXT, "name": "text"} | text),
        stored("octets", {"payload": in_base64, "name": "octets"} | octets),
        stored("second step", {"name": "second step"}),
    ]
    keep("put", remote.call("PUT", paths[2], OCTETS.encode(), "application/octet-stream"))
    keep("put again", remote.call("PUT", paths[2], BROKEN.encode(), "text/plain"))
    for path in paths:
        keep(f"metadata {path}", remote.get(path))
        assert remote.get(f"{path}/payload").content in {TEXT.encode(), OCTETS.encode()}
        keep(f"bad accept {path}", remote.get(f"{path}/payload", Accept="image/png"))
        keep(f"consumer {path}", remote.post(f"{path}/consumers", NOVA))
        keep(f"delete {path}", remote.call("DELETE", path))
    keep("list", remote.get("/v1/secrets"))

    bad = {
        "malformed": f'{{"payload": "{BROKEN}", ',
        "garbage after": json.dumps({"payload": BROKEN} | text) + BROKEN,
        "no JSON": BROKEN,
        "control character": f'{{"payload": "{BROKEN}\n"}}',
        "not UTF-8": f'{{"payload": "{BROKEN}'.encode() + b'\xff"}',
        "deep": '{"payload":' * 30 + f'"{BROKEN}"',
        "array": json.dumps([BROKEN]),
        "text": json.dumps(BROKEN),
        "payload a list": {"payload": [BROKEN]} | text,
        "payload an object": {"payload": {BROKEN: BROKEN}} | text,
        "no content type": {"payload": BROKEN},
        "base64 that is none": {"payload": BROKEN} | octets,
        "text with encoding": {"payload": BROKEN, "payload_content_encoding": "base64"} | text,
        "bad type besides": {"payload": BROKEN, "bit_length": "x"} | text,
        "bad date besides": {"payload": BROKEN, "expiration": "x"} | text,
        "oversize payload": {"payload": BROKEN + "x" * 20_000} | text,
        "oversize body": {"payload": BROKEN + "x" * 30_000} | text,
    }
    for name, body in bad.items():
        sent = body.encode() if isinstance(body, str) else body
        assert keep(name, remote.post("/v1/secrets", sent)).status in {400, 413}, name
    for content_type in (
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "x",
    ):
        keep(content_type, remote.call("POST", "/v1/secrets", BROKEN.encode(), content_type))
    meta = {"algorithm": "aes", "bit_length": 256, "payload": BROKEN}
    assert keep("order", remote.post("/v1/orders", {"type": "key", "meta": meta})).status == 400
    meta = {"algorithm": "aes", "bit_length": 256, "passphrase": BROKEN, "unknown": BROKEN}
    order = keep("order with more", remote.post("/v1/orders", {"type": "key", "meta": meta}))
    path = order.json()["order_ref"].removeprefix(product.url)
    wait_until(lambda: remote.get(path).json()["status"] == "ACTIVE")
    keep("order shown", remote.get(path))
    for name, key in {"wrong": product.key[:-1] + "!", "none": "", "other case": product.key.upper()}.items():
        assert keep(f"{name} key", Remote(product, key).get("/v1/secrets")).status == 401

    product.shim.answer(0x07, "C_EncryptInit", times=1)
    assert keep("500", remote.post("/v1/secrets", {"payload": BROKEN} | text)).status == 500
    product.shim.answer(0x30, "C_EncryptInit", times=1)
    keep("token away", remote.post("/v1/secrets", {"payload": BROKEN} | text))
    product.shim.clear()

    pages, seen = ["/admin/"], set()
    while pages and len(seen) < 60:
        page = pages.pop()
        if page in seen:
            continue
        seen.add(page)
        answers[page] = console(page)
        links = re.findall(rb'href="(/admin/[^"#]*)"', answers[page])
        pages += [link.decode().replace("&amp;", "&") for link in links if b"logout" not in link]


@pytest.fixture(scope="module")
def waiting_pair(product, planted, answers):
    """A pair with a pass phrase, ordered and made; the files as they were while it lay in the broker."""
    remote = Remote(product)
    meta = {"algorithm": "ec", "bit_length": 256, "passphrase": PASSPHRASE}
    product.freeze("worker")
    try:
        placed = remote.post("/v1/orders", {"type": "asymmetric", "meta": meta})
        wait_until(lambda: list((product.folder / "broker").rglob("*.msg")))
        files = files_of(product)
    finally:
        product.thaw("worker")
    path = path_of(placed.json()["order_ref"])
    wait_until(lambda: remote.get(path).json()["status"] == "ACTIVE")
    shown = remote.get(path)
    answers |= {"pair": placed.content, "pair shown": shown.content}
    places = remote.get(path_of(shown.json()["container_ref"])).json()["secret_refs"]
    kept = {place["name"]: path_of(place["secret_ref"]) for place in places}
    assert remote.get(f"{kept['private_key_passphrase']}/payload").content == PASSPHRASE.encode()
    return files


def files_of(product):
    """Every file of the product's, the token's own store aside: it is the HSM."""
    return {path.relative_to(product.folder): content for path, content in product.written().items()}


@pytest.fixture
def written(product):
    return files_of(product)


class TestPassPhrases:
    def test_none_is_in_any_file_while_its_order_waits(self, waiting_pair):
        assert any(str(name).endswith(".msg") for name in waiting_pair)
        assert holders(PASSPHRASE, waiting_pair) == []

    def test_nor_once_it_is_made_nor_in_any_answer(self, waiting_pair, written, answers):
        assert holders(PASSPHRASE, written) == []
        assert holders(PASSPHRASE, answers) == []


class TestPayloads:
    @pytest.mark.parametrize("canary", CANARIES.values(), ids=CANARIES)
    def test_none_is_in_any_file(self, written, canary):
        assert holders(canary, written) == []

    @pytest.mark.parametrize("canary", CANARIES.values(), ids=CANARIES)
    def test_none_is_in_any_other_answer_or_page(self, answers, canary):
        assert holders(canary, answers) == []

    def test_the_search_would_find_them(self, product):
        for form in (TEXT, base64.b64encode(f"ab{TEXT}".encode()).decode(), TEXT.encode().hex()):
            assert holders(TEXT, {"file": f"x{form}y".encode()}) == ["file"]


class TestCredentials:
    def test_the_pin_is_in_its_own_file_only(self, product, written, answers):
        pin = product.token.pin_file.read_text().strip()

        assert holders(pin, answers) == []
        assert holders(pin, written) == ["pin"]

    def test_the_api_key_is_nowhere(self, product, written, answers):
        for part in (product.key, product.key.split("_", 2)[2]):
            assert holders(part, written) == []
            assert holders(part, answers) == []

    def test_the_secret_key_is_nowhere(self, product, written, answers):
        secret_key = product.environment["KEEPSITE_SECRET_KEY"]

        assert holders(secret_key, written) == []
        assert holders(secret_key, answers) == []

    def test_operators_passwords_are_nowhere(self, console, written, answers):
        for password in (PASSWORD, console.one_time_password):
            assert holders(password, written) == []
            assert holders(password, answers) == []


class TestRefusals:
    def test_tracebacks_stay_in_the_log(self, answers):
        signs = (b"Traceback", b'.py", line', b".py&quot;, line")

        assert [name for name, answer in answers.items() if any(sign in answer for sign in signs)] == []

    def test_the_console_was_really_seen(self, answers):
        pages = [name for name in answers if name.startswith("/admin/")]

        assert len(pages) >= 8
        assert any("secret" in page for page in pages)
