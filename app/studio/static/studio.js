// What every page loads: each module improves the elements that ask for it, and pages work without all of them.

import { enableCopyButtons } from "./copy-buttons.js";
import { enablePasswordFields } from "./password-fields.js";
import { showLocalTimes } from "./local-times.js";
import { enableLiveForms } from "./live-forms.js";
import { enableSignIn } from "./sign-in.js";

/** Improve the elements of a document, or of a part of one that was replaced. */
export function improve(root) {
  showLocalTimes(root);
}

improve(document);
enableLiveForms(improve);
enableSignIn();
enablePasswordFields(document);
enableCopyButtons(document);
if (document.querySelector("[data-live-bar]")) {
  import("./live-lists.js").then(({ enableLiveLists }) => enableLiveLists(improve));
}

// The notice of a finished action would come back with a reload, and the token of a mailed link is a secret
const address = new URL(location.href);
for (const name of ["notice", "count", "token"]) {
  if (address.searchParams.has(name)) {
    address.searchParams.delete(name);
    history.replaceState(history.state, "", address);
  }
}
