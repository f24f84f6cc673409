// Tries an example password with the chosen policy while one types; without scripts a button does the same.

import { fetchPage } from "./fragments.js";

const PAUSE_MILLISECONDS = 250;
const RESULT = "policy-result";

const group = document.querySelector("[data-policy-tryout]");
if (group) enableTryout(group);

function enableTryout(group) {
  const form = group.closest("form");
  let timer = 0;
  let controller = new AbortController();

  async function update() {
    controller.abort();
    controller = new AbortController();
    // Only what is needed: the rest of the form may be unfinished
    const values = new URLSearchParams();
    for (const [name, value] of new FormData(form)) {
      if (["form_token", "password_preset", "auth_password_policy", "tried_password"].includes(name)) {
        values.append(name, value);
      }
    }
    try {
      const { response, page } = await fetchPage(group.dataset.policyTryout, RESULT, {
        method: "POST",
        body: values,
        signal: controller.signal,
      });
      const part = page.getElementById(RESULT);
      if (response.ok && part) show(part);
    } catch (error) {
      if (error.name !== "AbortError") throw error;
    }
  }

  /** Change the text of the element that is already a live region, so that screen readers announce it. */
  function show(part) {
    const result = document.getElementById(RESULT);
    result.className = part.className;
    result.textContent = part.textContent;
  }

  function showCustom() {
    group.querySelector("[data-custom-policy]").hidden = group.querySelector("[value=custom]").checked === false;
  }

  group.querySelector("[data-try]").hidden = true;
  showCustom();
  group.addEventListener("input", () => {
    showCustom();
    clearTimeout(timer);
    timer = setTimeout(update, PAUSE_MILLISECONDS);
  });
}
