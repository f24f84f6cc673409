// The list of users: short addresses, selecting rows, and the bar with the actions on them.

const filters = document.querySelector("form[data-defaults]");
filters?.addEventListener("formdata", ({ formData }) => {
  for (const [name, value] of Object.entries(JSON.parse(filters.dataset.defaults))) {
    if (formData.getAll(name).join() === value) formData.delete(name);
  }
});

const bar = document.querySelector("[data-bulk]");

/** Return the checkboxes of the rows. */
function boxes() {
  return [...document.querySelectorAll("input[name=ids]")];
}

/** Return the control that selects the users of all pages, if there is one. */
function allMatching() {
  return document.querySelector("[data-all-matching] input");
}

/** Show how many users are selected; the bar is hidden while there are none. */
function update() {
  const all = boxes();
  const checked = all.filter((box) => box.checked).length;
  const isComplete = checked > 0 && checked === all.length;
  const matching = document.querySelector("[data-all-matching]");
  if (!isComplete && allMatching()) allMatching().checked = false;
  if (matching) matching.hidden = !isComplete;
  const count = allMatching()?.checked ? Number(matching.dataset.total) : checked;
  const label = bar.querySelector("[data-bulk-count]");
  label.textContent = label.dataset.text.replace("{count}", count);
  bar.hidden = count === 0;
  const selectAll = document.querySelector("[data-select-all]");
  if (selectAll) {
    selectAll.hidden = all.length === 0;
    selectAll.checked = isComplete;
    selectAll.indeterminate = checked > 0 && !isComplete;
  }
}

if (bar) {
  document.addEventListener("change", ({ target }) => {
    if (target.matches("[data-select-all]")) {
      for (const box of boxes()) box.checked = target.checked;
    }
    if (target.matches("[data-select-all], [data-all-matching] input, input[name=ids]")) update();
  });
  document.addEventListener("list-updated", update);
  addEventListener("pageshow", update);
  update();
}
