"""Saved views: who saves, sees and changes which, what the log page opens with, and that none is changed in silence."""

from __future__ import annotations

from urllib.parse import parse_qs

import pytest
from django.http import QueryDict
from django.test import Client

from auditlog.models import DefaultView, Membership, Role, SavedView
from auditlog.models.views import NAME_LENGTH, QUERY_LENGTH
from auditlog.saved_views import BUILT_IN, MOST_VIEWS
from auditlog.search.question import Question
from tests.book import make_entry
from tests.test_every_page import HOSTILE

PAGE = "/acme/views/"
LOGS = "/acme/logs/"


@pytest.fixture
def visitor(signed_in, staff):
    return signed_in(staff)


@pytest.fixture
def boss(signed_in, administrator):
    return signed_in(administrator)


def save(browser, query="status=failure&last=7d", name="Failed", page=PAGE, **fields):
    return browser.post(f"{page}save", {"query": query, "name": name, "reach": "me", **fields})


def saved(name="Failed") -> SavedView:
    return SavedView.objects.get(name=name)


def test_a_view_is_saved_as_the_address_says_it_and_opened(visitor, site):
    answer = save(visitor, "q=status%3Afailure+report&last=7d&sort=-duration_ms&columns=username&columns=request_path")
    view = saved()
    assert parse_qs(view.query) == {
        "status": ["failure"],
        "q": ["report"],
        "last": ["7d"],
        "sort": ["-duration_ms"],
        "columns": ["username,request_path"],
    }
    assert answer["Location"] == f"{LOGS}?{view.query}&view={view.pk}"
    page = visitor.get(answer["Location"]).text
    assert "The view Failed is saved." in page
    assert 'aria-current="page"><bdi>Failed</bdi>' in page


def test_a_time_of_the_readers_zone_is_kept_in_utc(visitor, site):
    visitor.cookies["gatebook_zone"] = "Pacific/Kiritimati"
    save(visitor, "from=2026-11-20T14:00&after=xyz&entry=1,x,y&view=9")
    assert saved().query == "from=2026-11-20T00:00:00Z"


def test_a_view_of_nothing_asks_for_the_last_day(visitor, site):
    save(visitor, "status=&view=everything")
    assert saved().query == "last=24h"


def test_the_menu_of_a_page_saves_what_the_page_shows(visitor, site):
    page = visitor.get(f"{LOGS}?status=failure&user=bob,eve").text
    query = page.split('name="query" value="', 1)[1].split('"', 1)[0].replace("&amp;", "&")
    assert query.startswith("status=failure&user=bob,eve&columns=created_at,response_code,")
    save(visitor, query)
    assert 'aria-current="page"><bdi>Failed</bdi>' in visitor.get(f"{LOGS}?{saved().query}").text


def test_a_private_view_is_seen_by_nobody_else(visitor, boss, signed_in, superuser, stranger, site):
    save(visitor)
    view = saved()
    for browser in (boss, signed_in(superuser)):
        assert "Failed" not in browser.get(PAGE).text
        assert "<bdi>Failed</bdi>" not in browser.get(f"{LOGS}?{view.query}&view={view.pk}").text
        for act in ("rename", "delete", "question"):
            assert browser.post(f"{PAGE}{view.pk}/{act}", {"name": "x", "query": "last=1h"}).status_code == 404
    assert signed_in(stranger).get(f"{PAGE}{view.pk}/delete").status_code == 404
    assert saved().query == view.query


def test_an_address_with_somebody_elses_view_asks_the_same_and_says_so(visitor, boss, site):
    make_entry(site, request_path="/broken", response_code=500)
    save(visitor)
    page = boss.get(f"{LOGS}?{saved().query}&view={saved().pk}").text
    assert "/broken" in page
    assert "The view that this address names is somebody else's, or gone." in page


def test_an_administrators_view_for_everyone_is_seen_and_not_changed_by_staff(visitor, boss, site):
    save(boss, reach="everyone")
    view = saved()
    page = visitor.get(PAGE).text
    assert "<bdi>Failed</bdi>" in page
    assert "by <bdi>alice</bdi>" in page
    assert f"{PAGE}{view.pk}/rename" not in page
    for act in ("rename", "delete", "question"):
        assert visitor.post(f"{PAGE}{view.pk}/{act}", {"name": "x", "query": "last=1h"}).status_code == 403
    assert visitor.get(f"{PAGE}{view.pk}/delete").status_code == 403
    assert (saved().name, saved().query) == ("Failed", "status=failure&last=7d")


def test_staff_cannot_save_for_everyone(visitor, site):
    assert "everyone on Acme" not in visitor.get(LOGS).text
    answer = save(visitor, reach="everyone")
    assert answer.status_code == 400
    assert "Only administrators save views for everyone on the site." in answer.text
    assert 'value="Failed"' in answer.text
    assert not SavedView.objects.exists()


def test_another_administrator_changes_a_view_for_everyone(boss, visitor, staff, site):
    save(boss, reach="everyone")
    Membership.objects.filter(user=staff).update(role=Role.ADMINISTRATOR)
    assert visitor.post(f"{PAGE}{saved().pk}/rename", {"name": "Broken"}).status_code == 302
    assert saved("Broken").query == "status=failure&last=7d"


def test_a_view_belongs_to_one_site(boss, signed_in, child, child_staff):
    save(boss, page="/acme-eu/views/", reach="everyone")
    view = saved()
    assert "<bdi>Failed</bdi>" not in boss.get(PAGE).text
    assert boss.post(f"{PAGE}{view.pk}/delete").status_code == 404
    assert "<bdi>Failed</bdi>" in signed_in(child_staff).get("/acme-eu/views/").text
    assert signed_in(child_staff).get(f"/acme-eu/views/{view.pk}/delete").status_code == 403
    Membership.objects.filter(user=child_staff).update(role=Role.ADMINISTRATOR)
    assert signed_in(child_staff).post(f"/acme-eu/views/{view.pk}/delete").status_code == 302
    assert not SavedView.objects.exists()


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"name": ""}, "Give the view a name."),
        ({"name": "x" * (NAME_LENGTH + 1)}, f"at most {NAME_LENGTH} characters"),
        ({"name": "a\x00b"}, "Null characters are not allowed."),
        ({"query": "code=4xx"}, "The question cannot be saved: code: 4xx is not a number or range"),
        ({"query": "stauts=failure"}, "stauts: is not a search key"),
        ({"query": "columns=password"}, "columns: password is not a column"),
        ({"query": "from=yesterday"}, "from: yesterday is not a time"),
        ({"query": ""}, "The question cannot be saved: Names no question."),
        ({"query": f"user={'x' * QUERY_LENGTH}"}, f"expected at most {QUERY_LENGTH:,}"),
        ({"reach": "all"}, "Only administrators save views for everyone on the site."),
    ],
)
def test_what_cannot_be_saved_is_said_and_the_rest_of_the_form_is_kept(boss, site, fields, said):
    answer = boss.post(
        f"{PAGE}save", {"query": "user=eve", "name": "Eve", "reach": "everyone", "opens": "on", **fields}
    )
    assert answer.status_code == 400
    assert said in answer.text
    if "query" not in fields:
        assert "<bdi>user:eve</bdi>" in answer.text
    if "name" not in fields:
        assert 'value="Eve"' in answer.text
    assert 'name="opens" id="id_opens" checked' in answer.text
    assert not SavedView.objects.exists()
    assert not DefaultView.objects.exists()


def test_two_views_of_one_owner_and_site_have_two_names(visitor, boss, site):
    save(visitor)
    answer = save(visitor, "user=eve")
    assert answer.status_code == 400
    assert "You have another view called Failed; choose another name." in answer.text
    save(visitor, "user=eve", name="Eve")
    answer = visitor.post(f"{PAGE}{saved('Eve').pk}/rename", {"name": "Failed"})
    assert answer.status_code == 400
    assert "You have another view called Failed" in answer.text
    assert save(boss, reach="everyone").status_code == 302
    assert "Acme has another view called Failed" in save(boss, reach="everyone").text


def test_there_are_not_more_views_than_a_menu_can_list(visitor, staff, site):
    SavedView.objects.bulk_create(
        SavedView(site=site, owner=staff, name=f"View {number}", query="last=1h") for number in range(MOST_VIEWS)
    )
    assert f"You have {MOST_VIEWS} views already; delete one first." in save(visitor).text


def test_a_page_that_asks_something_else_than_its_view_offers_to_save_the_changes(visitor, site):
    save(visitor)
    view = saved()
    page = visitor.get(f"{LOGS}?{view.query}&user=eve&view={view.pk}").text
    assert '<span class="views__changed">changed</span>' in page
    assert f'action="{PAGE}{view.pk}/question"' in page
    visitor.post(f"{PAGE}{view.pk}/question", {"query": f"{view.query}&user=eve&view={view.pk}"})
    assert saved().query == "status=failure&last=7d&user=eve"
    page = visitor.get(f"{LOGS}?{saved().query}&view={view.pk}").text
    assert "views__changed" not in page


def test_changes_that_make_no_sense_are_refused_and_the_view_stays(visitor, site):
    save(visitor)
    answer = visitor.post(f"{PAGE}{saved().pk}/question", {"query": "code=4xx"})
    assert answer.status_code == 400
    assert "code: 4xx is not a number or range" in answer.text
    assert saved().query == "status=failure&last=7d"


def test_staff_is_not_offered_to_change_everyones_view(visitor, boss, site):
    save(boss, reach="everyone")
    page = visitor.get(f"{LOGS}?user=eve&view={saved().pk}").text
    assert '<span class="views__changed">changed</span>' in page
    assert "/question" not in page
    assert "Save this view" in page


def test_the_links_and_forms_of_a_page_stay_with_its_view(visitor, site):
    make_entry(site, username="eve", response_code=500)
    save(visitor)
    page = visitor.get(f"{LOGS}?{saved().query}&view={saved().pk}").text
    assert f'<a class="chip__drop" href="/acme/logs/?last=7d&amp;view={saved().pk}"' in page
    for form in ("search", "filters"):
        assert f'<input type="hidden" name="view" value="{saved().pk}" form="{form}">' in page


def test_a_view_that_is_not_understood_any_more_shows_its_fault_and_is_not_changed(visitor, staff, site):
    view = SavedView.objects.create(site=site, owner=staff, name="Old", query="colour=red&status=failure")
    page = visitor.get(PAGE)
    assert page.status_code == 200
    assert "<bdi>colour=red&amp;status=failure</bdi>" in page.text
    assert "Cannot be asked: colour: is not a search key" in page.text
    page = visitor.get(f"{LOGS}?{view.query}&view={view.pk}")
    assert page.status_code == 400
    assert "is not a search key" in page.text
    assert "<bdi>Old</bdi>" in page.text
    DefaultView.objects.create(site=site, user=staff, view=view)
    page = visitor.get(LOGS, follow=True)
    assert page.status_code == 400
    assert f"{LOGS}?last=24h&amp;view=everything" in page.text
    assert saved("Old").query == "colour=red&status=failure"


def test_a_view_of_the_child_sites_is_for_those_who_see_them(visitor, boss, child):
    save(boss, "scope=children&last=7d", reach="everyone")
    address = f"{LOGS}?{saved().query}&view={saved().pk}"
    assert 'aria-current="page"><bdi>Failed</bdi>' in boss.get(address).text
    assert visitor.get(address).status_code == 400
    assert "Cannot be asked: scope: children asks for child sites" in visitor.get(PAGE).text
    page = boss.get(PAGE).text
    assert "Cannot be asked" not in page
    assert "last:7d</bdi></code>, this site with its child sites" in page
    assert save(visitor, "scope=children&last=7d", name="Mine").status_code == 400


@pytest.mark.parametrize("view", BUILT_IN.values(), ids=BUILT_IN)
def test_every_site_has_views_from_the_start(visitor, site, view):
    Question.from_query(QueryDict(view.query), [site])
    assert f'href="{LOGS}?{view.address.replace("&", "&amp;")}"' in visitor.get(LOGS).text
    page = visitor.get(f"{LOGS}?{view.address}")
    assert page.status_code == 200
    assert f'aria-current="page"><bdi>{view.name}</bdi>' in page.text
    assert view.name in visitor.get(PAGE).text


def test_the_views_from_the_start_find_what_they_are_called_for(visitor, site):
    make_entry(site, request_path="/failed", response_code=500, interface="sftp", duration_ms=5)
    make_entry(site, request_path="/impersonated", impersonator_username="alice", duration_ms=900)
    make_entry(site, request_path="/with-key", api_key_prefix="ab12", duration_ms=50)
    paths = ("/failed", "/impersonated", "/with-key")

    def shown(key: str) -> set[str]:
        page = visitor.get(f"{LOGS}?{BUILT_IN[key].address}").text
        return {path for path in paths if path in page}

    assert shown("failures") == {"/failed"}
    assert shown("impersonated") == {"/impersonated"}
    assert shown("keys") == {"/with-key"}
    page = visitor.get(f"{LOGS}?{BUILT_IN['slowest'].address}").text
    assert page.index("/impersonated") < page.index("/with-key") < page.index("/failed")


def test_the_log_opens_with_the_readers_own_view_before_the_sites(visitor, boss, site):
    assert visitor.get(LOGS).status_code == 200
    boss.post(f"{PAGE}default", {"reach": "everyone", "view": "slowest"})
    assert visitor.get(LOGS)["Location"] == f"{LOGS}?last=24h&sort=-duration_ms&view=slowest"
    save(visitor, opens="on")
    assert visitor.get(LOGS)["Location"] == f"{LOGS}?status=failure&last=7d&view={saved().pk}"
    assert boss.get(LOGS)["Location"].endswith("view=slowest")
    assert "opens first" in visitor.get(f"{LOGS}?last=24h").text
    visitor.post(f"{PAGE}default", {"view": "everything"})
    assert visitor.get(LOGS)["Location"] == f"{LOGS}?last=24h&view=everything"
    visitor.post(f"{PAGE}default", {"view": ""})
    assert visitor.get(LOGS)["Location"].endswith("view=slowest")
    boss.post(f"{PAGE}default", {"reach": "everyone", "view": ""})
    assert visitor.get(LOGS).status_code == 200


def test_with_a_default_view_nothing_but_an_empty_address_leads_to_it(visitor, site):
    make_entry(site, username="eve")
    save(visitor, opens="on")
    assert visitor.get(f"{LOGS}?last=24h").status_code == 200
    assert visitor.get(f"{LOGS}?status=&user=")["Location"] == f"{LOGS}?last=24h"
    page = visitor.get(f"{LOGS}?user=eve").text
    assert '<a class="chip__drop" href="/acme/logs/?last=24h"' in page
    assert '<input type="hidden" name="view" value="everything" form="search">' in page


def test_a_default_view_that_a_reader_cannot_ask_does_not_shut_them_out(visitor, boss, child):
    save(boss, "last=7d&scope=children", reach="everyone")
    boss.post(f"{PAGE}default", {"reach": "everyone", "view": saved().pk})
    assert "scope=children" in boss.get(LOGS)["Location"]
    assert visitor.get(LOGS, follow=True).status_code == 200


def test_a_default_view_is_one_of_those_that_may_be_chosen(visitor, boss, staff, administrator, site):
    private = SavedView.objects.create(site=site, owner=administrator, name="Mine", query="last=1h")
    assert visitor.post(f"{PAGE}default", {"view": private.pk}).status_code == 400
    assert boss.post(f"{PAGE}default", {"reach": "everyone", "view": private.pk}).status_code == 400
    assert boss.post(f"{PAGE}default", {"view": "nonsense"}).status_code == 400
    assert visitor.post(f"{PAGE}default", {"reach": "everyone", "view": "slowest"}).status_code == 403
    assert not DefaultView.objects.exists()


def test_a_view_is_deleted_once_somebody_is_sure_and_is_no_default_any_more(visitor, site):
    save(visitor, opens="on")
    address = f"{PAGE}{saved().pk}/delete"
    assert "Delete <bdi>Failed</bdi>?" in visitor.get(address).text
    assert SavedView.objects.exists()
    assert "The view Failed is deleted." in visitor.post(address, follow=True).text
    assert not SavedView.objects.exists()
    assert visitor.get(LOGS).status_code == 200


def test_views_outlive_their_maker_where_everyone_sees_them(boss, visitor, administrator, site):
    save(boss, reach="everyone")
    save(boss, name="Private")
    administrator.delete()
    page = visitor.get(PAGE).text
    assert "by somebody who is gone" in page
    assert list(SavedView.objects.values_list("name", flat=True)) == ["Failed"]


def test_a_change_is_in_the_book_with_the_view_and_its_question(visitor, site, own_entries):
    save(visitor, "status=failure&q=report&last=7d")
    made = own_entries()[-1]
    assert (made.request_path, made.request_method, made.username) == (f"{PAGE}save", "POST", "bob")
    assert made.details == {"view": "Failed", "question": "status:failure report last:7d"}
    visitor.post(f"{PAGE}{saved().pk}/delete")
    assert own_entries()[-1].details["view"] == "Failed"
    save(visitor, "code=4xx")
    assert (own_entries()[-1].error_type, own_entries()[-1].response_code) == ("bad-request", 400)


@pytest.mark.parametrize("act", ["save", "default", "1/rename", "1/question", "1/delete"])
def test_nothing_is_changed_without_a_token_or_by_following_a_link(staff, site, act):
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(staff, backend="django.contrib.auth.backends.ModelBackend")
    SavedView.objects.create(pk=1, site=site, owner=staff, name="Mine", query="last=1h")
    assert strict.post(f"{PAGE}{act}", {"name": "x", "query": "last=7d", "reach": "me"}).status_code == 403
    assert strict.get(f"{PAGE}{act}", {"name": "x", "query": "last=7d", "view": "slowest"}).status_code in (200, 302)
    assert list(SavedView.objects.values_list("name", "query")) == [("Mine", "last=1h")]
    assert not DefaultView.objects.exists()


@pytest.mark.parametrize("text", [HOSTILE[name] for name in ("script", "attribute", "override", "template", "formula")])
def test_a_hostile_name_is_shown_as_text(visitor, site, text):
    name = text[:NAME_LENGTH]
    save(visitor, name=name, opens="on")
    view = SavedView.objects.get()
    pages = [PAGE, f"{LOGS}?{view.query}&view={view.pk}", f"{PAGE}{view.pk}/delete"]
    texts = [visitor.get(page).text for page in pages]
    texts += [save(visitor, name=name).text, visitor.post(f"{PAGE}{view.pk}/rename", {"name": "x"}, follow=True).text]
    for page in texts:
        shown = page.replace(f'value="{name}"', "")
        for raw in ("<script>alert", '" onmouseover', "14{"):
            assert raw not in shown
    assert "\u202e" not in texts[1]


def test_the_pages_ask_the_database_a_fixed_number_of_times(visitor, staff, site, django_assert_max_num_queries):
    SavedView.objects.bulk_create(
        SavedView(site=site, owner=owner, made_by=staff, name=f"View {number}", query="user=eve&last=7d")
        for owner in (staff, None)
        for number in range(20)
    )
    with django_assert_max_num_queries(6):  # session, user, site, views, default views; the capture's own
        visitor.get(PAGE)
    make_entry(site)
    with django_assert_max_num_queries(44):  # two for the menu, however many views it lists
        visitor.get(LOGS)
