// Forms that show their results while one types: <form data-live="ID"> replaces the element with this id.

import { fetchPage } from "./fragments.js";

const PAUSE_MILLISECONDS = 250;

/** Return the address that a GET form leads to, without its empty fields. */
function addressOf(form) {
  const parameters = new URLSearchParams();
  for (const [name, value] of new FormData(form)) {
    if (value !== "") parameters.append(name, value);
  }
  const address = new URL(form.action);
  address.search = parameters.toString();
  return address;
}

/** Submit forms with `data-live` while their fields change; `improve` is called with each new part of the page. */
export function enableLiveForms(improve) {
  for (const form of document.querySelectorAll("form[data-live]")) {
    enableLiveForm(form, improve);
  }
}

function enableLiveForm(form, improve) {
  let timer = 0;
  let controller = new AbortController();

  async function update() {
    controller.abort();
    controller = new AbortController();
    const address = addressOf(form);
    try {
      const { response, page } = await fetchPage(address, form.dataset.live, { signal: controller.signal });
      const part = page.getElementById(form.dataset.live);
      if (!response.ok || response.redirected || !part) {
        location.assign(address);
        return;
      }
      const focused = document.activeElement?.id;
      document.getElementById(form.dataset.live).replaceWith(document.adoptNode(part));
      improve(part);
      document.dispatchEvent(new Event("list-updated"));
      // A checkbox in the replaced part keeps the focus
      if (focused && document.activeElement === document.body) document.getElementById(focused)?.focus();
      history.replaceState(history.state, "", address);
    } catch (error) {
      if (error.name !== "AbortError") location.assign(address);
    }
  }

  form.addEventListener("input", () => {
    controller.abort(); // its part would undo what is selected meanwhile
    clearTimeout(timer);
    timer = setTimeout(update, PAUSE_MILLISECONDS);
  });
  form.addEventListener("submit", (event) => {
    clearTimeout(timer);
    if (event.submitter?.formMethod === "post") return; // it does something with what is selected
    event.preventDefault();
    update();
  });
}
