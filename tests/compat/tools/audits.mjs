// The audits of the GraphQL-over-HTTP specification, by the package graphql-http.
import { serverAudits } from "graphql-http";

const results = await Promise.all(
  serverAudits({ url: process.argv[2], fetchFn: fetch }).map(async (audit) => [audit.name, await audit.fn()]),
);
const counts = {};
for (const [name, { status, reason }] of results) {
  counts[status] = (counts[status] ?? 0) + 1;
  if (status !== "ok") console.log(`  ${status}: ${name}: ${reason}`);
}
console.log(`  ${results.length} audits:`, counts);
if (counts.error || counts.ok < 58) process.exit(1);
