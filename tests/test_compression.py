"""Pages are compressed for who accepts that; files are sent as they were made."""

from __future__ import annotations

from gzip import decompress

import pytest

from tests.book import make_entry


@pytest.mark.parametrize("address", ["/acme/logs/", "/acme/logs/facets", "/acme/overview/"])
def test_a_page_is_compressed_for_who_accepts_it(signed_in, administrator, site, address):
    make_entry(site, request_path="/known")
    visitor = signed_in(administrator)
    plain, answer = visitor.get(address), visitor.get(address, HTTP_ACCEPT_ENCODING="gzip")
    assert "Content-Encoding" not in plain
    assert answer["Content-Encoding"] == "gzip"
    assert "Accept-Encoding" in answer["Vary"]
    assert b"</html>" in decompress(answer.content)
    assert len(answer.content) < len(plain.content) / 2


@pytest.mark.parametrize(
    "address", ["/acme/logs.csv", "/acme/logs.jsonl?compress=gzip", "/acme/logs/entry.json?request=known"]
)
def test_a_file_is_sent_as_it_was_made(signed_in, administrator, site, address):
    make_entry(site, request_id="known", request_path="/" + "known" * 100)
    assert "Content-Encoding" not in signed_in(administrator).get(address, HTTP_ACCEPT_ENCODING="gzip")
