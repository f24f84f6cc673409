// Splits GraphQL documents into tokens. It accepts any text: what is not GraphQL becomes a token of type "invalid".

const PATTERNS = [
  ["space", /[\s,\uFEFF]+/y],
  ["comment", /#[^\n\r]*/y],
  ["string", /"""(?:\\"""|[^"]|"(?!""))*(?:"""|"{0,2}$)/y],
  ["string", /"(?:\\.|[^"\\\n\r])*"?/y],
  ["spread", /\.\.\./y],
  ["variable", /\$(?:[A-Za-z_]\w*)?/y],
  ["directive", /@(?:[A-Za-z_]\w*)?/y],
  ["name", /[A-Za-z_]\w*/y],
  ["number", /-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/y],
  ["punctuation", /[!&(){}[\]:=|]/y],
  ["invalid", /./suy],
];

/** Return all tokens of a text, each as `{ type, text, start, end }`; together they are the whole text. */
export function tokenize(text) {
  const tokens = [];
  let start = 0;
  while (start < text.length) {
    const token = tokenAt(text, start);
    tokens.push(token);
    start = token.end;
  }
  return tokens;
}

function tokenAt(text, start) {
  for (const [type, pattern] of PATTERNS) {
    pattern.lastIndex = start;
    const match = pattern.exec(text);
    if (match) return { type, text: match[0], start, end: start + match[0].length };
  }
  throw new Error("One pattern matches any character");
}

/** Return whether a token has no meaning in the document: white space, commas and comments. */
export function isIgnored(token) {
  return token.type === "space" || token.type === "comment";
}
