"""An API in every style."""

from __future__ import annotations

import logging
from types import SimpleNamespace
from typing import Any

from asgiref.sync import sync_to_async
from django.contrib.auth import alogin, authenticate, login, logout
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import include, path
from ninja import NinjaAPI, Router
from ninja.errors import HttpError
from ninja.security import APIKeyHeader, APIKeyQuery, HttpBasicAuth, HttpBearer, django_auth
from rest_framework import serializers, viewsets
from rest_framework.authentication import BaseAuthentication, BasicAuthentication, TokenAuthentication
from rest_framework.decorators import action, api_view, authentication_classes
from rest_framework.exceptions import Throttled
from rest_framework.permissions import IsAuthenticated
from rest_framework.response import Response
from rest_framework.routers import DefaultRouter
from rest_framework.views import APIView

import gatebook
from tests.frameworks.models import Account, Key

logger = logging.getLogger(__name__)


# --- Django's own ---


def sign_in(request: HttpRequest) -> HttpResponse:
    account = authenticate(request, email=request.POST["email"], password=request.POST["password"])
    if account is None:
        return HttpResponse(status=403)
    login(request, account)
    return HttpResponse()


def sign_out(request: HttpRequest) -> HttpResponse:
    logout(request)
    return HttpResponse()


def untouched(request: HttpRequest) -> HttpResponse:
    """Do not look at the user."""
    return HttpResponse()


async def async_untouched(request: HttpRequest) -> HttpResponse:
    return HttpResponse()


async def async_asked(request: Any) -> HttpResponse:
    return HttpResponse(str(await request.auser()))


async def async_sign_in(request: Any) -> HttpResponse:
    await request.auser()  # nobody, and Django remembers it
    account = await Account.objects.aget(email=request.GET["email"])
    await alogin(request, account, "django.contrib.auth.backends.ModelBackend")
    return HttpResponse()


async def async_logs(request: HttpRequest) -> JsonResponse:
    return JsonResponse([gatebook.request_id(), await sync_to_async(gatebook.request_id)()], safe=False)


def logs(request: HttpRequest) -> JsonResponse:
    return JsonResponse([gatebook.request_id()], safe=False)


# --- Django REST framework ---


class TokenOfAnotherService(BaseAuthentication):
    """As JSON Web Token authentication does: a user that is in no table, and the token's contents."""

    def authenticate(self, request: Any) -> Any:
        if not request.headers.get("Authorization", "").startswith("Bearer eyJ"):
            return None
        return SimpleNamespace(is_authenticated=True, is_active=True, pk="svc-7", username="backup"), {"exp": 1}


class FileSerializer(serializers.Serializer):
    name = serializers.CharField()
    size = serializers.IntegerField(max_value=10, required=False)


class FileViewSet(viewsets.ViewSet):
    authentication_classes = (TokenAuthentication, BasicAuthentication, TokenOfAnotherService)
    permission_classes = (IsAuthenticated,)

    def list(self, request: Any) -> Response:
        return Response([])

    def create(self, request: Any) -> Response:
        FileSerializer(data=request.data).is_valid(raise_exception=True)
        return Response(status=201)

    def retrieve(self, request: Any, pk: str) -> Response:
        raise Throttled(wait=9)

    @action(detail=False)
    def recently_changed(self, request: Any) -> Response:
        raise ZeroDivisionError("of the view")


class Plain(APIView):
    def get(self, request: Any) -> Response:
        return Response("hello")


@api_view(["GET"])
@authentication_classes([TokenAuthentication])
def function(request: Any) -> Response:
    return Response("hello")


router = DefaultRouter()
router.register("files", FileViewSet, basename="file")


# --- django-ninja ---


class UserByToken(HttpBearer):
    def authenticate(self, request: HttpRequest, token: str) -> Any:
        return Account.objects.filter(email=token).first()


class KeyInHeader(APIKeyHeader):
    param_name = "X-API-Key"

    def authenticate(self, request: HttpRequest, key: str | None) -> Any:
        return Key.objects.filter(secret=key).first()


class KeyInQuery(APIKeyQuery):
    param_name = "api_key"

    def authenticate(self, request: HttpRequest, key: str | None) -> Any:
        return Key.objects.filter(secret=key).first()


class TextOnly(HttpBasicAuth):
    def authenticate(self, request: HttpRequest, username: str, password: str) -> Any:
        return username


ninja = NinjaAPI()
folders = Router()


@ninja.get("/files", auth=UserByToken())
def list_files(request: HttpRequest) -> str:
    return "hello"


@ninja.post("/files", auth=[KeyInHeader(), KeyInQuery()])
def create_file(request: HttpRequest, size: int) -> str:
    return "hello"


@folders.get("/{name}", url_name="one-folder", auth=TextOnly())
def folder(request: HttpRequest, name: str) -> str:
    raise HttpError(409, f"{name} is locked")


@folders.delete("/{name}", auth=django_auth)
async def remove_folder(request: HttpRequest, name: str) -> str:
    return name


ninja.add_router("/folders", folders)

urlpatterns = [
    path("sign-in/", sign_in),
    path("sign-out/", sign_out),
    path("untouched/", untouched),
    path("async/untouched/", async_untouched),
    path("async/asked/", async_asked),
    path("async/sign-in/", async_sign_in),
    path("logs/", logs),
    path("async/logs/", async_logs),
    path("drf/", include((router.urls, "drf"))),
    path("drf-plain/", Plain.as_view()),
    path("drf-function/", function),
    path("ninja/", ninja.urls),
    path("hijack/", include("hijack.urls")),
    path("loginas/", include("loginas.urls")),
]
