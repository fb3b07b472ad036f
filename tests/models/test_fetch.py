"""Downloads from a server on this machine: good, bad and none."""

from __future__ import annotations

import hashlib
import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from napari_segrefiner.errors import DownloadError, ModelError
from napari_segrefiner.models.catalogue import load_model
from napari_segrefiner.models.fetch import ATTEMPTS, fetch_model
from napari_segrefiner.models.import_model import import_model
from napari_segrefiner.models.pages import Page
from napari_segrefiner.models.published import published
from tests.models.official import published_content, save, weights_of

NAME, FILE = "segrefiner-hr", "segrefiner_hr_latest.pth"

Answer = Callable[[BaseHTTPRequestHandler], None]

#: As Google Drive asks before it sends a large file.
CONFIRMATION = """<!DOCTYPE html><html><head><title>Google Drive - Virus scan
warning</title></head><body><form id="search" action="/elsewhere"><input type="hidden"
name="q" value="1"></form><form id="download-form" action="/download" method="get">
<input type="submit" id="uc-download-link" value="Download anyway"/><input type="hidden"
name="id" value="the&amp;id"><input type="hidden" name="confirm" value="t"></form>"""


def sends(
    content: bytes, status: int = 200, kind: str = "application/octet-stream"
) -> Answer:
    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(status)
        request.send_header("Content-Type", kind)
        request.send_header("Content-Length", str(len(content)))
        request.end_headers()
        request.wfile.write(content)

    return answer


def sends_page(text: str) -> Answer:
    return sends(text.encode(), kind="text/html; charset=utf-8")


def breaks_off(content: bytes) -> Answer:
    """Announce all, send half, hang up."""

    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.send_header("Content-Length", str(len(content)))
        request.end_headers()
        request.wfile.write(content[: len(content) // 2])

    return answer


class Server:
    """Answers requests with its answers one after the other, the last one for ever."""

    def __init__(self) -> None:
        self.answers: list[Answer] = []
        self.paths: list[str] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.paths.append(self.path)
                number = min(len(outer.paths), len(outer.answers)) - 1
                outer.answers[number](self)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/file"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever way this machine goes to the internet, these requests stay here."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.close()


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("authors") / FILE
    return save(path, published_content(weights_of())).read_bytes()


@pytest.fixture(autouse=True)
def _small(small_catalogue: Path) -> None:
    """All tests fetch a small network."""


def nothing_is_left(folder: Path) -> bool:
    return list(folder.iterdir()) == []


def test_a_good_file_is_fetched_and_imported(server, folder, checkpoint):
    server.answers = [sends(checkpoint)]
    told: list[tuple[int, int]] = []
    imported = fetch_model(
        NAME, url=server.url, progress=lambda *numbers: told.append(numbers)
    )
    assert load_model(NAME).card.recipe["imported"]["file"] == FILE
    assert told[-1] == (len(checkpoint), len(checkpoint))
    digest = hashlib.sha256(checkpoint).hexdigest()
    assert digest in imported.notes[0]
    assert sorted(path.name for path in folder.iterdir()) == [
        "checksums.txt",
        f"{NAME}.json",
        f"{NAME}.safetensors",
    ]


def test_the_confirmation_page_is_answered(server, folder, checkpoint):
    server.answers = [sends_page(CONFIRMATION), sends(checkpoint)]
    fetch_model(NAME, url=server.url)
    assert load_model(NAME).name == NAME
    assert server.paths == ["/file", "/download?id=the%26id&confirm=t"]


def test_a_download_that_breaks_off_is_tried_again(server, folder, checkpoint):
    server.answers = [breaks_off(checkpoint), sends(b"", 503), sends(checkpoint)]
    fetch_model(NAME, url=server.url, pause=0)
    assert load_model(NAME).name == NAME
    assert len(server.paths) == 3


def test_a_download_that_always_breaks_off_is_told(server, folder, checkpoint):
    server.answers = [breaks_off(checkpoint)]
    with pytest.raises(DownloadError, match="models import segrefiner_hr_latest"):
        fetch_model(NAME, url=server.url, pause=0)
    assert len(server.paths) == ATTEMPTS
    assert nothing_is_left(folder)


def test_a_file_cut_by_the_server_is_refused(server, folder, checkpoint):
    server.answers = [sends(checkpoint[:-5000])]
    with pytest.raises(ModelError, match="no complete checkpoint"):
        fetch_model(NAME, url=server.url)
    assert nothing_is_left(folder)


def test_another_file_than_before_is_refused(server, folder, checkpoint, tmp_path):
    first = tmp_path / "first.pth"
    first.write_bytes(checkpoint)
    import_model(first, NAME)
    (folder / f"{NAME}.safetensors").unlink()
    (folder / f"{NAME}.json").unlink()
    other = save(tmp_path / "other.pth", weights_of()).read_bytes()
    server.answers = [sends(other)]
    digest = hashlib.sha256(checkpoint).hexdigest()
    with pytest.raises(DownloadError, match=f"{digest} was recorded"):
        fetch_model(NAME, url=server.url)
    assert [path.name for path in folder.iterdir()] == ["checksums.txt"]


def test_a_web_page_is_no_file(server, folder):
    page = "<html><head><title>Google Drive - Quota exceeded</title></head></html>"
    server.answers = [sends_page(page)]
    with pytest.raises(
        DownloadError, match=r"web page .*Quota exceeded.* in a browser"
    ):
        fetch_model(NAME, url=server.url, pause=0)
    assert len(server.paths) == 1
    assert nothing_is_left(folder)


def test_a_confirmation_that_leads_to_another_page_is_given_up(server, folder):
    server.answers = [sends_page(CONFIRMATION)]
    with pytest.raises(DownloadError, match="Virus scan warning"):
        fetch_model(NAME, url=server.url)
    assert len(server.paths) == 2
    assert nothing_is_left(folder)


def test_a_refusal_is_told_at_once(server, folder):
    server.answers = [sends(b"", 404)]
    with pytest.raises(DownloadError, match="404"):
        fetch_model(NAME, url=server.url, pause=0)
    assert len(server.paths) == 1
    assert nothing_is_left(folder)


def test_a_refused_connection_names_the_way_by_hand(folder):
    with socket.socket() as closed:  # bound, but nobody listens
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}/file"
        with pytest.raises(DownloadError) as caught:
            fetch_model(NAME, url=url, pause=0)
    text = str(caught.value)
    assert "refused" in text
    assert published()[NAME].page in text
    assert f"napari-segrefiner models import {FILE} --name {NAME}" in text
    assert "\n" not in text
    assert nothing_is_left(folder)


@pytest.mark.parametrize("url", ["no address", "ftp://127.0.0.1/file"])
def test_an_address_that_is_none_is_told_at_once(folder, url):
    with pytest.raises(DownloadError, match="could not be fetched"):
        fetch_model(NAME, url=url, pause=1000)
    assert nothing_is_left(folder)


def test_a_download_that_is_stopped_leaves_nothing(server, folder, checkpoint):
    server.answers = [sends(checkpoint)]

    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch_model(NAME, url=server.url, progress=stop)
    assert nothing_is_left(folder)


def test_names_that_cannot_be_fetched_are_told(server, folder, checkpoint):
    with pytest.raises(ModelError, match="choose segrefiner-lr, segrefiner-hr"):
        fetch_model("default", url=server.url)
    server.answers = [sends(checkpoint)]
    fetch_model(NAME, url=server.url)
    with pytest.raises(ModelError, match="installed already"):
        fetch_model(NAME, url=server.url)
    assert len(server.paths) == 1


def test_a_model_that_is_not_installed_says_how_to_get_it(folder):
    with pytest.raises(ModelError, match="napari-segrefiner models fetch segref"):
        load_model(NAME)


def test_the_files_are_where_their_authors_offer_them():
    for model, drive_id in (
        ("segrefiner-lr", "1FrhbdwNyTlQYNbF9IgFF2tY3iQXHFcau"),
        ("segrefiner-hr", "143kerk4WOerGZMqR-cAETb7rOcoQ0CQ_"),
    ):
        assert f"download?id={drive_id}&" in published()[model].url
        assert f"/{drive_id}/" in published()[model].page


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (CONFIRMATION, "https://a.org/download?id=the%26id&confirm=t"),
        (
            '<a id="uc-download-link" href="/uc?export=download&amp;confirm=x">',
            "https://a.org/uc?export=download&confirm=x",
        ),
        (
            """<form id="download-form" action="https://b.org/?k=1"><input
            type="hidden" name="c" value="t">""",
            "https://b.org/?k=1&c=t",
        ),
        ('<form id="download-form" action="file:///etc/passwd">', None),
        ("<p>Sign in", None),
        ('<![odd[ <form id="download-form" action="/x">', None),
    ],
)
def test_confirmation_pages_are_read(text, expected):
    assert Page("<html>" + text, "https://a.org/file").confirmed_url == expected
