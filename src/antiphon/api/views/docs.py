"""The API's description of itself: /api/schema for machines, /api/docs for people. Plus what is at no address."""

from __future__ import annotations

import asyncio
from typing import Any

from django.http import HttpResponse
from rest_framework.request import Request

from antiphon.api.assets import URL as ASSETS
from antiphon.api.handler import no_such_route
from antiphon.api.schema import describe
from antiphon.api.views.base import ApiView, json_answer

_CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_SWAGGER = f"{ASSETS}/drf_spectacular_sidecar/swagger-ui-dist"
_PAGE = f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Antiphon API</title>
<link rel="icon" href="{_SWAGGER}/favicon-32x32.png">
<link rel="stylesheet" href="{_SWAGGER}/swagger-ui.css">
<link rel="stylesheet" href="{ASSETS}/api/docs.css">
</head>
<body>
<main id="docs"></main>
<noscript>This page needs JavaScript; <a href="/api/schema">the description itself</a> does not.</noscript>
<script src="{_SWAGGER}/swagger-ui-bundle.js"></script>
<script type="module" src="{ASSETS}/api/docs.js"></script>
</body>
</html>
"""


class SchemaView(ApiView):
    """`/api/schema`. `document` builds the description; wiring of the URLs gives it."""

    needs = None
    document: Any = None

    @describe(summary="This description, as OpenAPI 3.1", responses={200: {"type": "object"}})
    async def get(self, request: Request) -> HttpResponse:
        """The description of every route."""
        return json_answer(await asyncio.to_thread(self.document))


class DocsView(ApiView):
    """`/api/docs`."""

    needs = None
    media_type = "text/html"

    @describe(summary="This description, as a page", responses={(200, "text/html"): str})
    async def get(self, request: Request) -> HttpResponse:
        """A page that renders /api/schema and can try the routes out."""
        return HttpResponse(_PAGE, headers={"Content-Security-Policy": _CSP})


class UnknownView(ApiView):
    """Every other address below /api: 401 without a credential like everywhere else, then 404."""

    needs = None

    async def _nothing(self, request: Request, **kwargs: Any) -> HttpResponse:
        raise no_such_route()

    get = post = put = patch = delete = _nothing
