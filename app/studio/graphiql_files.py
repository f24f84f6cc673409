"""The files of GraphiQL, if the distribution of the extra `graphiql` is installed."""

from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

DISTRIBUTION = "graphene-django-graphiql-static"
NAMES = ("react.production.min.js", "react-dom.production.min.js", "graphiql.min.js", "graphiql.min.css")


def graphiql_files() -> Mapping[str, Path]:
    """Return the paths of GraphiQL's files by name; none if the distribution is missing or lacks one of them.

    The distribution is only searched, as its modules can be imported with Django only.
    """
    try:
        recorded = distribution(DISTRIBUTION).files or []
    except PackageNotFoundError:
        return {}
    paths = {file.name: Path(str(file.locate())) for file in recorded if file.name in NAMES}
    return paths if len(paths) == len(NAMES) and all(path.is_file() for path in paths.values()) else {}
