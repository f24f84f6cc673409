// Tabs: one of several panels is visible; the arrow keys move between the tabs.

/** Enable a tab list; return a function that shows the panel with an id. */
export function enableTabs(list) {
  const tabs = [...list.querySelectorAll("[role=tab]")];

  function show(id) {
    for (const tab of tabs) {
      const isSelected = tab.getAttribute("aria-controls") === id;
      tab.setAttribute("aria-selected", String(isSelected));
      tab.tabIndex = isSelected ? 0 : -1;
      document.getElementById(tab.getAttribute("aria-controls")).hidden = !isSelected;
    }
  }

  list.addEventListener("click", (event) => {
    const tab = event.target.closest("[role=tab]");
    if (tab) show(tab.getAttribute("aria-controls"));
  });
  list.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const tab = tabs[(tabs.indexOf(event.target) + step + tabs.length) % tabs.length];
    show(tab.getAttribute("aria-controls"));
    tab.focus();
    event.preventDefault();
  });
  return show;
}
