// Rewrites regex_answers.json with what this node answers: null for an invalid expression, else whether each text matches.
import { readFileSync, writeFileSync } from "node:fs";

const file = new URL("regex_answers.json", import.meta.url);
const { cases } = JSON.parse(readFileSync(file));
for (const one of cases) {
  try {
    const regex = new RegExp(one.source);
    one.answers = one.texts.map((text) => regex.test(text));
  } catch {
    one.answers = null;
  }
}
const ascii = (text) => text.replace(/[^\n -~]/g, (unit) => "\\u" + unit.charCodeAt(0).toString(16).padStart(4, "0"));
const lines = cases.map((one) => "    " + ascii(JSON.stringify(one)));
writeFileSync(file, `{\n  "node": "${process.version}",\n  "cases": [\n${lines.join(",\n")}\n  ]\n}\n`);
