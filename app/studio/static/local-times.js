// Shows times in the browser's time zone.

/** Rewrite the text of all time elements below `root` that ask for it; the exact time becomes the tooltip. */
export function showLocalTimes(root) {
  const format = new Intl.DateTimeFormat(document.documentElement.lang, { dateStyle: "medium", timeStyle: "short" });
  for (const element of root.querySelectorAll("time[data-local]")) {
    const time = new Date(element.dateTime);
    if (!Number.isNaN(time.valueOf())) {
      element.title = element.dateTime;
      element.textContent = format.format(time);
    }
  }
}
