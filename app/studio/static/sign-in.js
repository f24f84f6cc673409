// Keeps what was typed into the sign-in form while it asks for the one-time code.

import { fetchPage } from "./fragments.js";

/** Submit the sign-in form by script: the password stays in the form and is never part of a page. */
export function enableSignIn() {
  const form = document.querySelector("form[data-sign-in]");
  form?.addEventListener("submit", async (event) => {
    event.preventDefault();
    const button = form.querySelector("button[type=submit]");
    button.disabled = true;
    try {
      const { response, page } = await fetchPage(form.action, "sign-in", {
        method: "POST",
        body: new URLSearchParams(new FormData(form)),
      });
      if (response.redirected) {
        location.assign(response.url);
        return;
      }
      const next = page.querySelector("form[data-sign-in]") ? null : page.querySelector("#content");
      if (next) {
        document.querySelector("#content").replaceWith(document.adoptNode(next));
        return;
      }
      showErrors(form, page);
    } catch {
      form.submit();
    }
    button.disabled = false;
  });
}

/** Show the errors of the server's form, and the field for the code if it asks for one. */
function showErrors(form, page) {
  form.querySelector(".error-summary")?.remove();
  const summary = page.querySelector(".error-summary");
  summary?.removeAttribute("autofocus"); // browsers report it if another element has the focus already
  if (summary) form.prepend(document.adoptNode(summary));
  const code = form.querySelector("[data-code]");
  if (page.querySelector("[data-code]:not([hidden])")) {
    code.hidden = false;
    code.querySelector("input").focus();
    return;
  }
  summary?.focus();
}
