"""Web pages that servers send where a file was asked for."""

from __future__ import annotations

import contextlib
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urlencode, urljoin, urlsplit

#: Bytes of a page that are read; Google Drive's are some hundred thousand at most.
MAX_PAGE = 2**20


class Page(HTMLParser):
    """What matters of a web page: its title, and where its confirmation leads.

    Google Drive asks for a confirmation before it sends a large file, by a form or, on
    older pages, by a link.

    Parameters
    ----------
    text : str
        The page in HTML.
    url : str
        Where it came from; relative links start there.
    """

    def __init__(self, text: str, url: str = "") -> None:
        super().__init__()
        self._url = url
        self._is_in_title = self._is_in_form = False
        self._action: str | None = None
        self._fields: dict[str, str] = {}
        self._title = ""
        # The parser gives up in this way on marked sections that it does not know.
        with contextlib.suppress(AssertionError):
            self.feed(text)

    @property
    def title(self) -> str:
        """Its title on one line, shortened; without one, "untitled"."""
        return " ".join(self._title.split())[:80] or "untitled"

    @property
    def confirmed_url(self) -> str | None:
        """Address that the confirmation leads to; None if the page asks for none."""
        if self._action is None:
            return None
        address = urljoin(self._url, self._action)
        if urlsplit(address).scheme not in ("http", "https"):
            return None
        if not self._fields:
            return address
        joint = "&" if urlsplit(address).query else "?"
        return address + joint + urlencode(self._fields)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note the form, its hidden fields, and the link of older pages."""
        entries = {name: value or "" for name, value in attrs}
        self._is_in_title = tag == "title"
        if tag == "form":
            self._is_in_form = entries.get("id") == "download-form"
            if self._is_in_form:
                self._action = entries.get("action", "")
        elif tag == "input" and self._is_in_form and entries.get("type") == "hidden":
            self._fields[entries.get("name", "")] = entries.get("value", "")
        elif tag == "a" and entries.get("id") == "uc-download-link":
            self._action = entries.get("href", "")

    def handle_endtag(self, tag: str) -> None:
        """Leave the title or the form."""
        if tag == "title":
            self._is_in_title = False
        elif tag == "form":
            self._is_in_form = False

    def handle_data(self, data: str) -> None:
        """Collect the title."""
        if self._is_in_title:
            self._title += data


def read_page(path: Path, url: str = "") -> Page | None:
    """The web page in `path`, or None if the file is none.

    Raises
    ------
    OSError
        If the file cannot be read.
    """
    with path.open("rb") as file:
        content = file.read(MAX_PAGE)
    start = content[:256].removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if not start.startswith((b"<!doctype html", b"<html")):
        return None
    return Page(content.decode("utf-8", errors="replace"), url)
