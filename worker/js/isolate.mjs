// What belongs to the isolate and not to a request: whether its instance of the WebAssembly module still lives,
// who waits for it, and what WebAssembly calls without a request at hand (`src/platform.rs`).

import { settle } from "tollgate/wasm";

/** Calls that have not been answered. */
export const waiting = new Set();

let alive = true;
/** Which of the isolate's instances lives. */
let instance = 0;

export const isAlive = () => alive;

export function revived() {
  alive = true;
  instance += 1;
}

/** Whether anybody looks at client certificates. */
let certified = false;

export const isCertified = () => certified;

export function certify(wanted) {
  certified = wanted;
}

/** A panic, or any other trap, is the end of the instance: whoever waits for it waits in vain. */
export function trapped(why) {
  console.error(`the instance is lost: ${why}`);
  alive = false;
  for (const call of waiting) call.abandon();
}

export function random(buffer) {
  crypto.getRandomValues(buffer);
}

/** What `work` returns; undefined when it was the instance's end. */
export function enter(work) {
  try {
    return work();
  } catch (error) {
    if (alive) trapped(String(error));
  }
}

/** A function that does `work` in the instance of now, and nothing once that is lost: another does not know of it. */
export function here(work) {
  const own = instance;
  return (value) => {
    if (alive && own === instance) enter(() => work(value));
  };
}

/** Hands a promise's outcome to whoever waits under the ticket. The promise is one that is not rejected. */
export function deliver(ticket, promise) {
  promise.then(here((value) => settle(ticket, value)));
}

export function sleep(ticket, milliseconds) {
  deliver(ticket, new Promise((wake) => setTimeout(wake, milliseconds)));
}

export function read(ticket, stream, limit) {
  deliver(ticket, bytes(stream, limit));
}

/** All bytes; null when there are more than `limit`, and a text when the stream breaks off. */
async function bytes(stream, limit) {
  const reader = stream.getReader();
  const pieces = [];
  let length = 0;
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) break;
      length += value.byteLength;
      if (length > limit) {
        await reader.cancel();
        return null;
      }
      pieces.push(value);
    }
  } catch (error) {
    return String(error);
  }
  if (pieces.length === 1) return pieces[0];
  const whole = new Uint8Array(length);
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.byteLength;
  }
  return whole;
}
