"""Django's entry to the store. Named in INSTALLED_APPS by `store.settings`."""

from __future__ import annotations

from django.apps import AppConfig


class StoreConfig(AppConfig):
    """The one app of the project."""

    name = "antiphon.store"
    label = "antiphon"
    verbose_name = "Antiphon"
    default_auto_field = "django.db.models.BigAutoField"
