"""The language of the search box: what it means, what it refuses and where, and that text, form and address agree."""

from __future__ import annotations

from itertools import pairwise

import pytest
from django.http import QueryDict
from hypothesis import example, given
from hypothesis import strategies as st

from auditlog.models import ApiRequestLog, Site
from auditlog.search import terms
from auditlog.search.errors import QuestionError
from auditlog.search.filters import LogFilter
from auditlog.search.keys import KEYS, MOST_VALUES
from auditlog.search.language import CONDITION_KEYS, LONGEST, MOST_TERMS, faults, parse, spread, written
from auditlog.search.question import Question
from auditlog.store.writer import write
from tests.book import entry

NAMES = ("alice", "Alice", "a b", "a,b", "a*b", 'a"b', "a\\", "-a", "a:b", "b", None)


@pytest.fixture
def book(site: Site) -> Site:
    write(
        site,
        [
            entry(
                request_id=f"r{number}",
                username=name,
                request_path=f"/files/{name}",
                response_code=[200, 404, 500, None][number % 4],
                error_type="not-found/b" if number % 4 == 1 else None,
                api_name="files.list" if number % 2 else None,
                interface=["web", "sftp"][number % 2],
                duration_ms=number,
            )
            for number, name in enumerate(NAMES)
        ],
    )
    return site


def query_of(*pairs: tuple[str, str]) -> QueryDict:
    query = QueryDict(mutable=True)
    for key, value in pairs:
        query.appendlist(key, value)
    return query


def lists(query: QueryDict) -> dict[str, list[str]]:
    return dict(query.lists())


def found(site: Site, query: QueryDict) -> set[str] | str:
    """The Request-IDs that a query finds, or that it is refused."""
    try:
        return {row.request_id for row in Question.from_query(query, [site]).rows()}
    except QuestionError:
        return "refused"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", []),
        (" \t\n ", []),
        ("status:failure", [("status", "failure")]),
        ("interface:sftp,ftp code:400..499", [("interface", "sftp,ftp"), ("code", "400..499")]),
        ("-user:svc-*", [("-user", "svc-*")]),
        ("duration:>2000", [("duration", ">2000")]),
        ('error:"not found"', [("error", '"not found"')]),
        ('user:"a,b",c', [("user", '"a,b",c')]),
        ("ip:2001:db8::/32", [("ip", "2001:db8::/32")]),
        ("from:2026-11-23T14:30", [("from", "2026-11-23T14:30")]),
        ("STATUS:Failure", [("status", "Failure")]),
        ("report  q4.pdf", [("", "report"), ("", "q4.pdf")]),
        ("-draft", [("-", "draft")]),
        ('"not found"', [("", '"not found"')]),
        ('-"not found"', [("-", '"not found"')]),
        ('"-draft" "http://x" "user:a"', [("", '"-draft"'), ("", '"http://x"'), ("", '"user:a"')]),
        (r"say\"hi\" a", [("", r"say\"hi\""), ("", "a")]),
        (r"C:\ ", None),
        ("a-b", [("", "a-b")]),
        ("sftp,ftp", [("", "sftp,ftp")]),
        ("user:a user:b", [("user", "a"), ("user", "b")]),
        ("user:\N{IDEOGRAPHIC SPACE}a", None),
    ],
)
def test_a_text_is_read_as_terms(text, said):
    reading = parse(text)
    if said is None:
        assert reading.faults
    else:
        assert [(term.name, term.value) for term in reading.terms] == said
        assert reading.faults == []


@pytest.mark.parametrize(
    ("text", "place", "sentence"),
    [
        ("a stauts:x b", "stauts:x", "stauts is not a search key; did you mean status? To find the text itself"),
        (
            "see http://x.y/z",
            "http://x.y/z",
            'http is not a search key. To find the text itself, quote it: "http://x.y/z"',
        ),
        ("-http://x", "-http://x", 'quote it: "http://x"'),
        ("bogus:1", "bogus:1", f"The keys are {', '.join(KEYS)}, last, from, to."),
        (":x", ":x", ":x has no search key before its colon"),
        ('"user":x', '"user":x', "did you mean user?"),
        ('a user:"b c', 'user:"b c', 'the quote in user:"b c is never closed'),
        ('a "', '"', "never closed"),
        ("user: alice", "user:", "user: is without a value; it follows the colon at once"),
        ("user:a, b", "user:a,", "ends in a comma"),
        ("user:,", "user:,", "ends in a comma"),
        ('a ""', '""', "would find everything"),
        ('-""', '-""', "would find everything"),
        ("a - b", "-", 'quote it: "-"'),
        ("git --force", "--force", 'quote it: "--force"'),
        ("--user:a", "--user:a", 'quote it: "--user:a"'),
        ("-last:1h", "-last:1h", "last cannot be left out"),
        ("last:1h last:24h", "last:24h", "last is given more than once"),
        ('last:""', 'last:""', "last: is without a value"),
        ("a sort:user", "sort:user", "sort belongs to the address, not to the text; click the heading of a column."),
        ("after:x", "after:x", "after belongs to the address"),
        ("before:x", "before:x", "use from: and to: for a time"),
        ("columns:user", "columns:user", "choose them under Columns"),
        ("q:x", "q:x", "q is not a search key"),
        ("code:4xx", "code:4xx", "code: 4xx is not a number or range"),
        ("a -ip:10.0.0.300", "-ip:10.0.0.300", "-ip: 10.0.0.300 is not an IP address or network"),
        ("is:lost", "is:lost", "is: lost is not known, expected impersonated or parent"),
    ],
)
def test_a_fault_is_said_in_a_sentence_at_its_place(text, place, sentence):
    (fault,) = faults(text)
    assert sentence in fault.sentence
    assert text[fault.start : fault.end] == place


def test_every_fault_is_named_in_the_order_of_the_text():
    assert [fault.start for fault in faults('code:x bogus:1 user:a ip:y "open')] == [0, 7, 22, 27]


def test_a_text_has_a_length_and_a_number_of_terms():
    assert "at most 8,000" in faults("a" * (LONGEST + 1))[0].sentence
    assert faults("a " * MOST_TERMS) == []
    (fault,) = faults("a " * (MOST_TERMS + 50))
    assert f"more than {MOST_TERMS} terms" in fault.sentence


def test_no_question_names_more_values_than_the_server_plans_at_once():
    assert faults("user:" + "a," * (MOST_VALUES - 1) + "a") == []
    for many in ("user:" + "a," * MOST_VALUES + "a", " ".join(["user:" + "a," * 9 + "a"] * (MOST_VALUES // 10 + 1))):
        (fault,) = faults(many)
        assert f"more than {MOST_VALUES} values" in fault.sentence
    form = LogFilter(QueryDict(f"-user={'a,' * 30_000}"), queryset=ApiRequestLog.objects.none()).form
    assert form.errors == {"-user": [f"names 30,000 values, expected at most {MOST_VALUES}."]}


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("alice", "alice|Alice"),
        ("FILES.LIST", 'Alice|a,b|a"b|-a|b'),
        ("not-found", 'Alice|a"b|b'),
        ("a*e", "alice|Alice"),
        ('"a b"', "a b"),
        ("a,b", "a,b"),
        (r"a\*b", "a*b"),
        ('"-a"', "-a"),
        ('"a:b"', "a:b"),
        ("a -alice", 'a b|a,b|a*b|a"b|a\\|-a|a:b'),
        ("user:alice", "alice"),
        ("user:alice,b", "alice|b"),
        ("user:alice user:b", ""),
        ("user:a* user:*b", 'a b|a,b|a*b|a"b|a:b'),
        ('user:"a b",b', "a b|b"),
        ("-user:a* -user:Alice,b", "-a|None"),
        ("type:not-found/* code:404 alice", "Alice"),
        ("api:files.list -api:files.*", ""),
        ("-error:not-found interface:SFTP", "a,b|-a"),
        ("code:>=400 -code:404", "a b|a\\|None"),
        ("last:1h alice", "alice|Alice"),
    ],
)
def test_a_text_finds_what_it_says(book, text, names):
    question = Question.from_query(query_of(("q", text)), [book])
    assert {str(row.username) for row in question.rows()} == set(filter(None, names.split("|")))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("q=status:failure", "status=failure"),
        ("q=status:failure report -draft", "status=failure&q=report -draft"),
        ('q=user:"a b" -user:"c,d",e', 'user=a b&-user="c,d",e'),
        ("q=-user:a -user:b", "-user=a,b"),
        ("q=-user:b&-user=a", "-user=a,b"),
        ("q=-user:c&-user=a&-user=b", "-user=a,b,c"),
        ("q=-user:b&-user=a\\", "-user=a\\\\,b"),
        ("q=user:a user:b", "q=user:a user:b"),
        ("q=user:b&user=a", "q=user:b&user=a"),
        ("q=user:b&user=", "user=b"),
        ("q=user:a -user:b", "user=a&-user=b"),
        ("q=user:a  report ", "user=a&q=report"),
        ("q=last:1h x&last=7d&sort=created_at", "last=1h&sort=created_at&q=x"),
        ("q=from:2026-11-20&last=7d", "from=2026-11-20"),
        ("q=from:2026-11-20&from=2026-11-01&to=2026-11-02", "from=2026-11-20"),
        ('q=from:"2026-11-20 14:30" to:2026-11-21', "from=2026-11-20 14:30&to=2026-11-21"),
        ("q=code:4xx", "code=4xx"),
        ("q=bogus:1 user:a", "q=bogus:1 user:a"),
        ('q=user:a "open', 'q=user:a "open'),
        ("q=  &user=a", "user=a"),
        ("q=&q=x", "q=x"),
        ("q=user:a&q=x", "q=user:a&q=x"),
        ("q=USER:a", "user=a"),
    ],
)
def test_a_text_is_spread_over_the_parameters_that_say_the_same(before, after):
    query = QueryDict(before.replace("+", "%2B"))
    assert lists(spread(query)) == lists(QueryDict(after))


@pytest.mark.parametrize(
    ("address", "text"),
    [
        ("", ""),
        ("status=failure&last=7d&sort=created_at&columns=username", "status:failure"),
        ("user=alice&-interface=web,sftp&q=report", "user:alice -interface:web,sftp report"),
        ("q=report&user=alice", "user:alice report"),
        ("user=a b", 'user:"a b"'),
        ('user="a b",c', 'user:"a b",c'),
        ('user=say "hi" now', 'user:"say hi now"'),
        ("user=a&user=b", "user:a,b"),
        ("user=a,&user=&user=b", "user:a,b"),
        ("user=a b\\", 'user:"a b\\\\"'),
        ('error="a,b"', 'error:"a,b"'),
        ('user="open', r"user:\"open"),
        ("user=,", "user:,"),
        ("q=stauts:x", "stauts:x"),
    ],
)
def test_an_address_is_written_as_a_text(address, text):
    assert written(QueryDict(address)) == text


def test_text_given_twice_is_refused(book):
    with pytest.raises(QuestionError) as caught:
        Question.from_query(QueryDict("q=a&q=last:1h"), [book])
    assert "more than once" in caught.value.errors["q"]


def test_every_fault_of_the_text_is_an_error_of_q(book):
    with pytest.raises(QuestionError) as caught:
        Question.from_query(QueryDict("q=bogus:1 sort:x&code=4xx"), [book])
    assert set(caught.value.errors) == {"q", "code"}
    assert "bogus" in caught.value.errors["q"]
    assert "sort" in caught.value.errors["q"]


def test_a_bad_value_that_stays_in_the_text_is_refused_there(book):
    with pytest.raises(QuestionError) as caught:
        Question.from_query(QueryDict("q=code:4xx&code=400"), [book])
    assert "code: 4xx is not a number" in caught.value.errors["q"]


def test_a_request_id_in_the_text_is_looked_for_in_everything_kept(book):
    asked = Question.from_query(QueryDict("q=request:0b1f"), [book])
    assert asked.time == Question.from_query(QueryDict("request=0b1f"), [book], now=asked.now).time


def test_links_of_a_question_carry_the_words(book):
    question = Question.from_query(QueryDict("q=user:a report -draft"), [book])
    assert lists(QueryDict(question.query({"status": "failure"}))) == {
        "user": ["a"],
        "q": ["report -draft"],
        "status": ["failure"],
    }


@pytest.mark.parametrize(
    ("hostile", "names"),
    [
        ("a\x00b", set()),
        ("';DROP/**/TABLE", set()),
        ("%", set()),
        ("_", set()),
        ("\u202e", set()),
        ("\\", {"r6"}),
        ('\\"', {"r5"}),
        ("a" * 5000, set()),
        (" ".join("ab" for _ in range(MOST_TERMS)), set()),
        ("<script>alert(1)</script>", set()),
    ],
)
def test_hostile_words_are_only_words(book, hostile, names):
    assert found(book, query_of(("q", hostile))) == names


# What follows holds for texts of any kind.

SPECIAL = st.text(st.sampled_from('ab "\\,*:-.><0\t\u00a0'), max_size=12)
SOUND = {
    "code": ["404", "400..499", ">=500", '"200"'],
    "duration": [">2", "..5", "3,4"],
    "ip": ["10.0.0.0/8", "2001:db8::7"],
    "status": ["failure", "success", "FAILURE"],
    "is": ["impersonated", "parent"],
    "interface": ["SFTP", "web,sftp", "s*"],
}
VALUES = SPECIAL | st.sampled_from([terms.exactly(name) for name in NAMES if name])


@st.composite
def parameters(draw: st.DrawFn) -> QueryDict:
    """An address: some keys, negated or not, now and then twice, mostly with values that make sense."""
    query = QueryDict(mutable=True)
    for name in draw(st.lists(st.sampled_from(CONDITION_KEYS), max_size=4)):
        sound = SOUND.get(name.removeprefix("-"))
        query.appendlist(name, draw(st.sampled_from(sound) if sound else VALUES))
    return query


@st.composite
def texts(draw: st.DrawFn) -> str:
    """A text: terms as people write them, and what they should not write."""
    return " ".join([written(draw(parameters())), draw(SPECIAL), written(draw(parameters()))])


@given(st.text(max_size=200) | SPECIAL | texts() | st.text(st.characters(categories=["Cs", "Cc", "Zs", "Po"])))
@example("\ud800:\udfff" * 100)
@example('"' * 7999)
@example("\\" * 8000)
@example("user:a," * 1000)
@example("a:" * 10**6)
def test_no_text_is_too_torn_to_be_read(text):
    reading = parse(text)
    places = sorted((part.start, part.end) for part in [*reading.terms, *reading.faults])
    assert all(0 <= start < end <= len(text) for start, end in places)
    assert all(end < following for (_, end), (following, _) in pairwise(places))
    assert all(fault.sentence for fault in faults(text))
    if not reading.faults:  # nothing is left out in silence
        assert [reading.source(term) for term in reading.terms] == [text[start:end] for start, end in places]
        around = pairwise([(0, 0), *places, (len(text), 0)])
        assert all(text[end:start].strip() == "" for (_, end), (start, _) in around)


@given(parameters(), texts())
def test_what_is_spread_stays_as_it_is(query, text):
    query["q"] = text
    once = spread(query)
    assert lists(spread(once)) == lists(once)
    assert all(lists(once).values())


@given(texts())
def test_a_spread_text_is_written_so_that_it_spreads_the_same(text):
    once = spread(query_of(("q", text)))
    again = spread(query_of(("q", written(once))))
    assert lists(again) == lists(once)


@given(texts())
@example("user:a user:*b -user:c -user:d last:1h")
def test_a_text_finds_the_same_rows_whole_and_spread(book, text):
    whole = LogFilter(query_of(("q", text)), queryset=ApiRequestLog.objects.all())
    rows = {row.request_id for row in whole.qs} if whole.is_valid() else "refused"
    if "last" not in spread(query_of(("q", text))):
        assert found(book, query_of(("q", text))) == rows


@given(parameters(), SPECIAL)
def test_form_and_text_find_the_same_rows(book, query, words):
    query["q"] = words
    if (rows := found(book, query)) != "refused":
        assert found(book, query_of(("q", written(query)))) == rows
