"""`manage.py import_logs`: every line of the files is stored, already there or rejected with a reason."""

from __future__ import annotations

import bz2
import gzip
import re
import tracemalloc
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from io import BytesIO, StringIO, TextIOWrapper
from pathlib import Path

import pytest
import zstandard
from django.core.management import CommandError, call_command

from auditlog.intake import files
from auditlog.intake.opening import opened
from auditlog.models import ApiRequestLog, Site
from gatebook.entry import Entry, encode_json
from tests.book import ago
from tests.sample_logs import sample_logs


def access_line(moment: datetime, path: str = "/") -> str:
    return f'192.0.2.7 - bob [{moment:%d/%b/%Y:%H:%M:%S} +0000] "GET {path} HTTP/1.1" 200 5 "-" "curl/8.5.0"'


def jsonl_line(**fields: object) -> bytes:
    return encode_json(Entry(**{"created_at": ago(hours=1), "request_id": "r", **fields})) + b"\n"


@pytest.fixture
def log(tmp_path):
    """Write a log file and return its path."""

    def write(*lines: str, name: str = "access.log") -> Path:
        path = tmp_path / name
        path.write_text("".join(f"{line}\n" for line in lines))
        return path

    return write


def run(*arguments: object, site: str = "acme") -> str:
    output = StringIO()
    call_command("import_logs", *map(str, arguments), f"--site={site}", stdout=output)
    return output.getvalue()


def counts(output: str) -> tuple[int, ...]:
    """What the summary says: read, stored, already there, rejected."""
    numbers = re.search(
        r"([\d,]+) read from .* = ([\d,]+) stored in .* \+ ([\d,]+) already there \+ ([\d,]+) rejected", output
    )
    assert numbers, output
    read, stored, there, rejected = (int(number.replace(",", "")) for number in numbers.groups())
    assert read == stored + there + rejected
    return read, stored, there, rejected


def test_equal_lines_are_all_kept_and_importing_twice_adds_nothing(site, log):
    line = access_line(ago(hours=1))
    path = log(line, line, access_line(ago(hours=2)), line)
    assert counts(run(path)) == (4, 4, 0, 0)
    assert counts(run(path)) == (4, 0, 4, 0)
    assert ApiRequestLog.objects.filter(site_id=site.pk).count() == 4


def test_a_packed_copy_of_a_log_adds_nothing(site, log, tmp_path):
    path = log(access_line(ago(hours=1)), access_line(ago(hours=1)))
    packed = tmp_path / "access.log.1"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    assert counts(run(path, packed)) == (4, 2, 2, 0)


def test_several_files_of_different_formats_are_one_import(site, log, tmp_path):
    lines = tmp_path / "export.jsonl"
    lines.write_bytes(jsonl_line(request_id="a") + jsonl_line(request_id="b"))
    assert counts(run(log(access_line(ago(hours=1))), lines)) == (3, 3, 0, 0)


def test_bad_lines_are_counted_by_reason_and_shown(site, log):
    output = run(
        log(access_line(ago(hours=1)), "torn", access_line(ago(days=200)), access_line(ago(days=201)), "torn too")
    )
    assert counts(output) == (5, 1, 0, 4)
    assert "2 rejected: not a line of an access log\n      access.log:2: torn\n      access.log:5: torn too" in output
    assert "2 rejected: created_at: is older than the retention of 180 days" in output
    assert "move them with --rebase-time or --shift-days, or give acme a longer retention." in output


def test_many_bad_lines_show_a_few_examples(site, log):
    output = run(log(access_line(ago(hours=1)), *(f"torn {number}" for number in range(100))))
    assert output.count("access.log:") == files.EXAMPLES


def test_what_is_shown_of_bad_lines_cannot_steer_the_terminal(site, log, tmp_path):
    lines = tmp_path / "export.jsonl"
    lines.write_bytes(jsonl_line().replace(b"{", rb'{"\u001b[2Jx\u202e":1,', 1))
    output = run(log(access_line(ago(hours=1)), "torn \x1b]0;gone\x07 \x9b2J"), lines)
    assert counts(output) == (3, 1, 0, 2)
    assert "torn \ufffd]0;gone\ufffd \ufffd2J" in output
    assert "`\ufffd[2Jx\ufffd`" in output
    assert all(line.isprintable() for line in output.splitlines())


def test_reasons_that_name_what_the_sender_wrote_are_told_apart_only_so_far(site, tmp_path):
    path = tmp_path / "export.jsonl"
    good = jsonl_line()
    names = [f"field-{number}" for number in range(files.REASONS + 30)] + ["long" * 10_000]
    path.write_bytes(good + b"".join(good.replace(b"{", f'{{"{name}":1,'.encode(), 1) for name in names))
    output = run(path)
    assert counts(output) == (len(names) + 1, 1, 0, len(names))
    assert "1 rejected: Object contains unknown field `field-0`" in output
    assert "31 rejected: other reasons" in output
    assert output.count(" rejected: ") == files.REASONS + 1


def test_secrets_are_hidden_before_anything_is_stored_or_shown(site, log):
    line = access_line(ago(hours=1), "/a?token=hunter2")
    output = run(log(line.replace('"-"', '"https://example.com/?password=hunter2"'), f"[torn] {line}"))
    row = ApiRequestLog.objects.get()
    assert (row.request_path, row.details["referrer"]) == (
        "/a?token=[redacted]",
        "https://example.com/?password=[redacted]",
    )
    assert "/a?token=[redacted]" in output
    assert "hunter2" not in output


def test_secrets_are_hidden_in_every_field(site, tmp_path):
    path = tmp_path / "export.jsonl"
    path.write_bytes(jsonl_line(username="bob:hunter2"))
    run(path)
    assert ApiRequestLog.objects.get().username == "bob:[redacted]"


def test_batches_do_not_change_the_count(site, log, monkeypatch):
    monkeypatch.setattr(files, "BATCH", 3)
    assert counts(run(log(*(access_line(ago(hours=hour)) for hour in range(1, 9))))) == (8, 8, 0, 0)


def test_entries_go_to_the_site_asked_for(site, child, tmp_path):
    path = tmp_path / "export.jsonl"
    path.write_bytes(jsonl_line().replace(b"{", b'{"site":"acme","success":true,', 1))
    assert counts(run(path, site="acme-eu")) == (1, 1, 0, 0)
    assert ApiRequestLog.objects.get().site_id == child.pk


def test_an_export_comes_back_as_it_was(site, tmp_path):
    path = tmp_path / "export.jsonl"
    path.write_bytes(jsonl_line(username="bob", response_code=200, duration_ms=7, details={"trace_id": "4bf9"}))
    run(path)
    row = ApiRequestLog.objects.get()
    assert (row.username, row.response_code, row.duration_ms, row.details) == ("bob", 200, 7, {"trace_id": "4bf9"})


def test_shift_days_moves_every_entry_and_says_so_in_it(site, log):
    old = datetime(2015, 5, 20, 21, 5, 59, tzinfo=UTC)
    days = (datetime.now(UTC) - old).days - 1
    assert counts(run(log(access_line(old)), f"--shift-days={days}")) == (1, 1, 0, 0)
    row = ApiRequestLog.objects.get()
    assert row.created_at == old + timedelta(days=days)
    assert row.details["shifted"] == f"+{days} days"


def test_rebase_time_moves_the_newest_entry_of_all_files_to_yesterday(site, log):
    newest = datetime(2015, 5, 20, 21, 5, 59, tzinfo=UTC)
    first = log(access_line(newest - timedelta(days=2)), "torn")
    second = log(access_line(newest - timedelta(hours=1)), access_line(newest), name="b.log")
    output = run(first, second, "--rebase-time")
    assert counts(output) == (4, 3, 0, 1)
    moved = ApiRequestLog.objects.order_by("created_at").values_list("created_at", flat=True)
    today = datetime.now(UTC).date()
    assert moved[2].date() == today - timedelta(days=1)
    assert moved[2].timetz() == newest.timetz()
    assert moved[2] - moved[0] == timedelta(days=2)
    shift = (moved[2] - newest).days
    assert f"Moving every entry by {shift} days" in output
    assert counts(run(first, second, f"--shift-days={shift}")) == (4, 0, 3, 1)


PACKERS = {"gz": gzip.compress, "bz2": bz2.compress, "zst": zstandard.compress}


@pytest.mark.parametrize("kind", PACKERS)
def test_a_packed_log_is_the_same_log(site, log, tmp_path, kind):
    path = log(*(access_line(ago(hours=1), f"/{number}") for number in range(5000)))
    packed = tmp_path / f"access.log.1.{kind}"
    pieces = path.read_bytes()[:100_000], path.read_bytes()[100_000:]
    packed.write_bytes(b"".join(map(PACKERS[kind], pieces)))  # as rotation by appending makes them
    assert counts(run(packed)) == (5000, 5000, 0, 0)
    assert counts(run(path)) == (5000, 0, 5000, 0)


@pytest.mark.parametrize("kind", PACKERS)
def test_a_packed_log_that_breaks_off_says_so_and_keeps_what_came_before(site, log, tmp_path, kind):
    lines = [access_line(ago(hours=1), f"/{number * 7919 % 10007}") for number in range(20_000)]
    packed = tmp_path / f"access.log.{kind}"
    packed.write_bytes(PACKERS[kind]("\n".join(lines).encode())[:-200])
    output = run(packed)
    read, stored, _, rejected = counts(output)
    assert 1000 < stored < len(lines)
    assert read == stored + rejected
    assert "1 rejected: the file breaks off" in output


@pytest.mark.parametrize("kind", PACKERS)
def test_a_packed_file_of_something_else_is_said_in_a_sentence(site, tmp_path, kind):
    packed = tmp_path / f"broken.{kind}"
    packed.write_bytes(PACKERS[kind](b"hello")[:4] + b"nonsense")
    with pytest.raises(CommandError, match=r"cannot be read: |is of no format known here"):
        run(packed)


def test_a_bomb_does_not_fill_the_memory(tmp_path):
    bomb = tmp_path / "bomb.zst"
    bomb.write_bytes(zstandard.compress(bytes(300_000_000)))
    assert bomb.stat().st_size < 20_000
    tracemalloc.start()
    with opened(bomb) as (_, stream):
        assert sum(len(part) for part in iter(lambda: stream.read(1_000_000), b"")) == 300_000_000
    assert tracemalloc.get_traced_memory()[1] < 60_000_000
    tracemalloc.stop()


@pytest.mark.parametrize("pack", [bytes, *PACKERS.values()])
def test_standard_input_is_a_file_like_any_other(site, log, monkeypatch, pack):
    path = log(*(access_line(ago(hours=1), f"/{number}") for number in range(3000)), "torn")
    monkeypatch.setattr("sys.stdin", TextIOWrapper(BytesIO(pack(path.read_bytes()))))
    output = run("-")
    assert counts(output) == (3001, 3000, 0, 1)
    assert "standard input:3001: torn" in output
    assert counts(run(path)) == (3001, 0, 3000, 1)


@pytest.mark.parametrize("arguments", [["-", "-"], ["-", "--rebase-time"]])
def test_standard_input_is_read_once(site, arguments):
    with pytest.raises(CommandError, match="standard input can be read only once"):
        run(*arguments)


def test_standard_input_of_something_else_is_said_in_a_sentence(site, monkeypatch):
    monkeypatch.setattr("sys.stdin", TextIOWrapper(BytesIO(b"hello\nworld\n")))
    with pytest.raises(CommandError, match="Standard input is of no format known here; say which with --format"):
        run("-")


def test_times_without_a_zone_are_of_the_zone_that_is_said(site, log):
    path = log("Tue Mar  3 08:12:30 2026 2 192.0.2.7 1048576 /in/a.csv b _ i r bob ftp 0 * c", name="xferlog")
    Site.objects.update(retention_days=36_500)
    run(path, "--zone=Europe/Berlin")
    assert ApiRequestLog.objects.get().created_at == datetime(2026, 3, 3, 7, 12, 30, tzinfo=UTC)


@pytest.mark.parametrize("hour", [0, 12, 20, 22, 23])
def test_rebasing_again_on_the_same_day_gives_the_same_shift_at_any_hour(hour):
    newest = datetime(2015, 5, 20, 21, 5, 59, tzinfo=UTC)
    now = datetime(2026, 3, 1, hour, 30, tzinfo=UTC)
    days = files.days_to_yesterday(newest, now.date())
    assert newest + timedelta(days=days) == datetime(2026, 2, 28, 21, 5, 59, tzinfo=UTC) <= now


def test_rebase_time_of_files_without_entries_moves_nothing(site, log):
    assert counts(run(log("torn"), "--rebase-time", "--format=combined")) == (1, 0, 0, 1)


def test_a_shift_out_of_all_years_is_a_reason_not_a_crash(site, log, tmp_path):
    path = tmp_path / "export.jsonl"
    path.write_bytes(jsonl_line(created_at=datetime(9999, 12, 31, tzinfo=UTC)))
    output = run(path, "--shift-days=30")
    assert counts(output) == (1, 0, 0, 1)
    assert "shifted out of the years" in output


def test_a_packed_file_that_breaks_off_keeps_what_came_before(site, log, tmp_path):
    lines = [access_line(ago(hours=1), f"/{number * 7919 % 10007}") for number in range(2000)]
    packed = tmp_path / "access.log.gz"
    packed.write_bytes(gzip.compress("\n".join(lines).encode())[:-200])
    output = run(packed)
    read, stored, _, rejected = counts(output)
    assert stored > 1000
    assert read == stored + rejected
    assert "the file breaks off" in output


def test_a_short_packed_file_that_breaks_off_does_not_keep_the_others_out(site, log, tmp_path):
    lines = [access_line(ago(hours=1), f"/{number * 7919 % 10007}") for number in range(200)]
    packed = tmp_path / "access.log.gz"
    packed.write_bytes(gzip.compress("\n".join(lines).encode())[:-200])
    output = run(log(access_line(ago(hours=1), "/good")), packed)
    read, stored, _, rejected = counts(output)
    assert ApiRequestLog.objects.filter(request_path="/good").exists()
    assert 50 < stored < len(lines)
    assert read == stored + rejected
    assert "1 rejected: the file breaks off" in output


def test_a_line_that_was_still_being_written_is_stored_once(site, tmp_path):
    path, whole = tmp_path / "access.log", access_line(ago(hours=1), "/first") + "\n" + access_line(ago(hours=1)) + "\n"
    for end in range(whole.index("\n") + 2, len(whole) + 1):
        path.write_text(whole[:end])
        run(path)
    assert ApiRequestLog.objects.count() == 2


def test_an_empty_file_is_no_error(site, log):
    assert counts(run(log())) == (0, 0, 0, 0)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["missing.log"], "missing.log cannot be read: No such file or directory."),
        (["folder"], "folder is a folder; name the files in it"),
        (["access.log", "--site=nowhere"], "--site: there is no site 'nowhere'."),
        (
            ["access.log", "--format=morse"],
            "--format: 'morse' is not known, expected one of gatebook, cloudtrail,",
        ),
        (["unknown.txt"], "unknown.txt is of no format known here; say which with --format"),
        (["broken.gz"], "broken.gz cannot be read: "),
        (["access.log", "--zone=Mars"], "--zone: 'Mars' is not known, expected one like Europe/Berlin."),
        (["access.log", "--zone=../etc"], "--zone: '../etc' is not known"),
        (["access.log", "--shift-days=9999999"], "--shift-days: 9999999 is too far"),
        (["access.log", "--shift-days=1", "--rebase-time"], "not allowed with argument"),
        (["access.log", "missing.log"], "missing.log cannot be read"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_sentence_before_anything_is_stored(
    site, log, tmp_path, monkeypatch, arguments, sentence
):
    monkeypatch.chdir(tmp_path)
    log(access_line(ago(hours=1)))
    log("hello", "world", name="unknown.txt")
    (tmp_path / "folder").mkdir()
    (tmp_path / "broken.gz").write_bytes(b"\x1f\x8bnonsense")
    with pytest.raises(CommandError) as caught:
        call_command("import_logs", *arguments, *([] if "--site=nowhere" in arguments else ["--site=acme"]))
    assert re.search(re.escape(sentence), str(caught.value))
    assert "\n" not in str(caught.value)
    assert not ApiRequestLog.objects.exists()


def test_nothing_is_drawn_where_there_is_no_terminal(site, log, capfd):
    run(log(access_line(ago(hours=1))))
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    ("pattern", "read"),
    [
        ("apache_combined_elastic/apache_logs", 10_000),
        ("cloudtrail_invictus/CloudTrail/*.json", 2_900),
        ("cloudtrail_stratus/docs/detonation-logs/*.json", 310),
        ("k8s_audit_json/audit2rbac-demo.log", 37),
        ("proxies_crowdsec/traefik_base-http-scenario.log", 80),
        ("proxies_crowdsec/envoy-http-*.log", 41),
    ],
)
def test_the_real_logs_are_stored_whole_and_once(db, pattern, read):
    Site.objects.create(slug="acme", name="Acme", retention_days=36_500)
    paths = sorted(sample_logs().glob(pattern))
    assert counts(run(*paths)) == (read, read, 0, 0)
    assert counts(run(*paths)) == (read, 0, read, 0)
    assert counts(run(*paths, "--rebase-time")) == (read, read, 0, 0)
    assert counts(run(*paths, "--rebase-time")) == (read, 0, read, 0)


def test_every_real_log_of_a_known_format_adds_up_and_is_stored_once(db):
    site = Site.objects.create(slug="acme", name="Acme", retention_days=36_500)
    known = []
    for path in sorted(sample_logs().rglob("*")):
        with suppress(files.UnreadableError):  # folders, licences, formats that nobody reads here
            known.append(files.find(path))

    def imported(file: files.LogFile) -> files.Tally:
        intake = files.Intake(site)
        files.import_file(file, intake)
        return intake.tally

    first = [imported(file) for file in known]
    assert ApiRequestLog.objects.count() == sum(tally.stored for tally in first) > 0
    for file, before in zip(known, first, strict=True):
        lines = sum(1 for line in file.path.read_bytes().split(b"\n") if line.strip())
        assert before.read == lines or file.format.name == "cloudtrail", file
        assert before.read == before.stored + before.duplicates + before.rejected.total(), file
        after = imported(file)
        assert (after.read, after.stored, after.duplicates) == (before.read, 0, before.stored + before.duplicates), file
        assert after.rejected == before.rejected, file
