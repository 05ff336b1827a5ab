"""Every address of the server. A site's slug comes first, so our own first segments are reserved (models/sites.py)."""

from django.contrib import admin
from django.contrib.auth.views import LogoutView
from django.urls import include, path, re_path
from django.views.generic import RedirectView

from auditlog.api.door import api_request_logs, not_found, openapi
from auditlog.dashboard.around import around_page
from auditlog.dashboard.chart_part import chart_part
from auditlog.dashboard.columns import arrange_columns
from auditlog.dashboard.entry import entry_json, entry_page
from auditlog.dashboard.export import export_page
from auditlog.dashboard.facets import facets_page
from auditlog.dashboard.health import healthz, readyz
from auditlog.dashboard.live import newer_rows
from auditlog.dashboard.logs import log_page
from auditlog.dashboard.overview import more_page, overview_page
from auditlog.dashboard.saved_views import (
    change_view,
    choose_default,
    delete_view,
    rename_view,
    save_view,
    views_page,
)
from auditlog.dashboard.settings.filescom import (
    connect_filescom,
    disconnect_filescom,
    filescom_page,
    sync_filescom_now,
)
from auditlog.dashboard.settings.keys import keys_page, make_key, revoke_key
from auditlog.dashboard.settings.members import add_member, change_role, members_page, remove_member
from auditlog.dashboard.settings.quarantine import discard_lines, quarantine_page, send_again
from auditlog.dashboard.settings.retention import change_retention, retention_page
from auditlog.dashboard.sign_in import SignIn
from auditlog.dashboard.sites import site_page, sites_page
from auditlog.dashboard.suggest import suggestions
from auditlog.export import csv, jsonl
from auditlog.intake.otlp import logs, traces

urlpatterns = [
    path("", sites_page, name="sites"),
    path("healthz", healthz, name="healthz"),
    path("readyz", readyz, name="readyz"),
    path("accounts/sign-in/", SignIn.as_view(), name="login"),
    path("accounts/sign-out/", LogoutView.as_view(), name="logout"),
    path("accounts/columns/", arrange_columns, name="arrange_columns"),
    path("admin/login/", RedirectView.as_view(pattern_name="login", query_string=True)),  # one door
    path("admin/", admin.site.urls),
    # Some clients double the first slash, some name a format.
    re_path(r"^(?:/)?api/rest/v1/api_request_logs(?:\.json)?$", api_request_logs, name="api_request_logs"),
    path("api/rest/v1/openapi.json", openapi, name="openapi"),
    re_path(r"^(?:/)?api/", not_found, name="not_found"),
    path("v1/logs", logs, name="otlp_logs"),
    path("v1/traces", traces, name="otlp_traces"),
    path("hijack/", include("hijack.urls")),
    path("<slug:site_slug>/", site_page, name="site"),
    path("<slug:site_slug>/overview/", overview_page, name="overview"),
    path("<slug:site_slug>/overview/more", more_page, name="overview_more"),
    path("<slug:site_slug>/logs/", log_page, name="logs"),
    path("<slug:site_slug>/logs/chart", chart_part, name="chart"),
    path("<slug:site_slug>/logs/facets", facets_page, name="facets"),
    path("<slug:site_slug>/logs/suggest", suggestions, name="suggestions"),
    path("<slug:site_slug>/logs/newer", newer_rows, name="newer"),
    path("<slug:site_slug>/logs/entry", entry_page, name="entry"),
    path("<slug:site_slug>/logs/export", export_page, name="export"),
    path("<slug:site_slug>/logs/entry.json", entry_json, name="entry_json"),
    path("<slug:site_slug>/logs/entry/around", around_page, name="entry_around"),
    path("<slug:site_slug>/logs.csv", csv.download, name="logs_csv"),
    path("<slug:site_slug>/logs.jsonl", jsonl.download, name="logs_jsonl"),
    path("<slug:site_slug>/views/", views_page, name="views"),
    path("<slug:site_slug>/views/save", save_view, name="save_view"),
    path("<slug:site_slug>/views/default", choose_default, name="choose_default_view"),
    path("<slug:site_slug>/views/<int:view_id>/question", change_view, name="change_view"),
    path("<slug:site_slug>/views/<int:view_id>/rename", rename_view, name="rename_view"),
    path("<slug:site_slug>/views/<int:view_id>/delete", delete_view, name="delete_view"),
    path("<slug:site_slug>/settings/", RedirectView.as_view(pattern_name="settings_keys"), name="settings"),
    path("<slug:site_slug>/settings/keys/", keys_page, name="settings_keys"),
    path("<slug:site_slug>/settings/keys/make", make_key, name="make_key"),
    path("<slug:site_slug>/settings/keys/<int:key_id>/revoke", revoke_key, name="revoke_key"),
    path("<slug:site_slug>/settings/members/", members_page, name="settings_members"),
    path("<slug:site_slug>/settings/members/add", add_member, name="add_member"),
    path("<slug:site_slug>/settings/members/<int:member_id>/role", change_role, name="change_role"),
    path("<slug:site_slug>/settings/members/<int:member_id>/remove", remove_member, name="remove_member"),
    path("<slug:site_slug>/settings/retention/", retention_page, name="settings_retention"),
    path("<slug:site_slug>/settings/retention/change", change_retention, name="change_retention"),
    path("<slug:site_slug>/settings/quarantine/", quarantine_page, name="settings_quarantine"),
    path("<slug:site_slug>/settings/quarantine/again", send_again, name="send_quarantined_again"),
    path("<slug:site_slug>/settings/quarantine/discard", discard_lines, name="discard_quarantined"),
    path("<slug:site_slug>/settings/filescom/", filescom_page, name="settings_filescom"),
    path("<slug:site_slug>/settings/filescom/connect", connect_filescom, name="connect_filescom"),
    path("<slug:site_slug>/settings/filescom/disconnect", disconnect_filescom, name="disconnect_filescom"),
    path("<slug:site_slug>/settings/filescom/sync", sync_filescom_now, name="sync_filescom_now"),
]

handler400 = "auditlog.dashboard.failures.bad_request"
handler500 = "auditlog.dashboard.failures.server_error"
