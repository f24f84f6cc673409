// Forms with unsaved changes say so, and leaving the page asks first: <form data-unsaved> with [data-unsaved-notice].

/** Show the notice of a form after its first change, and warn before the page is left until the form is submitted. */
function enableNotice(form) {
  const notice = form.querySelector("[data-unsaved-notice]");
  if (!notice) return; // the caller may not change anything
  let isChanged = !notice.hidden;
  let isSubmitted = false;

  function change() {
    isChanged = true;
    notice.hidden = false;
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
