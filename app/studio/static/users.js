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

/** Show how many rows are selected; the bar is hidden while there are none. */
function update() {
  const all = boxes();
  const count = all.filter((box) => box.checked).length;
  const label = bar.querySelector("[data-bulk-count]");
  label.textContent = label.dataset.text.replace("{count}", count);
  bar.hidden = count === 0;
  const selectAll = document.querySelector("[data-select-all]");
  if (selectAll) {
    selectAll.hidden = all.length === 0;
    selectAll.checked = count > 0 && count === all.length;
    selectAll.indeterminate = count > 0 && count < all.length;
  }
}

if (bar) {
  document.addEventListener("change", ({ target }) => {
    if (target.matches("[data-select-all]")) {
      for (const box of boxes()) box.checked = target.checked;
    }
    if (target.matches("[data-select-all], input[name=ids]")) update();
  });
  // The live search replaces the rows
  new MutationObserver(update).observe(document.getElementById("results").parentElement, { childList: true });
  addEventListener("pageshow", update);
  update();
}
