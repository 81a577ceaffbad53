// One request, and all that can be done for it: what WebAssembly calls (`src/platform.rs`). No method throws.

import { ended, renew, seen } from "tollgate/wasm";
import * as counter from "./counter.mjs";
import { exchange } from "./exchange.mjs";
import { Told, response } from "./head.mjs";
import { deliver, here, isCertified, waiting } from "./isolate.mjs";
import { LEFT, WHOLE, metered } from "./metered.mjs";
import { sign } from "./sign.mjs";
import * as stored from "./store.mjs";
import { verify } from "./verify.mjs";

/** The act of drawing, of those that a counter is asked for. */
const DRAWS = 0;

export class Call {
  #context;
  #settle;
  #lastTold;
  #holders = 0;
  #released;

  /** The response, or undefined when there will be none. */
  answered;

  constructor(request, env, context) {
    this.request = request;
    this.env = env;
    this.told = new Told(request.headers);
    this.#context = context;
    this.answered = new Promise((settle) => (this.#settle = settle));
    waiting.add(this);
    // A client that leaves does not end this: what WebAssembly has begun it must be able to end, or it would
    // believe for ever that it is at it. What is asked of others on the client's behalf ends, and says that it has left.
    context.waitUntil(this.answered);
  }

  answeredWith(told) {
    this.#lastTold = told;
  }

  /** There will be no answer. */
  abandon() {
    waiting.delete(this);
    this.#settle(undefined);
  }

  answer(head, body) {
    waiting.delete(this);
    try {
      this.#settle(response(head, body, this.#lastTold));
    } catch (error) {
      console.error(`the answer can't be given: ${error}`);
      if (body instanceof ReadableStream) body.cancel().catch(() => {});
      this.#settle(undefined);
    }
  }

  head() {
    return `${this.request.method}\n${this.request.url}${certificate(this.request)}${this.told.text}`;
  }

  body() {
    return this.request.body;
  }

  ask(ticket, destination, head, body, limit, digest, length, patience, background) {
    const watch = { limit, digest, length };
    deliver(ticket, exchange(this, destination, head, body, watch, patience, background));
  }

  count(ticket, key, asked, patience) {
    // It is a view of WebAssembly's memory, which may move before it is looked at.
    const answer = counter.ask(this.env, key, asked.slice(), patience);
    // What is handed back has to arrive, whether or not anybody waits for it.
    if (asked[0] !== DRAWS) this.#context.waitUntil(answer);
    deliver(ticket, answer);
  }

  meter(id, body, length, reads, every) {
    // A WebSocket goes to the runtime, which does not say when it is closed: only whoever takes both its ends into a
    // script, frame by frame, learns of that.
    if (!(body instanceof ReadableStream)) return null;
    let over;
    try {
      const tell = here((how) => ended(id, how));
      const watched = metered(body, length, reads ? here((piece) => seen(id, piece)) : undefined, (how) => {
        clearInterval(timer);
        // The call to the service, which is given up then, looks as if it had broken off.
        tell(how !== WHOLE && this.request.signal.aborted ? LEFT : how);
        over();
      });
      const timer = every > 0 ? setInterval(here(() => renew(id)), every) : undefined;
      this.#context.waitUntil(new Promise((settle) => (over = settle)));
      return watched;
    } catch {
      return null;
    }
  }

  load(ticket, url) {
    deliver(ticket, stored.load(url));
  }

  store(url, head, seconds, encoding, limit, body) {
    try {
      const copied = stored.store(url, head, seconds, encoding, limit, body);
      this.#context.waitUntil(copied.stored);
      return copied.body;
    } catch {
      return body;
    }
  }

  verify(ticket, algorithm, jwk, signature, message) {
    // These are views of WebAssembly's memory, which may move before they are looked at.
    deliver(ticket, verify(algorithm, jwk, signature.slice(), message.slice()));
  }

  sign(ticket, algorithm, jwk, message) {
    deliver(ticket, sign(algorithm, jwk, message.slice()));
  }

  hold() {
    this.#holders += 1;
    if (this.#holders === 1) this.#context.waitUntil(new Promise((release) => (this.#released = release)));
  }

  release() {
    this.#holders -= 1;
    if (this.#holders === 0) this.#released();
  }
}

/** The client's certificate as two lines, each after a line break; nothing where none was presented or is looked at.
 * In JSON no line breaks, so none of its texts can pass for a field. */
function certificate(request) {
  // What the platform tells is parsed when it is asked for.
  const told = isCertified() ? request.cf?.tlsClientAuth : undefined;
  return told?.certPresented === "1" ? `\n:certificate\n${JSON.stringify(told)}` : "";
}
