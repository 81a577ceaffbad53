// A counter that all isolates share: a Durable Object, one for each limit and whom it counts. The arithmetic is
// core's, in WebAssembly; here its state lives between draws.
//
// It counts in memory, for a write costs more than all the rest. What is lost when the object is evicted or its
// machine fails is what was drawn since the last write: UNSAVED draws at most, and of the last second at most.

import { DurableObject } from "cloudflare:workers";
import { count } from "tollgate/wasm";
import { revive } from "./instance.mjs";
import { enter } from "./isolate.mjs";

/** So many draws may be lost: every so many are written. */
const UNSAVED = 32;
/** And so long may pass, in milliseconds, before fewer are. */
const SAVED_AFTER = 1000;

const WINDOW = "window";
/** An answer need not wait for a write that may be lost anyway. */
const UNCONFIRMED = { allowUnconfirmed: true };

export class Counter extends DurableObject {
  #begins = 0;
  #used = 0;
  /** When the window is over, by this machine's clock. */
  #ends = 0;
  #unsaved = 0;
  #timer;

  constructor(context, env) {
    super(context, env);
    const kept = context.storage.kv.get(WINDOW);
    if (kept) [this.#begins, this.#used, this.#ends] = kept;
  }

  /** Whether the draw was admitted, what remains, and in how many milliseconds the window ends. */
  draw(limit, window, cost, now) {
    revive();
    const drawn = enter(() => count(this.#begins, this.#used, limit, window, cost, now));
    if (drawn === undefined) throw new Error("the count failed");
    const [begins, used, admitted, remaining, reset] = drawn;
    if (begins !== this.#begins || used !== this.#used) {
      this.#begins = begins;
      this.#used = used;
      this.#ends = Date.now() + reset;
      this.#changed();
    }
    return [admitted, remaining, reset];
  }

  #changed() {
    this.#unsaved += 1;
    if (this.#unsaved >= UNSAVED) this.#save();
    else this.#timer ??= setTimeout(() => this.#save(), SAVED_AFTER);
  }

  #save() {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#unsaved = 0;
    const { storage } = this.ctx;
    storage.put(WINDOW, [this.#begins, this.#used, this.#ends], UNCONFIRMED);
    storage.setAlarm(this.#ends, UNCONFIRMED);
  }

  /** When the window is over nothing needs to be known of it. */
  async alarm() {
    if (Date.now() < this.#ends) {
      this.#save();
      return;
    }
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#unsaved = 0;
    await this.ctx.storage.deleteAll();
  }
}

/** How long a counter may take to answer. */
const PATIENCE = 3000;

/** Draws from a counter: three numbers, or a text that says why it could not be asked. */
export async function draw(env, key, limit, window, cost, now) {
  let timer;
  try {
    const counter = env.COUNTER.get(env.COUNTER.idFromName(key));
    const late = new Promise((_, reject) => {
      timer = setTimeout(() => reject(new Error(`no answer within ${PATIENCE} ms`)), PATIENCE);
    });
    return Float64Array.from(await Promise.race([counter.draw(limit, window, cost, now), late]));
  } catch (error) {
    return String(error);
  } finally {
    clearTimeout(timer);
  }
}
