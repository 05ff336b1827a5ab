"""The grammar of a search key's value."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditlog.search import terms
from auditlog.search.terms import Span, Text


@pytest.mark.parametrize(
    ("value", "parts"),
    [
        ("a", ["a"]),
        ("a,b", ["a", "b"]),
        (" a , b ,", ["a", "b"]),
        ('"a,b",c', ['"a,b"', "c"]),
        (r"a\,b", [r"a\,b"]),
        (r"say \"hi\",x", [r"say \"hi\"", "x"]),
        (",,", []),
    ],
)
def test_commas_part_alternatives_unless_quoted_or_escaped(value, parts):
    assert terms.split(value) == parts


def test_a_quote_that_never_closes_is_said():
    with pytest.raises(ValueError, match="never closed"):
        terms.split('"a,b')


@pytest.mark.parametrize(
    ("part", "text"),
    [
        ("svc-*", Text("svc-*", "svc-%", True)),
        (r"svc-\*", Text("svc-*", "svc-*", False)),
        ("100%_", Text("100%_", r"100\%\_", False)),
        (r"DOMAIN\bob", Text(r"DOMAIN\bob", r"DOMAIN\\bob", False)),
        ('"a,b"', Text("a,b", "a,b", False)),
        ("tail\\", Text("tail\\", "tail\\\\", False)),
        ("=7", Text("=7", "=7", False, has_equals=True)),
        (r"\=7", Text("=7", "=7", False)),
        ('"=a,b"', Text("=a,b", "=a,b", False, has_equals=True)),
    ],
)
def test_a_star_is_a_wildcard_and_everything_else_itself(part, text):
    assert terms.text(part) == text


@pytest.mark.parametrize(
    ("part", "value", "pattern"),
    [
        ("price list", "price%20list", r"price\%20list"),
        ("résumé*", "r%C3%A9sum%C3%A9*", r"r\%C3\%A9sum\%C3\%A9%"),
        (r"a\\\\b", "a%5C%5Cb", r"a\%5C\%5Cb"),
        (r"{\"<a>\"}^`|#", "%7B%22%3Ca%3E%22%7D%5E%60%7C%23", r"\%7B\%22\%3Ca\%3E\%22\%7D\%5E\%60\%7C\%23"),
        (r"50%_\*", "50%_*", r"50\%\_*"),
        ("50%\\", "50%%5C", r"50\%\%5C"),
        ("/a?b=[c]&d=~'(e)!$+;,@:-.", "/a?b=[c]&d=~'(e)!$+;,@:-.", r"/a?b=[c]&d=~'(e)!$+;,@:-."),
    ],
)
def test_a_text_is_spelt_as_request_lines_carry_it(part, value, pattern):
    spelt = terms.text(part).percent_encoded()
    assert (spelt.value, spelt.pattern) == (value, pattern)


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_exactly_means_one_text_and_nothing_else(value):
    (part,) = terms.split(terms.exactly(value))
    text = terms.text(part)
    assert (text.value, text.has_wildcard, text.has_equals) == (value, False, False)
    (part,) = terms.split(terms.shown(value))
    text = terms.text(part)
    assert text.has_equals
    assert (text.without_equals().value, text.has_wildcard) == (value, False)


@pytest.mark.parametrize(
    ("value", "fewest", "as_word"),
    [
        ("a,b", "a,b", "a,b"),
        (" a , b ,", "a,b", "a,b"),
        ('"a b"', "a b", '"a b"'),
        ('"a,b",c', '"a,b",c', '"a,b",c'),
        ('" a"', '" a"', '" a"'),
        ('say "hi" now', "say hi now", '"say hi now"'),
        (r"say \"hi\"", r"say \"hi\"", r'"say \"hi\""'),
        (r"a\,b", r"a\,b", r"a\,b"),
        ("a b\\", "a b\\", '"a b\\\\"'),
        ('""', '""', '""'),
        ("svc-*", "svc-*", "svc-*"),
    ],
)
def test_a_value_is_rewritten_with_the_fewest_quotes(value, fewest, as_word):
    assert terms.rewritten(value) == fewest
    assert terms.rewritten(value, as_word=True) == as_word


@given(st.lists(st.text(st.sampled_from('ab *,"\\='))), st.booleans())
def test_rewriting_and_joining_keep_the_meaning(values, as_word):
    def meaning(value: str) -> list[Text]:
        return [terms.text(part) for part in terms.split(value)]

    try:
        apart = [text for value in values for text in meaning(value)]
    except ValueError:  # a quote that is never closed
        return
    joined = terms.joined([value for value in values if value])
    assert meaning(joined) == apart
    assert meaning(terms.rewritten(joined, as_word=as_word)) == apart


@pytest.mark.parametrize(
    ("part", "span"),
    [
        ("404", Span(404, 404)),
        ("400..499", Span(400, 499)),
        ("500..", Span(500, None)),
        ("..99", Span(None, 99)),
        (">2000", Span(2001, None)),
        (">=500", Span(500, None)),
        ("<100", Span(None, 99)),
        ("<=100", Span(None, 100)),
    ],
)
def test_numbers_and_ranges(part, span):
    assert terms.span(part) == span


@pytest.mark.parametrize("part", ["4xx", "", "..", "-1", "499..400", "1e3", "9" * 30])
def test_what_is_no_number_or_range_is_said(part):
    with pytest.raises(ValueError, match="expected"):
        terms.span(part)


@pytest.mark.parametrize(
    ("part", "network"),
    [
        ("10.0.0.1/8", "10.0.0.0/8"),
        ("192.0.2.7", "192.0.2.7/32"),
        ("2001:db8::/32", "2001:db8::/32"),
        ("::ffff:10.1.2.3", "10.1.2.3/32"),
    ],
)
def test_addresses_and_networks(part, network):
    assert terms.network(part) == network


@pytest.mark.parametrize("part", ["10.0.0.300", "10.0.0.0/33", "fe80::1%eth0/64x", ""])
def test_what_is_no_address_is_said(part):
    with pytest.raises(ValueError, match="is not an IP address or network"):
        terms.network(part)
