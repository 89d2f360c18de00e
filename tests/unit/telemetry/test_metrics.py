"""The figures: rendered for Prometheus, documented one by one, each counted somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from prometheus_client import Counter
from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.parser import text_string_to_metric_families

from antiphon.telemetry import metrics

ROOT = Path(__file__).parents[3]
DECLARED = {name: one for name, one in vars(metrics).items() if isinstance(one, MetricWrapperBase)}


def exported(metric: MetricWrapperBase) -> str:
    """The name as a scraper sees it."""
    name = metric.describe()[0].name
    return f"{name}_total" if isinstance(metric, Counter) else name


def test_the_exposition_can_be_read_by_prometheus() -> None:
    before = metrics.REGISTRY.get_sample_value("antiphon_tasks_total", {"state": "dead"}) or 0
    metrics.TASKS.labels(state="dead").inc()
    body, content_type = metrics.render()
    assert content_type.startswith("text/plain")
    families = {family.name: family for family in text_string_to_metric_families(body.decode())}
    samples = {(s.name, s.labels.get("state")): s.value for s in families["antiphon_tasks"].samples}
    assert samples["antiphon_tasks_total", "dead"] == before + 1
    assert "process_resident_memory_bytes" in families


def test_every_metric_is_documented_with_its_labels_and_no_other() -> None:
    text = (ROOT / "docs" / "reference" / "metrics.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `(antiphon_[a-z_]+)` \| ([^|]*) \|", text, re.MULTILINE))
    assert sorted(rows) == sorted(exported(metric) for metric in DECLARED.values())
    for metric in DECLARED.values():
        labels = re.findall(r"`([a-z]+)`", rows[exported(metric)])
        assert tuple(labels) == metric._labelnames  # the library has no public way to ask for them


@pytest.mark.parametrize("name", DECLARED)
def test_every_metric_is_counted_somewhere(name: str) -> None:
    sources = (path for path in (ROOT / "src").rglob("*.py") if path.name != "metrics.py")
    assert any(f"metrics.{name}" in path.read_text(encoding="utf-8") for path in sources)
