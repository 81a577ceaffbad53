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

const STATE = "state";
/** An answer need not wait for a write that may be lost anyway. */
const UNCONFIRMED = { allowUnconfirmed: true };
/** Numbers of an answer that stand before the state; the last of them says when the state can be forgotten. */
const ANSWERED = 6;
/** Where the time stands in what is asked. */
const NOW = 3;

export class Counter extends DurableObject {
  /** As core writes it. */
  #state = [];
  /** When it can be forgotten, by this machine's clock. */
  #ends = 0;
  #unsaved = 0;
  #timer;

  constructor(context, env) {
    super(context, env);
    const kept = context.storage.kv.get(STATE);
    if (kept) [this.#ends, ...this.#state] = kept;
  }

  /** Carries out what is asked, and answers in numbers. */
  ask(asked) {
    revive();
    const answer = enter(() => count(Float64Array.from(this.#state), asked));
    if (!answer?.length) throw new Error("the count failed");
    const state = Array.from(answer.subarray(ANSWERED));
    if (state.length !== this.#state.length || state.some((number, at) => number !== this.#state[at])) {
      this.#state = state;
      // The clock of whoever asks may be another.
      this.#ends = Date.now() + Math.max(0, answer[ANSWERED - 1] - asked[NOW]);
      this.#changed();
    }
    return answer.slice(0, ANSWERED);
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
    storage.put(STATE, [this.#ends, ...this.#state], UNCONFIRMED);
    storage.setAlarm(this.#ends, UNCONFIRMED);
  }

  /** When its time has passed nothing needs to be known of it. */
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

/** Asks a counter: the numbers of its answer, or a text that says why it could not be asked. */
export async function ask(env, key, asked) {
  let timer;
  try {
    const counter = env.COUNTER.get(env.COUNTER.idFromName(key));
    const late = new Promise((_, reject) => {
      timer = setTimeout(() => reject(new Error(`no answer within ${PATIENCE} ms`)), PATIENCE);
    });
    return await Promise.race([counter.ask(asked), late]);
  } catch (error) {
    return String(error);
  } finally {
    clearTimeout(timer);
  }
}
