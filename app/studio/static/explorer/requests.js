// Sends requests to the GraphQL endpoint with the session's cookie.

/** Return `{ status, milliseconds, text, body }` of a response; `body` is undefined if it is not JSON. */
export async function send(address, request, signal) {
  const started = performance.now();
  const response = await fetch(address, {
    method: "POST",
    headers: { "Content-Type": "application/json", Accept: "application/json" },
    credentials: "same-origin",
    body: JSON.stringify(request),
    signal,
  });
  const text = await response.text();
  const milliseconds = Math.round(performance.now() - started);
  return { status: response.status, milliseconds, text, body: parsed(text) };
}

/** Return whether the session is still valid: pages lead visitors to the form to sign in. */
export async function isSignedIn() {
  const response = await fetch(location.pathname, { method: "HEAD", redirect: "manual", credentials: "same-origin" });
  return response.type !== "opaqueredirect";
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Return the errors `{ message, locations }` of a response, also those inside of a validation error. */
export function errorsOf(body) {
  const errors = Array.isArray(body?.errors) ? body.errors : [];
  return errors.flatMap((error) => {
    const inner = error.extensions?.errors;
    return Array.isArray(inner) ? inner : [error];
  });
}
