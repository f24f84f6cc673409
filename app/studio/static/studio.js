// What every page loads: each module improves the elements that ask for it, and pages work without all of them.

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

// The notice of a finished action would come back with a reload
const address = new URL(location.href);
if (address.searchParams.has("notice")) {
  address.searchParams.delete("notice");
  history.replaceState(history.state, "", address);
}
