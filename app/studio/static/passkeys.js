// Passkeys: creates them on the account page, and signs in with them. Forms stay hidden where the browser has none.

const isSupported = Boolean(window.PublicKeyCredential?.parseRequestOptionsFromJSON);

/** Return the JSON that the server answers to a form; throws with its message if the form is rejected. */
async function post(url, fields) {
  const response = await fetch(url, { method: "POST", body: new URLSearchParams(fields) });
  const data = await response.json();
  if (!response.ok) throw new Error(data.message);
  return data;
}

/** Put the response of an authenticator into a form; later ones replace earlier ones. */
function fill(form, options, credential) {
  const values = { challenge_token: options.challenge_token, credential: JSON.stringify(credential.toJSON()) };
  for (const [name, value] of Object.entries(values)) {
    const field = form.elements.namedItem(name) ?? form.appendChild(document.createElement("input"));
    Object.assign(field, { type: "hidden", name, value });
  }
}

/** Fill a form with a proof of a passkey for a use. */
async function prove(form, url, use) {
  const options = await post(url, { use });
  const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(options.public_key);
  fill(form, options, await navigator.credentials.get({ publicKey }));
}

/** Fill a form with a new passkey, after the proof that the form contains. */
async function create(form) {
  const options = await post(form.dataset.passkeyAdd, new FormData(form));
  const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(options.public_key);
  fill(form, options, await navigator.credentials.create({ publicKey }));
}

/** Do something with a form, and submit it; show why it failed, unless the server answers with a page. */
async function run(form, steps, fallback) {
  const error = form.querySelector("[data-passkey-error]");
  error.hidden = true;
  try {
    for (const step of steps) await step();
    form.submit();
  } catch (problem) {
    const isOfBrowser = problem instanceof DOMException || !problem.message;
    error.textContent = isOfBrowser ? fallback : problem.message;
    error.hidden = false;
  }
}

if (isSupported) {
  for (const element of document.querySelectorAll("[data-passkey-unsupported]")) element.hidden = true;
  for (const form of document.querySelectorAll("form[data-passkey-add], form[data-passkey-sign-in]")) {
    form.hidden = false;
  }
  for (const button of document.querySelectorAll("[data-passkey-code]")) button.hidden = false;
}

document.addEventListener("submit", (event) => {
  const form = event.target;
  const { passkeyAdd, passkeyProof, passkeySignIn, failed = "" } = form.dataset;
  const steps = [];
  if (passkeyProof) steps.push(() => prove(form, passkeyProof, "confirmation"));
  if (passkeyAdd) steps.push(() => create(form));
  if (passkeySignIn) steps.push(() => prove(form, passkeySignIn, "sign_in"));
  if (!steps.length) return;
  event.preventDefault();
  run(form, steps, failed);
});

document.addEventListener("click", ({ target }) => {
  if (!target.matches("[data-passkey-code]")) return;
  const form = target.form;
  run(form, [() => prove(form, target.dataset.passkeyCode, "second_factor")], target.dataset.failed);
});
