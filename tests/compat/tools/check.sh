#!/bin/sh
# Runs third-party tools against a running server: check.sh URL TOKEN [SDL to compare with].
set -e
url=$1 token=$2 recorded=$3
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp "$here"/package.json "$here"/audits.mjs "$work"
cd "$work"
npm install --loglevel=error --no-audit --no-fund > /dev/null
cat > codegen.json <<JSON
{
  "schema": [{ "$url": { "headers": { "Authorization": "Bearer $token" } } }],
  "generates": {
    "schema.graphql": { "plugins": ["schema-ast"] },
    "types.ts": { "plugins": ["typescript"] }
  }
}
JSON
echo "graphql-http: audits of the specification"
node audits.mjs "$url"
echo "graphql-codegen: the schema and its TypeScript types"
npx graphql-codegen --silent --config codegen.json
npx tsc --noEmit --strict types.ts
if [ -n "$recorded" ]; then
  echo "graphql-inspector: differences from $recorded, except unsupported parts"
  npx graphql-inspector diff "$recorded" schema.graphql 2>&1 | sed 's/\x1b\[[0-9;]*m//g' > differences || true
  test -s differences
  grep "✖" differences | grep -v "was removed" || true
fi
echo "gql: the Python client"
python3 -m venv client
client/bin/pip install --quiet --disable-pip-version-check "gql[httpx]==4.*"
client/bin/python - "$url" "$token" <<PYTHON
import sys
from gql import Client, gql
from gql.transport.httpx import HTTPXTransport

url, token = sys.argv[1:]
transport = HTTPXTransport(url, headers={"Authorization": f"Bearer {token}"})
query = gql("query (\$one: Int!) { users(limit: \$one, sort: [\"email\"]) { email role { name } } }")
query.variable_values = {"one": 1}
with Client(transport=transport, fetch_schema_from_transport=True) as session:
    print(" ", session.execute(query))
PYTHON
