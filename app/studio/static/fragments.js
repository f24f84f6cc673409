// Loads parts of pages that the server renders.

// The server escapes every value in its pages, so what it sends needs no further check
const policy = globalThis.trustedTypes?.createPolicy("studio", { createHTML: (html) => html });

/** Return a document with the page at an address, of which the server may render only the part with this id. */
export async function fetchPage(address, id, options = {}) {
  const response = await fetch(address, {
    ...options,
    headers: { ...options.headers, "Studio-Fragment": id, Accept: "text/html" },
    credentials: "same-origin",
  });
  const html = await response.text();
  const page = new DOMParser().parseFromString(policy ? policy.createHTML(html) : html, "text/html");
  return { response, page };
}
