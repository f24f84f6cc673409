// A connection that tells which collections have changed: GraphQL subscriptions over graphql-transport-ws.

const PROTOCOL = "graphql-transport-ws";
const FIRST_WAIT_MILLISECONDS = 1000;
const MAX_WAIT_MILLISECONDS = 60_000;
/** How long a connection has to last before the next one is not delayed because of earlier failures. */
const STABLE_MILLISECONDS = 10_000;
/** How often in a row it may fail before it has ever worked, or be refused: then it does not work here. */
const MAX_FAILURES = 5;

/**
 * Subscribes to collections with the session of the page, and connects again when the connection is lost.
 *
 * `handlers` are `collections`, which returns the names of the collections, and is asked each time; `onReady`, called
 * once the subscriptions have been sent; `onChange`, called for each change of a row, and when the rights may have
 * changed; and `onRefused`, called once after too many failures.
 */
export class RealtimeConnection {
  #address;
  #handlers;
  #socket = null;
  #timer = 0;
  #failures = 0;
  #refusals = 0;
  #readySince = 0;
  #hasWorked = false;

  constructor(address, handlers) {
    this.#address = address;
    this.#handlers = handlers;
  }

  /** Connect unless there is a connection, or one is about to be made. */
  open() {
    if (this.#socket || this.#timer) return;
    this.#connect();
  }

  /** Disconnect until it is opened again. */
  close() {
    clearTimeout(this.#timer);
    this.#timer = 0;
    this.#drop();
  }

  #drop() {
    const socket = this.#socket;
    this.#socket = null;
    if (!socket) return;
    if (this.#readySince && Date.now() - this.#readySince > STABLE_MILLISECONDS) this.#failures = this.#refusals = 0;
    this.#readySince = 0;
    socket.close(1000);
  }

  #connect() {
    const socket = new WebSocket(this.#address, PROTOCOL);
    this.#socket = socket;
    socket.addEventListener("open", () => socket.send(JSON.stringify({ type: "connection_init" })));
    socket.addEventListener("message", ({ data }) => {
      if (socket === this.#socket) this.#receive(JSON.parse(data));
    });
    socket.addEventListener("close", () => {
      if (socket === this.#socket) this.#retry();
    });
  }

  #receive({ type }) {
    switch (type) {
      case "connection_ack":
        this.#readySince = Date.now();
        this.#hasWorked = true;
        for (const name of this.#handlers.collections()) this.#subscribe(name);
        this.#handlers.onReady();
        break;
      case "next":
        this.#handlers.onChange();
        break;
      case "ping":
        this.#send({ type: "pong" });
        break;
      case "error": // the rights have changed, or there are too many rows
        this.#refusals += 1;
        this.#retry();
    }
  }

  #subscribe(name) {
    const query = `subscription { directus_${name}_mutated { key } }`;
    this.#send({ id: name, type: "subscribe", payload: { query } });
  }

  #send(message) {
    this.#socket.send(JSON.stringify(message));
  }

  /** Connect again after a while, which doubles each time; what the page may show could have changed meanwhile. */
  #retry() {
    const wasReady = this.#readySince > 0;
    this.#drop();
    if (wasReady) this.#handlers.onChange();
    this.#failures += 1;
    if (this.#refusals >= MAX_FAILURES || (this.#failures >= MAX_FAILURES && !this.#hasWorked)) {
      this.#handlers.onRefused();
      return;
    }
    const wait = Math.min(FIRST_WAIT_MILLISECONDS * 2 ** (this.#failures - 1), MAX_WAIT_MILLISECONDS);
    // Not all clients of a server that was restarted connect at once
    this.#timer = setTimeout(() => {
      this.#timer = 0;
      this.#connect();
    }, wait * (1 + Math.random() / 2));
  }
}
