"""The settings page of a site's members: who gives roles to whom, and who never loses theirs."""

from __future__ import annotations

import threading

import pytest
from django.contrib.auth.models import User
from django.db import connection

from auditlog import members
from auditlog.members import NotPossible
from auditlog.models import Membership, Role, Site

PAGE = "/acme/settings/members/"


@pytest.fixture
def visitor(signed_in, administrator):
    return signed_in(administrator)


def member(user: User, site: Site) -> Membership:
    return Membership.objects.get(user=user, site=site)


def roles(site: Site) -> dict[str, str]:
    return dict(Membership.objects.filter(site=site).values_list("user__username", "role"))


def test_members_are_listed_with_their_roles(visitor, staff, child_staff, site):
    page = visitor.get(PAGE).text
    assert page.index("alice") < page.index("bob")
    assert "(you)" in page
    assert "carol" not in page
    assert "child sites" in page


def test_a_child_site_names_the_administrators_it_has_from_its_parent(visitor, staff, child_staff, site):
    page = visitor.get("/acme-eu/settings/members/").text
    assert "The administrators of Acme are also those of Acme Europe: <bdi>alice</bdi>." in page
    assert "bob" not in page


def test_an_account_is_added_and_sees_the_site_at_once(visitor, signed_in, django_user_model, site):
    dora = django_user_model.objects.create_user("dora")
    assert signed_in(dora).get("/acme/logs/").status_code == 404
    page = visitor.post(f"{PAGE}add", {"username": "dora", "role": "staff"}, follow=True).text
    assert "dora is staff of Acme from now on." in page
    assert signed_in(dora).get("/acme/logs/").status_code == 200
    assert signed_in(dora).get(PAGE).status_code == 404


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"username": "nobody"}, "There is no account “nobody”. Superusers make accounts, at /admin/."),
        ({"username": "Bob"}, "There is no account “Bob”"),
        ({"username": "bob"}, "bob is a member already"),
        ({"username": ""}, "Say whose account."),
        ({"username": "root"}, "root is a superuser, who sees every site already."),
        ({"username": "carol", "role": "owner"}, "owner is not one of the available choices"),
        ({"username": "x\u202ey"}, "There is no account “x⟨U+202E⟩y”"),
    ],
)
def test_what_cannot_be_added_is_answered_beside_its_field(visitor, staff, child_staff, superuser, site, fields, said):
    before = roles(site)
    answer = visitor.post(f"{PAGE}add", {"role": "administrator", **fields})
    assert answer.status_code == 400
    assert said in answer.text
    assert roles(site) == before
    assert visitor.get(f"{PAGE}add")["Location"] == PAGE


def test_a_role_is_changed_and_counts_at_once(visitor, signed_in, staff, site):
    address = f"{PAGE}{member(staff, site).pk}/role"
    assert "bob is administrator of Acme" in visitor.post(address, {"role": "administrator"}, follow=True).text
    assert signed_in(staff).get(PAGE).status_code == 200
    visitor.post(address, {"role": "staff"})
    assert signed_in(staff).get(PAGE).status_code == 404
    answer = visitor.post(address, {"role": "owner"})
    assert answer.status_code == 400
    assert "owner is no role, expected staff or administrator." in answer.text


def test_a_member_is_removed_once_somebody_is_sure(visitor, signed_in, staff, site):
    address = f"{PAGE}{member(staff, site).pk}/remove"
    assert "Remove <bdi>bob</bdi>?" in visitor.get(address).text
    assert signed_in(staff).get("/acme/logs/").status_code == 200
    assert "bob has no role on Acme any more." in visitor.post(address, follow=True).text
    assert signed_in(staff).get("/acme/logs/").status_code == 404
    assert User.objects.filter(username="bob").exists()


@pytest.mark.parametrize(("act", "fields"), [("remove", {}), ("role", {"role": "staff"})])
def test_the_last_administrator_stays_and_the_reason_is_said(visitor, administrator, staff, site, act, fields):
    answer = visitor.post(f"{PAGE}{member(administrator, site).pk}/{act}", fields)
    assert answer.status_code == 403
    assert "alice is the last administrator of Acme: nobody would be left to look after it." in answer.text
    assert roles(site) == {"alice": "administrator", "bob": "staff"}


@pytest.mark.parametrize(("act", "fields"), [("remove", {}), ("role", {"role": "staff"})])
def test_a_superuser_can_take_the_last_administrators_role(signed_in, superuser, administrator, site, act, fields):
    signed_in(superuser).post(f"{PAGE}{member(administrator, site).pk}/{act}", fields)
    assert "administrator" not in roles(site).values()


def test_an_administrator_whose_account_is_switched_off_looks_after_nothing(visitor, administrator, staff, site):
    Membership.objects.filter(user=staff).update(role=Role.ADMINISTRATOR)
    User.objects.filter(pk=staff.pk).update(is_active=False)
    assert "switched off" in visitor.get(PAGE).text
    assert visitor.post(f"{PAGE}{member(administrator, site).pk}/remove").status_code == 403


def test_one_of_two_administrators_can_leave_and_is_led_away(visitor, administrator, staff, site):
    Membership.objects.filter(user=staff).update(role=Role.ADMINISTRATOR)
    address = f"{PAGE}{member(administrator, site).pk}/remove"
    assert "Remove yourself?" in visitor.get(address).text
    answer = visitor.post(address, follow=True)
    assert answer.redirect_chain == [("/", 302)]
    assert "alice has no role on Acme any more." in answer.text
    assert visitor.get(PAGE).status_code == 404


def test_a_childs_last_own_administrator_can_go_while_the_parent_has_one(visitor, child_staff, child):
    Membership.objects.filter(user=child_staff).update(role=Role.ADMINISTRATOR)
    visitor.post(f"/acme-eu/settings/members/{member(child_staff, child).pk}/remove")
    assert roles(child) == {}


def test_a_childs_administrator_stays_where_the_parent_has_none(signed_in, administrator, child_staff, child):
    Membership.objects.filter(user=administrator).update(role=Role.STAFF)
    Membership.objects.filter(user=child_staff).update(role=Role.ADMINISTRATOR)
    address = f"/acme-eu/settings/members/{member(child_staff, child).pk}/remove"
    assert signed_in(child_staff).post(address).status_code == 403


@pytest.mark.parametrize(("act", "fields"), [("remove", {}), ("role", {"role": "staff"})])
def test_superusers_roles_are_for_superusers(visitor, signed_in, superuser, site, act, fields):
    role = Membership.objects.create(site=site, user=superuser, role=Role.ADMINISTRATOR)
    address = f"{PAGE}{role.pk}/{act}"
    assert address not in visitor.get(PAGE).text
    answer = visitor.post(address, fields)
    assert answer.status_code == 403
    assert "root is a superuser: only superusers change that." in answer.text
    assert roles(site)["root"] == "administrator"
    assert signed_in(superuser).post(address, fields).status_code == 302
    assert roles(site).get("root") != "administrator"


def test_members_of_another_site_are_out_of_reach(visitor, stranger, other_site):
    theirs = member(stranger, other_site)
    for number in (theirs.pk, 10**30):
        assert visitor.post(f"{PAGE}{number}/remove").status_code == 404
        assert visitor.post(f"{PAGE}{number}/role", {"role": "staff"}).status_code == 404
    assert roles(other_site) == {"mallory": "administrator"}


@pytest.mark.parametrize("who", ["staff", "stranger", "child_staff"])
def test_others_change_no_roles(request, signed_in, site, administrator, who):
    visitor = signed_in(request.getfixturevalue(who))
    before = roles(site)
    number = member(administrator, site).pk
    assert visitor.post(f"{PAGE}add", {"username": "mallory", "role": "administrator"}).status_code == 404
    assert visitor.post(f"{PAGE}{number}/role", {"role": "staff"}).status_code == 404
    assert visitor.post(f"{PAGE}{number}/remove").status_code == 404
    assert roles(site) == before


@pytest.mark.django_db(transaction=True)
def test_two_administrators_cannot_remove_each_other_at_the_same_time(site, administrator, staff):
    Membership.objects.filter(user=staff).update(role=Role.ADMINISTRATOR)
    said: list[str] = []
    together = threading.Barrier(2)

    def remove(by: User, other: Membership) -> None:
        try:
            together.wait(10)
            members.remove(by, other)
        except NotPossible as reason:
            said.append(str(reason))
        finally:
            connection.close()

    pairs = [(administrator, member(staff, site)), (staff, member(administrator, site))]
    threads = [threading.Thread(target=remove, args=pair) for pair in pairs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(said) == 1
    assert list(roles(site).values()) == ["administrator"]


def test_a_hostile_name_is_shown_as_text(visitor, django_user_model, site):
    Membership.objects.create(
        site=site, user=django_user_model.objects.create_user("<script>alert(1)</script>\u202e"), role=Role.STAFF
    )
    page = visitor.get(PAGE).text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;⟨U+202E⟩" in page
    assert "\u202e" not in page


def test_the_page_asks_the_database_a_fixed_number_of_times(visitor, staff, site, django_assert_max_num_queries):
    with django_assert_max_num_queries(5):  # session, user, site, members; the capture's own
        visitor.get(PAGE)


def test_the_book_names_what_was_done(visitor, administrator, staff, site, own_entries):
    visitor.post(f"{PAGE}{member(staff, site).pk}/role", {"role": "administrator"})
    visitor.post(f"{PAGE}{member(staff, site).pk}/role", {"role": "staff"})
    visitor.post(f"{PAGE}{member(administrator, site).pk}/remove")
    done, _, refused = own_entries()[-3:]
    assert (done.api_name, done.username, done.response_code) == ("change_role", "alice", 302)
    assert (refused.api_name, refused.error_type) == ("remove_member", "not-authorized/role-not-changed")
    assert refused.error_message.startswith("alice is the last administrator of Acme")
