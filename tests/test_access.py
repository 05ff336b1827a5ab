"""The roles: who sees which sites, and where one is administrator."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import AnonymousUser
from django.core.exceptions import ValidationError
from django.core.management import CommandError, call_command

from auditlog import access
from auditlog.models import Membership, Role, Site
from auditlog.models.sites import RESERVED_SLUGS


def slugs(sites) -> list[str]:
    return sorted(site.slug for site in sites)


def test_each_role_sees_its_sites(administrator, staff, child_staff, stranger, superuser, child):
    assert slugs(access.sites_of(administrator)) == ["acme", "acme-eu"]
    assert slugs(access.sites_of(staff)) == ["acme"]
    assert slugs(access.sites_of(child_staff)) == ["acme-eu"]
    assert slugs(access.sites_of(stranger)) == ["globex"]
    assert slugs(access.sites_of(superuser)) == ["acme", "acme-eu", "globex"]
    assert slugs(access.sites_of(AnonymousUser())) == []


def test_each_role_administers_its_sites(administrator, staff, superuser, child):
    assert slugs(access.administered_sites_of(administrator)) == ["acme", "acme-eu"]
    assert slugs(access.administered_sites_of(staff)) == []
    assert slugs(access.administered_sites_of(superuser)) == ["acme", "acme-eu"]


def test_staff_of_the_parent_and_administrator_of_the_child_is_both(staff, child):
    Membership.objects.create(site=child, user=staff, role=Role.ADMINISTRATOR)
    assert slugs(access.sites_of(staff)) == ["acme", "acme-eu"]
    assert slugs(access.administered_sites_of(staff)) == ["acme-eu"]


def test_who_is_no_longer_active_sees_nothing(superuser, site):
    superuser.is_active = False
    assert slugs(access.sites_of(superuser)) == []


def test_one_has_one_role_on_a_site(administrator, site):
    with pytest.raises(ValidationError):
        Membership(site=site, user=administrator, role=Role.STAFF).full_clean()


def test_child_sites_go_one_level_deep(site, child):
    with pytest.raises(ValidationError, match="one level deep"):
        Site.objects.create(slug="grandchild", name="Grandchild", parent=child)
    site.parent = Site.objects.create(slug="other", name="Other")
    with pytest.raises(ValidationError, match="one level deep"):
        site.save()
    child.parent = child
    with pytest.raises(ValidationError, match="its own parent"):
        child.save()


@pytest.mark.parametrize(
    "slug", ["Acme", "a_b", "-a", "a--b", "", "a/b", "ä", "a" * 51, *sorted(RESERVED_SLUGS)[:3], "api", "admin"]
)
def test_a_slug_that_would_not_be_an_address_is_refused(db, slug):
    with pytest.raises(ValidationError):
        Site.objects.create(slug=slug, name="x")


def test_every_first_segment_of_our_own_is_reserved():
    from config.urls import urlpatterns

    addresses = [str(pattern.pattern).removeprefix("^(?:/)?") for pattern in urlpatterns]
    ours = {address.split("/")[0] for address in addresses} - {"", "<slug:site_slug>"}
    assert ours <= RESERVED_SLUGS


def test_create_site_makes_a_site_and_says_where_it_is(db, capsys):
    call_command("create_site", "acme", "--name", "Acme")
    call_command("create_site", "acme-eu", "--name", "Acme Europe", "--parent", "acme", "--retention-days", "30")
    assert "/acme-eu/logs/" in capsys.readouterr().out
    made = Site.objects.get(slug="acme-eu")
    assert (made.name, made.parent.slug, made.retention_days) == ("Acme Europe", "acme", 30)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["acme", "--name", "Again"], "slug: Site with this Slug already exists"),
        (["api", "--name", "API"], "reserved"),
        (["new-one", "--name", "x", "--parent", "nowhere"], "--parent: there is no site 'nowhere'"),
        (["new-one", "--name", "x", "--retention-days", "0"], "retention_days: Ensure this value is greater"),
    ],
)
def test_create_site_says_what_is_wrong(site, arguments, sentence):
    with pytest.raises(CommandError, match=sentence):
        call_command("create_site", *arguments)


def test_the_root_site_is_the_first_without_a_parent_unless_named(site, child, other_site, settings):
    assert Site.objects.root() == site
    settings.ROOT_SITE = "globex"
    assert Site.objects.root() == other_site
    settings.ROOT_SITE = "typo"
    assert Site.objects.root() == site


@pytest.mark.parametrize(("who", "expected"), [("administrator", True), ("child_staff", False), ("superuser", False)])
def test_a_user_of_the_parent_site_is_told_from_the_childs_own(request, child, who, expected):
    assert access.is_from_parent(request.getfixturevalue(who), child.slug) is expected


def test_no_user_of_a_parent_site_is_from_its_parent(administrator, site):
    assert access.is_from_parent(administrator, site.slug) is False
