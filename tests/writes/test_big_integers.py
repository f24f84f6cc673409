"""64-bit integers are strings in requests and responses, because JavaScript has no exact integers of that size."""

from urllib.parse import quote

import orjson
import pytest
import pytest_asyncio

from app.core.caller import SYSTEM
from app.graphql.schema import schema
from tests.base_data import caller, uid
from tests.http.test_graphql import ADA, PATH

pytestmark = pytest.mark.both_databases

ADMIN = caller("ada")
A, B, C, EMPTY = (uid(f"file-{name}") for name in "abcd")
LARGEST, BEYOND_53_BITS = 2**63 - 1, 2**53 + 1
SIZES = {A: LARGEST, B: BEYOND_53_BITS, C: LARGEST, EMPTY: None}
ALL_AGGREGATES = ("sum", "sumDistinct", "avg", "min", "max", "count")


@pytest_asyncio.fixture
async def files(editors):
    """The database with four files: two of the largest size, one whose size is no double, one without a size."""
    rows = [
        {"id": key, "storage": "local", "filename_download": key, "filesize": size, "width": index}
        for index, (key, size) in enumerate(SIZES.items())
    ]
    await editors.load({"directus_files": rows})
    return editors


async def get(client, path):
    response = await client.get(path, headers=ADA)
    assert response.status_code == 200, response.text
    return response.json()["data"]


async def answers(system, query, variables=None):
    """Return the results of a query in full execution and, twice, from its plan."""
    full = await schema.execute_full(query, variables, context_value=system.directory(ADMIN))
    results = [full, *[await system.execute(query, variables, ADMIN) for _ in range(2)]]
    assert [result.errors for result in results] == [None] * 3
    return [result.data for result in results]


async def test_a_row_has_it_as_a_string(client, files):
    rows = {key: size and str(size) for key, size in SIZES.items()}
    listed = await get(client, "/files?fields=id,filesize")
    query = "{ files { id filesize } folders: files(limit: 1) { folder { id } } }"

    assert {row["id"]: row["filesize"] for row in listed} == rows
    assert await get(client, f"/files/{B}?fields=filesize,width") == {"filesize": str(BEYOND_53_BITS), "width": 1}
    for data in await answers(files, query):
        assert {row["id"]: row["filesize"] for row in data["files"]} == rows


async def test_so_has_a_group_and_nothing_is_lost_in_aggregates(client, files):
    groups = [{"filesize": str(BEYOND_53_BITS)}, {"filesize": str(LARGEST)}, {"filesize": None}]
    counted = await get(client, "/files?groupBy=filesize&aggregate[count]=*")
    parameters = "&".join(f"aggregate[{name}]=filesize,width" for name in ALL_AGGREGATES)
    (in_rest,) = await get(client, f"/files?{parameters}")
    total, distinct = 2 * LARGEST + BEYOND_53_BITS, LARGEST + BEYOND_53_BITS

    assert [{"filesize": row["filesize"]} for row in counted] == groups
    assert in_rest["sum"] == {"filesize": str(total), "width": "6"}
    assert in_rest["sumDistinct"] == {"filesize": str(distinct), "width": "6"}
    assert in_rest["min"] == {"filesize": str(BEYOND_53_BITS), "width": 0}
    assert in_rest["max"] == {"filesize": str(LARGEST), "width": 3}
    assert (in_rest["avg"]["width"], in_rest["count"]) == ("1.5", {"filesize": "3", "width": "4"})
    query = "{ files_aggregated { sum { filesize } sumDistinct { filesize } min { filesize } max { filesize } } }"
    for data in await answers(files, query):
        (row,) = data["files_aggregated"]
        assert row["sum"] == {"filesize": float(total)}
        assert (row["sumDistinct"], row["min"]) == ({"filesize": distinct}, {"filesize": BEYOND_53_BITS})
        assert row["max"] == {"filesize": LARGEST}
    for data in await answers(files, '{ files_aggregated(groupBy: ["filesize"]) { group } }'):
        assert [row["group"] for row in data["files_aggregated"]] == groups


async def test_sums_are_exact_for_negative_numbers_and_sorted_as_numbers(client, files):
    for key, size in ((A, -LARGEST), (B, -5), (C, 30), (EMPTY, 4)):
        await files.directory(ADMIN)["files"].update_one(key, {"filesize": size})
    (row,) = await get(client, "/files?aggregate[sum]=filesize&aggregate[sumDistinct]=filesize")
    sorted_by_sum = await get(client, "/files?groupBy=id&sort=sum.filesize&aggregate[sum]=filesize")

    assert row == {"sum": {"filesize": str(29 - LARGEST)}, "sumDistinct": {"filesize": str(29 - LARGEST)}}
    assert [row["id"] for row in sorted_by_sum] == [A, B, EMPTY, C]


FILTERS = [
    ({"_eq": str(BEYOND_53_BITS)}, [B]),
    ({"_eq": BEYOND_53_BITS}, [B]),
    ({"_eq": str(LARGEST)}, [A, C]),
    ({"_gt": str(BEYOND_53_BITS - 1)}, [A, B, C]),
    ({"_lt": str(LARGEST)}, [B]),
    ({"_gte": str(-(2**63))}, [A, B, C]),
    ({"_in": [str(BEYOND_53_BITS), "7"]}, [B]),
    ({"_between": ["1", str(BEYOND_53_BITS)]}, [B]),
]


@pytest.mark.parametrize(("operators", "found"), FILTERS)
async def test_a_filter_compares_with_a_string_or_a_number(client, files, operators, found):
    filter_ = quote(orjson.dumps({"filesize": operators}))
    rows = await get(client, f"/files?fields=id&filter={filter_}")
    query = "query($f: directus_files_filter) { files(filter: $f) { id } }"

    assert {row["id"] for row in rows} == set(found)
    for data in await answers(files, query, {"f": {"filesize": operators}}):
        assert {row["id"] for row in data["files"]} == set(found)


@pytest.mark.parametrize("size", [str(2**63), str(-(2**63) - 1), "1e30", "many"])
async def test_a_filter_by_a_number_of_more_bits_is_rejected(client, files, size):
    response = await client.get(f"/files?filter[filesize][_eq]={size}", headers=ADA)

    assert response.json()["errors"][0]["extensions"]["code"] == "INVALID_QUERY"


UPDATE = "mutation($i: ID!, $s: GraphQLBigInt) { update_files_item(id: $i, data: { filesize: $s }) { filesize } }"


@pytest.mark.parametrize("size", [BEYOND_53_BITS, LARGEST - 1, -(2**63), 0, None])
async def test_a_written_string_or_number_is_returned_and_recorded_as_a_string(client, files, size):
    text = None if size is None else str(size)
    for value in (size, text):
        response = await client.patch(f"/files/{A}?fields=filesize", json={"filesize": value}, headers=ADA)
        assert response.json()["data"] == {"filesize": text}
        body = {"query": UPDATE, "variables": {"i": A, "s": value}}
        in_graphql = await client.post(PATH, json=body, headers=ADA)
        assert in_graphql.json() == {"data": {"update_files_item": {"filesize": text}}}
    (revision,) = await files.directory(SYSTEM)["revisions"].read_by_query({"sort": "-id", "limit": 1})
    assert revision["data"]["filesize"] == text


EXPORTS = {
    "csv": f'"filesize"\n"{BEYOND_53_BITS}"',
    "json": f'[{{"filesize":"{BEYOND_53_BITS}"}}]',
    "yaml": f"- filesize: '{BEYOND_53_BITS}'\n",
}


@pytest.mark.parametrize("format_", EXPORTS)
async def test_an_export_contains_the_string(client, files, format_):
    response = await client.get(f"/files?export={format_}&fields=filesize&filter[id][_eq]={B}", headers=ADA)

    assert response.text.rstrip("\n") == EXPORTS[format_].rstrip("\n")


async def test_an_import_accepts_strings_and_numbers(files):
    for size in (str(BEYOND_53_BITS), BEYOND_53_BITS):
        row = {"id": A, "storage": "local", "filename_download": "a", "filesize": size}
        await files.load({"directus_files": [row]})
        stored = await files.directory(SYSTEM)["files"].read_one(A, {"fields": "filesize"})
        assert stored == {"filesize": str(BEYOND_53_BITS)}
