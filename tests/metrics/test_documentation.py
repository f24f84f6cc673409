"""The documentation lists each metric, with its labels."""

import re

import yaml
from opentelemetry.sdk import environment_variables

from app.flows.realtime.hub import RealtimeHub
from app.flows.service_metrics import OutboxMetrics, register_readings
from app.http.admission import Admission
from app.http.admission_queue import AdmissionLimits
from app.metrics.instruments import Kind
from app.repositories.services import Services
from tests.readme.pages import DOCS, section, snippets

ROW = re.compile(r"^\| `(rollcall_\w+)` \| ([^|]*)\|", re.MULTILINE)


def described_metrics(readonly_db):
    """Return the labels of each metric by the name that Prometheus knows."""
    services = Services.from_settings(readonly_db.database, readonly_db.settings)
    register_readings(services)
    OutboxMetrics(services)
    RealtimeHub(services).register_readings()
    Admission(AdmissionLimits(8, 1, 1.0), lambda _: None, services.metrics)
    descriptions = [family.description for family in services.metrics.snapshot().families]
    return {one.name + ("_total" if one.kind is Kind.COUNTER else ""): list(one.labels) for one in descriptions}


def test_each_metric_is_documented_with_its_labels(readonly_db):
    page = (DOCS / "operations/monitoring.md").read_text()
    documented = {name: re.findall(r"`(\w+)`", labels) for name, labels in ROW.findall(page)}

    assert documented == described_metrics(readonly_db)


def test_the_example_asks_each_machine_at_its_port_with_the_token():
    (job,) = yaml.safe_load(snippets("yaml", section("operations/monitoring.md", "Metrics"))[0])["scrape_configs"]

    assert job.keys() == {"job_name", "authorization", "static_configs"}  # the path is /metrics, the scheme is Bearer
    assert all(target.endswith(":8055") for target in job["static_configs"][0]["targets"])


def test_the_variables_of_traces_are_known():
    names = re.findall(r"^(\w+)=", snippets("ini", section("operations/monitoring.md", "Traces"))[0], re.MULTILINE)
    known = {value for name, value in vars(environment_variables).items() if name.startswith("OTEL_")}

    assert set(names) <= known | {"TRACES_ENABLED"}
