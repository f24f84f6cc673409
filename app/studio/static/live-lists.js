// Lists that follow the directory: a part of a page is read again when one of the collections in its data-watched changes.

import { fetchPage } from "./fragments.js";
import { morph } from "./morph.js";
import { RealtimeConnection } from "./realtime-connection.js";

const MIN_WAIT_MILLISECONDS = 1000;
const MAX_WAIT_MILLISECONDS = 60_000;
/** A list that takes long to read is read less often: for at most this part of the time. */
const WAIT_PER_DURATION = 10;
const MARK_MILLISECONDS = 4000;
const ANNOUNCEMENT_MILLISECONDS = 10_000;
/** How long it takes until assistive technology has noticed a change. */
const NOTICED_MILLISECONDS = 500;
const GONE = [401, 403, 404];
const PAUSED = "studio-live-updates-paused";

/** Keep the lists of the page up to date; `improve` is called with each new version of a list. */
export function enableLiveLists(improve) {
  for (const bar of document.querySelectorAll("[data-live-bar]")) new LiveList(bar, improve).start();
}

class LiveList {
  #id;
  #improve;
  #connection;
  #bar;
  #isStale = false;
  #isReading = false;
  #timer = 0;
  #wait = MIN_WAIT_MILLISECONDS;

  constructor(bar, improve) {
    this.#id = bar.dataset.liveBar;
    this.#improve = improve;
    this.#bar = new LiveBar(bar, () => this.#follow());
    const address = new URL(bar.dataset.realtime, location.href);
    address.protocol = address.protocol.replace("http", "ws");
    this.#connection = new RealtimeConnection(address, {
      collections: () => this.#part.dataset.watched.split(" "),
      onReady: () => {
        this.#bar.show();
        this.#change(); // what has changed since the page was made
      },
      onChange: () => this.#change(),
      onRefused: () => this.#bar.hide(),
    });
  }

  /** Follow the directory from now on, while the page is visible. */
  start() {
    document.addEventListener("visibilitychange", () => this.#follow());
    addEventListener("pagehide", () => this.#connection.close());
    addEventListener("pageshow", ({ persisted }) => persisted && this.#follow());
    this.#follow();
  }

  get #part() {
    return document.getElementById(this.#id); // the live search replaces it
  }

  get #isActive() {
    return document.visibilityState === "visible" && !this.#bar.isPaused;
  }

  #follow() {
    if (this.#isActive) {
      this.#connection.open();
      if (this.#isStale) this.#schedule();
    } else {
      this.#connection.close();
      clearTimeout(this.#timer);
      this.#timer = 0;
    }
  }

  #change() {
    this.#isStale = true;
    this.#schedule();
  }

  #schedule() {
    if (this.#isActive && !this.#timer && !this.#isReading) this.#timer = setTimeout(() => this.#read(), this.#wait);
  }

  async #read() {
    const start = performance.now();
    this.#timer = 0;
    this.#isReading = true;
    this.#isStale = false;
    try {
      await this.#update();
      const duration = performance.now() - start;
      this.#wait = Math.min(Math.max(MIN_WAIT_MILLISECONDS, duration * WAIT_PER_DURATION), MAX_WAIT_MILLISECONDS);
    } catch { // the server or the network is unavailable
      this.#isStale = true;
      this.#wait = Math.min(this.#wait * 2, MAX_WAIT_MILLISECONDS);
    } finally {
      this.#isReading = false;
      if (this.#isStale) this.#schedule();
    }
  }

  /** Show the list as a reload of the page would. */
  async #update() {
    const address = location.href;
    const { response, page } = await fetchPage(address, this.#id);
    if (location.href !== address) { // a search has begun meanwhile
      this.#isStale = true;
      return;
    }
    const target = page.getElementById(this.#id);
    if (response.redirected || GONE.includes(response.status) || (response.ok && !target)) {
      location.reload(); // the session has ended, or the user may not see the list any more
      return;
    }
    if (!response.ok) throw new Error(response.statusText);
    this.#improve(target);
    const part = this.#part;
    const rows = quietly(part, () => morph(part, document.adoptNode(target)));
    document.dispatchEvent(new Event("list-updated"));
    if (rows.length) this.#bar.announce();
    for (const row of rows) mark(row);
  }
}

/** Change a part of the page without its live regions reading out each change. */
function quietly(part, change) {
  const regions = [part, ...part.querySelectorAll("[role=status]")].map((region) => [region, region.ariaLive]);
  for (const [region] of regions) region.ariaLive = "off";
  const result = change();
  setTimeout(() => {
    for (const [region, live] of regions) region.ariaLive = live;
  }, NOTICED_MILLISECONDS);
  return result;
}

/** Show for a moment that a row has changed. */
function mark(row) {
  row.dataset.changed = "";
  setTimeout(() => delete row.dataset.changed, MARK_MILLISECONDS);
}

/** The line below a list with the button that pauses its updates, and the announcements of them. */
class LiveBar {
  #element;
  #button;
  #status;
  #lastAnnouncement = -Infinity;

  /** `onToggle` is called when the updates have been paused or resumed. */
  constructor(element, onToggle) {
    this.#element = element;
    this.#button = element.querySelector("button");
    this.#status = element.querySelector("[role=status]");
    this.#button.addEventListener("click", () => {
      if (this.isPaused) localStorage.removeItem(PAUSED);
      else localStorage.setItem(PAUSED, "true");
      this.#render();
      onToggle();
    });
    if (this.isPaused) this.show();
  }

  /** Whether the user has paused the updates of all lists in this browser. */
  get isPaused() {
    return localStorage.getItem(PAUSED) !== null;
  }

  /** Show that the list is updated, or can be. */
  show() {
    this.#element.hidden = false;
    this.#render();
  }

  /** Hide that, because it does not work here. */
  hide() {
    this.#element.hidden = true;
  }

  /** Announce an update to users of assistive technology, unless they have heard of one just now. */
  announce() {
    if (performance.now() - this.#lastAnnouncement < ANNOUNCEMENT_MILLISECONDS) return;
    this.#lastAnnouncement = performance.now();
    this.#status.textContent = "";
    setTimeout(() => (this.#status.textContent = this.#status.dataset.text), NOTICED_MILLISECONDS);
  }

  #render() {
    this.#button.setAttribute("aria-pressed", String(this.isPaused));
  }
}
