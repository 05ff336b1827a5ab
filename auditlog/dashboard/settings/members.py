"""A site's members: who has which role."""

from __future__ import annotations

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_safe

from auditlog import access, members
from auditlog.dashboard.settings.refusal import note_faults, note_refusal
from auditlog.dashboard.text import visible
from auditlog.members import NotPossible
from auditlog.models import Membership, Role, Site

ROLES = [(role, role) for role in Role.values]


class MemberForm(forms.Form):
    """A new member: an account and its role."""

    username = forms.CharField(
        max_length=150,
        help_text="Of an account that exists.",
        widget=forms.TextInput(attrs={"autocomplete": "off", "autocapitalize": "none", "spellcheck": "false"}),
        error_messages={"required": "Say whose account."},
    )
    role = forms.ChoiceField(choices=ROLES)


class RoleForm(forms.Form):
    """Another role of a member."""

    role = forms.ChoiceField(choices=ROLES)


@require_safe
@login_required
def members_page(request: HttpRequest, site_slug: str) -> HttpResponse:
    """List the site's members, and offer to add one."""
    site = access.administered_site_or_404(request, site_slug)
    return _page(request, site)


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def add_member(request: HttpRequest, site_slug: str) -> HttpResponse:
    """Give an account a role on the site."""
    site = access.administered_site_or_404(request, site_slug)
    if request.method != "POST":
        return redirect("settings_members", site.slug)
    form = MemberForm(request.POST)
    if form.is_valid():
        username, role = form.cleaned_data["username"], form.cleaned_data["role"]
        try:
            members.add(request.user, site, username, role)
        except NotPossible as reason:
            form.add_error("username", visible(str(reason)))
        else:
            messages.success(request, f"{visible(username)} is {role} of {site.name} from now on.")
            return redirect("settings_members", site.slug)
    note_faults(request, form)
    return _page(request, site, form, status=400)


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def change_role(request: HttpRequest, site_slug: str, member_id: int) -> HttpResponse:
    """Give a member another role."""
    site = access.administered_site_or_404(request, site_slug)
    member = _member_or_404(site, member_id)
    if request.method != "POST":
        return redirect("settings_members", site.slug)
    form = RoleForm(request.POST)
    if not form.is_valid():
        note_faults(request, form)
        sentence = f"{visible(request.POST.get('role', ''))} is no role, expected {' or '.join(Role.values)}."
        return _page(request, site, refusal=sentence, status=400)
    role = form.cleaned_data["role"]
    try:
        members.change_role(request.user, member, role)
    except NotPossible as reason:
        return _refused(request, site, reason)
    messages.success(request, f"{visible(member.user.get_username())} is {role} of {site.name} from now on.")
    return _onward(request, site)


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def remove_member(request: HttpRequest, site_slug: str, member_id: int) -> HttpResponse:
    """Ask whether to take a member's role away; take it away."""
    site = access.administered_site_or_404(request, site_slug)
    member = _member_or_404(site, member_id)
    if request.method != "POST":
        is_own = member.user_id == request.user.pk
        return render(request, "settings/remove_member.html", {"site": site, "member": member, "is_own": is_own})
    try:
        members.remove(request.user, member)
    except NotPossible as reason:
        return _refused(request, site, reason)
    messages.success(request, f"{visible(member.user.get_username())} has no role on {site.name} any more.")
    return _onward(request, site)


def _member_or_404(site: Site, member_id: int) -> Membership:
    member = Membership.objects.filter(site=site, pk=member_id).select_related("user", "site__parent").first()
    if member is None:
        raise Http404(f"{site.name} has no such member.")
    return member


def _refused(request: HttpRequest, site: Site, reason: NotPossible) -> HttpResponse:
    sentence = visible(str(reason))
    note_refusal(request, sentence, "not-authorized/role-not-changed")
    return _page(request, site, refusal=sentence, status=403)


def _onward(request: HttpRequest, site: Site) -> HttpResponse:
    """Lead back to the members; to the sites who has just lost their own way there."""
    if access.administers(request.user, site):
        return redirect("settings_members", site.slug)
    return redirect("sites")


def _page(
    request: HttpRequest, site: Site, form: MemberForm | None = None, *, refusal: str = "", status: int = 200
) -> HttpResponse:
    context = {
        "site": site,
        "form": form or MemberForm(initial={"role": Role.STAFF}),
        "refusal": refusal,
        "roles": Role.values,
        "members": [(member, members.may_change(request.user, member)) for member in members.members_of(site)],
        "from_parent": members.administrators_from_parent(site),
    }
    return render(request, "settings/members.html", context, status=status)
