// Forms with unsaved changes say so, and leaving the page asks first: <form data-unsaved> with [data-unsaved-notice].
// A form of stored values has [data-saved-notice], too; until it is changed, its button [data-save] is not prominent.

/** Show whether the stored values of a form are changed; a form without this notice has no stored values. */
function showState(form, isChanged) {
  const saved = form.querySelector("[data-saved-notice]");
  if (!saved) return;
  saved.hidden = isChanged;
  form.querySelector("[data-save]")?.classList.toggle("primary", isChanged);
}

/** Show the notice of a form after its first change, and warn before the page is left until the form is submitted. */
function enableNotice(form) {
  const notice = form.querySelector("[data-unsaved-notice]");
  if (!notice) return; // the caller may not change anything
  let isChanged = !notice.hidden;
  let isSubmitted = false;
  showState(form, isChanged);

  function change() {
    isChanged = true;
    notice.hidden = false;
    showState(form, true);
  }

  form.addEventListener("input", change);
  form.addEventListener("change", change);
  form.addEventListener("submit", (event) => {
    isSubmitted = !event.defaultPrevented;
  });
  window.addEventListener("beforeunload", (event) => {
    if (isChanged && !isSubmitted) event.preventDefault();
  });
  window.addEventListener("pageshow", () => {
    isSubmitted = false;
  });
}

for (const form of document.querySelectorAll("form[data-unsaved]")) enableNotice(form);
