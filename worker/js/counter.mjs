// A counter that all isolates share: a Durable Object, one for each limit and whom it counts. The arithmetic is
// core's, in WebAssembly; here its state lives between draws.
//
// It counts in memory, for a write costs more than all the rest. An object that is evicted has written what it knows.
// What a crash forgets, or a deployment, is what was admitted since the last write, and so may be admitted again: fewer
// than UNSAVED changes, none of them older than SAVED_AFTER, and, where it would matter for LONG, together less than
// one SHARE-th of the limit; limits up to SHARE lose nothing then. (Beyond that, what the platform had not yet carried
// to its other machines when one fails, which is milliseconds' worth.) What ends within SAVED_AFTER is not written at
// all. That goes for what was used beyond what was taken, too. A lease that is forgotten is known again once it is
// renewed. What was handed back and is forgotten stays taken until its time has passed: that admits too little, and
// never too much.

import { DurableObject } from "cloudflare:workers";
import { count } from "tollgate/wasm";
import { restore } from "./configuration.mjs";
import { revive } from "./instance.mjs";
import { enter } from "./isolate.mjs";

/** Every so many changes are written. */
const UNSAVED = 32;
/** And so long may pass, in milliseconds, before fewer are. */
const SAVED_AFTER = 1000;
/** What is known for so much longer, in milliseconds, is written as soon as it is worth one SHARE-th of the limit. */
const LONG = 60_000;
const SHARE = 32;
/** A state is known for so much longer than it matters, in milliseconds, to those whose clocks are late: `LATE_MS`. */
const LATE = 10_000;
/** Numbers that are stored at most, for a value has its limits. Only leases are as many, and renewed. */
const MAX_STORED = 100_000;

const STATE = "state";
/** An answer need not wait for a write that may be lost anyway. */
const UNCONFIRMED = { allowUnconfirmed: true };

// What is asked, and what is answered, in numbers: `core/src/counter/numbers.rs`.
const [DRAWS, LEASE, BUCKET] = [0, 4, 3];
/** The last number of an answer says when the state, which follows, can be forgotten. */
const ANSWERED = 6;

export class Counter extends DurableObject {
  /** When the state can be forgotten, by this machine's clock; then the state, as core writes it. */
  #kept = new Float64Array(1);
  /** Changes since the last write, and what they have taken. */
  #unsaved = 0;
  #taken = 0;
  #timer;
  /** Whether something is stored. Then there is an alarm, too. */
  #stored = false;

  constructor(context, env) {
    super(context, env);
    const kept = context.storage.kv.get(STATE);
    if (!kept) return;
    this.#kept = Float64Array.from(kept);
    this.#stored = true;
  }

  /** Carries out what is asked, and answers in numbers. */
  ask(asked) {
    // Whoever comes first after an instance was lost makes all new.
    if (revive()) restore(this.env);
    const answer = enter(() => count(this.#kept.subarray(1), asked));
    if (!answer?.length) throw new Error("the count failed");
    const kept = answer.slice(ANSWERED - 1);
    const hasChanged = kept.length !== this.#kept.length || kept.some((number, at) => at && number !== this.#kept[at]);
    if (hasChanged) {
      const [act, kind, cost, now, , used, limit, , burst] = asked;
      // The clock of whoever asks may be another.
      const left = Math.max(0, kept[0] - now);
      kept[0] = Date.now() + left;
      this.#kept = kept;
      const taken = kind === LEASE ? Number(act === DRAWS) : act === DRAWS ? cost : Math.max(0, used - cost);
      // What was refused has but told the time.
      if (act !== DRAWS || answer[0]) this.#changed(taken, kind === BUCKET ? burst : limit, left - LATE);
    }
    return answer.slice(0, ANSWERED);
  }

  #changed(taken, limit, left) {
    this.#unsaved += 1;
    this.#taken += taken;
    const matters = this.#unsaved >= UNSAVED || (left >= LONG && this.#taken * SHARE >= limit);
    if (matters && left > SAVED_AFTER) this.#save();
    else this.#timer ??= setTimeout(() => this.#saveLate(), SAVED_AFTER);
  }

  #saveLate() {
    // What is stored is never left to say what is no longer true.
    if (this.#stored || this.#kept[0] - LATE - Date.now() > SAVED_AFTER) this.#save();
    else this.#saved();
  }

  #save() {
    this.#saved();
    if (this.#kept.length > MAX_STORED) return;
    const { storage } = this.ctx;
    const wrote = [storage.put(STATE, this.#kept, UNCONFIRMED)];
    // It rings when what was first stored is over, and is set again if there is more.
    if (!this.#stored) wrote.push(storage.setAlarm(this.#kept[0], UNCONFIRMED));
    this.#stored = true;
    // What is not written this time may be the next: it counts all the same.
    for (const write of wrote) write.catch((error) => console.error(`a counter is not stored: ${error}`));
  }

  #saved() {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#unsaved = 0;
    this.#taken = 0;
  }

  /** When its time has passed nothing needs to be known of it. */
  async alarm() {
    if (Date.now() < this.#kept[0]) {
      await this.ctx.storage.setAlarm(this.#kept[0]);
      return;
    }
    this.#saved();
    this.#stored = false;
    await this.ctx.storage.deleteAll();
  }
}

/** Asks a counter: the numbers of its answer, or a text that says why it could not be asked within `patience`
 * milliseconds. What it gives after that stays taken until its time has passed. */
export async function ask(env, key, asked, patience) {
  let timer;
  try {
    const counter = env.COUNTER.get(env.COUNTER.idFromName(key));
    const late = new Promise((_, reject) => {
      timer = setTimeout(() => reject(new Error(`no answer within ${patience} ms`)), patience);
    });
    return await Promise.race([counter.ask(asked), late]);
  } catch (error) {
    return String(error);
  } finally {
    clearTimeout(timer);
  }
}
