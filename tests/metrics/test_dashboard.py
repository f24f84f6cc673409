"""The dashboard and the alert rules: they use metrics and labels that exist, and each alert is in the runbook."""

import json
import re

import pytest
import yaml

from tests.metrics.test_documentation import described_metrics
from tests.readme.pages import DOCS
from tests.readme.test_completeness import anchors

FOLDER = DOCS / "operations/monitoring"
METRIC = re.compile(r"\brollcall_\w+")
LABEL_LIST = re.compile(r"\bby \(([\w, ]+)\)")
TEMPLATE = re.compile(r"{{ ?\$?(?:labels\.)?(\w+) ?}}")
SUFFIX = re.compile(r"_(bucket|sum|count)$")
FROM_PROMETHEUS = {"instance", "le"}


def alert_rules():
    (group,) = yaml.safe_load((FOLDER / "alerts.yml").read_text())["groups"]
    return group["rules"]


def dashboard_targets():
    panels = json.loads((FOLDER / "dashboard.json").read_text())["panels"]
    return [(target["expr"], target["legendFormat"]) for panel in panels for target in panel["targets"]]


def queries():
    alerts = [(rule["expr"], rule["annotations"]["summary"]) for rule in alert_rules()]
    return [*alerts, *dashboard_targets()]


def names_in(expression):
    return {SUFFIX.sub("", name) for name in METRIC.findall(expression)}


@pytest.mark.parametrize(("expression", "text"), queries())
def test_a_query_uses_metrics_and_labels_that_exist(readonly_db, expression, text):
    metrics = described_metrics(readonly_db)
    used = names_in(expression)
    grouped = {label.strip() for labels in LABEL_LIST.findall(expression) for label in labels.split(",")}
    filtered = set(re.findall(r"(\w+)=~?\"", expression))

    assert used
    assert used <= metrics.keys()
    known = FROM_PROMETHEUS.union(*(metrics[name] for name in used))
    assert grouped | filtered <= known
    assert set(TEMPLATE.findall(text)) <= grouped


def test_the_dashboard_shows_each_metric(readonly_db):
    shown = set().union(*(names_in(expression) for expression, _ in dashboard_targets()))

    assert shown == described_metrics(readonly_db).keys()


def test_each_alert_has_an_entry_in_the_runbook_that_names_it():
    text = (DOCS / "operations/runbook.md").read_text()
    entries = {section.partition("\n")[0].strip(): section for section in text.split("\n### ")[1:]}
    anchor_of = {title.lower().replace(" ", "-"): section for title, section in entries.items()}
    alerts = {rule["alert"]: rule["annotations"]["runbook"] for rule in alert_rules()}

    for alert, runbook in alerts.items():
        file, _, anchor = runbook.partition("#")
        assert anchor in anchors(DOCS / file), alert
        assert f"`{alert}`" in anchor_of[anchor]
    assert set(re.findall(r"`(Rollcall\w+)`", text)) == alerts.keys()


def test_each_alert_has_a_severity():
    assert {rule["labels"]["severity"] for rule in alert_rules()} == {"warning", "critical"}
