// Writes requests as shell commands.

/** Return a curl command for a request; the shell takes the token from the variable ROLLCALL_TOKEN. */
export function curlCommand(address, request) {
  return [
    `curl ${quoted(address)}`,
    '-H "Authorization: Bearer $ROLLCALL_TOKEN"',
    "-H 'Content-Type: application/json'",
    `--data-raw ${quoted(JSON.stringify(request))}`,
  ].join(" \\\n  ");
}

function quoted(text) {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
