"""The shapes of the dashboard's panels in the API's description."""

from __future__ import annotations

from rest_framework import serializers


class PanelCell(serializers.Serializer):
    """A figure of a panel. `value` is null where nothing was measured yet; `since` lets the reader's clock count."""

    label = serializers.CharField()
    value = serializers.CharField(allow_null=True)
    unit = serializers.CharField(allow_blank=True)
    share = serializers.FloatField(allow_null=True, help_text="0 to 1, for a bar.")
    since = serializers.DateTimeField(allow_null=True)
    tone = serializers.CharField()


class PanelRow(serializers.Serializer):
    """A line of a panel."""

    text = serializers.CharField()
    at = serializers.DateTimeField(allow_null=True)
    kind = serializers.CharField(allow_blank=True, help_text="What the icon or the word in front is.")
    tone = serializers.CharField()
    who = serializers.CharField(allow_blank=True)
    detail = serializers.CharField(allow_blank=True)
    badge = serializers.CharField(allow_blank=True)
    level = serializers.IntegerField(allow_null=True, help_text="0 to 10, for a meter.")
    since = serializers.DateTimeField(allow_null=True)


class PanelSeries(serializers.Serializer):
    """One line of a chart."""

    label = serializers.CharField()
    values = serializers.ListField(child=serializers.IntegerField())


class PanelChart(serializers.Serializer):
    """Counts by hour, the oldest first."""

    series = PanelSeries(many=True)
    ends = serializers.DateTimeField()
    summary = serializers.CharField(help_text="The chart in words.")


class PanelFilter(serializers.Serializer):
    """A filter one may choose."""

    name = serializers.CharField(allow_blank=True)
    label = serializers.CharField()


class PanelItem(serializers.Serializer):
    """A panel of the dashboard."""

    name = serializers.CharField()
    title = serializers.CharField()
    tone = serializers.ChoiceField(choices=["plain", "good", "busy", "warning", "error", "off"])
    status = serializers.CharField(allow_blank=True)
    note = serializers.CharField(allow_blank=True)
    since = serializers.DateTimeField(allow_null=True)
    stats = PanelCell(many=True)
    facts = PanelCell(many=True)
    rows = PanelRow(many=True)
    chart = PanelChart(allow_null=True)
    empty = serializers.CharField(allow_blank=True, help_text="What to say where there are no rows.")
    filters = PanelFilter(many=True)
    filter = serializers.CharField(allow_blank=True)
    q = serializers.CharField(allow_blank=True)
    page = serializers.IntegerField()
    pages = serializers.IntegerField()
    total = serializers.IntegerField(help_text="Rows on all pages.")


class PanelServer(serializers.Serializer):
    """A server there is."""

    id = serializers.CharField(help_text="Its id on the platform.")
    name = serializers.CharField()


class PanelList(serializers.Serializer):
    """The panels this reader may see, and the servers to choose from."""

    items = PanelItem(many=True)
    next = serializers.CharField(allow_null=True, help_text="Always null: there are five at most.")
    servers = PanelServer(many=True)
    connected = serializers.BooleanField(help_text="Whether Discord is connected.")
