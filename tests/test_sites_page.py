"""The list of one's sites."""

from __future__ import annotations

from tests.book import make_entry


def test_each_sees_their_own_sites(signed_in, administrator, child_staff, stranger, child):
    assert ["Acme" in (page := signed_in(administrator).get("/").text), "Acme Europe" in page, "Globex" in page] == [
        True,
        True,
        False,
    ]
    page = signed_in(child_staff).get("/").text
    assert "/acme-eu/logs/" in page
    assert "/acme/logs/" not in page


def test_someone_without_a_site_is_told_what_to_do(signed_in, django_user_model, site):
    page = signed_in(django_user_model.objects.create_user("new")).get("/").text
    assert "/acme/" not in page
    assert "administrator" in page.lower()


def test_a_site_leads_to_its_log(signed_in, staff, site):
    make_entry(site)
    assert signed_in(staff).get("/acme/")["Location"] == "/acme/logs/"


def test_the_administration_is_for_superusers(signed_in, superuser, administrator, site):
    assert signed_in(superuser).get("/admin/gatebook/site/").status_code == 200
    assert signed_in(superuser).get(f"/admin/gatebook/site/{site.pk}/change/").status_code == 200
    assert signed_in(superuser).post(f"/admin/gatebook/site/{site.pk}/delete/", {"post": "yes"}).status_code == 403
    assert signed_in(administrator).get("/admin/gatebook/site/").status_code == 302
