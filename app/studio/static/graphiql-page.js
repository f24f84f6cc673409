// Starts GraphiQL with the document in the address. Its scripts define React, ReactDOM and GraphiQL.

const container = document.getElementById("graphiql");
const values = new URLSearchParams(location.hash.slice(1));

// GraphiQL would keep documents and variables, also secrets, in the browser for the next person who uses it
const memory = new Map();
const storage = {
  getItem: (key) => memory.get(key) ?? null,
  setItem: (key, value) => memory.set(key, value),
  removeItem: (key) => memory.delete(key),
  clear: () => memory.clear(),
  get length() {
    return memory.size;
  },
};

async function fetcher(request) {
  const response = await fetch(container.dataset.endpoint, {
    method: "POST",
    headers: { "Content-Type": "application/json", Accept: "application/json" },
    credentials: "same-origin",
    body: JSON.stringify(request),
  });
  return response.json();
}

const { React, ReactDOM, GraphiQL } = globalThis;
ReactDOM.render(
  React.createElement(GraphiQL, {
    fetcher,
    storage,
    query: values.get("query") ?? undefined,
    variables: values.get("variables") ?? undefined,
    isHeadersEditorEnabled: false,
  }),
  container,
);
