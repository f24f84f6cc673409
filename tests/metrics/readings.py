"""Reads metrics as Prometheus does."""

from prometheus_client.parser import text_string_to_metric_families

TOKEN = "a-token-that-only-tests-know"
SCRAPE = {"Authorization": f"Bearer {TOKEN}"}


def parse(text):
    """Return the value of each sample by its name and labels."""
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    return {(sample.name, *sorted(sample.labels.items())): sample.value for sample in samples}


async def scrape(client):
    """Return the samples at `/metrics`."""
    response = await client.get("/metrics", headers=SCRAPE)
    assert response.status_code == 200, response.text
    return parse(response.text)


def value(samples, name, **labels):
    """Return the value of a sample, 0 if it is missing."""
    return samples.get((f"rollcall_{name}", *sorted(labels.items())), 0)


def total(samples, name, **labels):
    """Return the sum of all samples with at least these labels."""
    matching = (labels.items() <= dict(pairs).items() and found == f"rollcall_{name}" for found, *pairs in samples)
    return sum(number for number, matches in zip(samples.values(), matching, strict=True) if matches)
