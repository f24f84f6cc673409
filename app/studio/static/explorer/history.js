// The requests that a user ran, stored in the browser: documents and variables without secrets, and never results.

import { documentWithoutSecrets, valueWithoutSecrets } from "./secrets.js";

const MAX_ENTRIES = 50;
const PREFIX = "rollcall-explorer-history:";

/** The history of one user; `storage` is the browser's local storage, which may be full or disabled. */
export class History {
  constructor(storage, user) {
    this.storage = storage;
    this.key = PREFIX + user;
  }

  /** Return the entries `{ query, variables, time }`, the newest one first. */
  entries() {
    try {
      const stored = JSON.parse(this.storage.getItem(this.key)) ?? [];
      return Array.isArray(stored) ? stored.filter((entry) => typeof entry?.query === "string") : [];
    } catch {
      return [];
    }
  }

  /** Store a request as the newest entry; the same one is not stored twice. */
  add(query, variables, time = Date.now()) {
    const entry = { query: documentWithoutSecrets(query), variables: valueWithoutSecrets(variables), time };
    const isOther = (each) => each.query !== entry.query || !isEqual(each.variables, entry.variables);
    this.#store([entry, ...this.entries().filter(isOther)].slice(0, MAX_ENTRIES));
  }

  /** Delete all entries of the user. */
  clear() {
    try {
      this.storage.removeItem(this.key);
    } catch {
      // without storage there is nothing to delete
    }
  }

  #store(entries) {
    try {
      this.storage.setItem(this.key, JSON.stringify(entries));
    } catch {
      // the history is a convenience: a request must not fail because it cannot be stored
    }
  }
}

function isEqual(first, second) {
  return JSON.stringify(first) === JSON.stringify(second);
}
