// Which configuration is served: the one that was deployed, unless another was published to the KV namespace
// CONFIGURATION. It is compiled once an isolate; one that is refused is said to be so, and the last good one
// serves on.

import deployed from "./configuration.txt";
import { load } from "tollgate/wasm";
import { enter } from "./isolate.mjs";

/** The key under which a configuration is published. */
const KEY = "configuration";
/** How often it is looked whether another was published, in milliseconds. */
const LOOK_EVERY = 30_000;
/** How long the first request of an isolate waits to know, at most. */
const PATIENCE = 2000;

/** What is served. */
let served;
/** What was refused, so that it is not tried again and again. */
let refused;
let looked = -Infinity;

function serve(text, env, what) {
  if (text === refused) return;
  const problems = enter(() => load(text, env));
  if (problems === "") {
    served = text;
  } else {
    refused = text;
    console.error(`the ${what} configuration is refused\n${problems ?? ""}`);
  }
}

/** The published text; null when there is none, undefined when that can't be known now. */
async function published(env) {
  let timer;
  try {
    const late = new Promise((resolve) => (timer = setTimeout(resolve, PATIENCE)));
    return await Promise.race([env.CONFIGURATION.get(KEY, { cacheTtl: 30 }), late]);
  } catch (error) {
    console.error(`the published configuration can't be read: ${error}`);
    return undefined;
  } finally {
    clearTimeout(timer);
  }
}

async function look(env) {
  const text = await published(env);
  if (text === undefined || text === served) return;
  if (text !== null) serve(text, env, "published");
  // What was published is withdrawn by deleting it.
  else if (served !== deployed) serve(deployed, env, "deployed");
}

/** Whether there is something to serve. */
export const isReady = () => served !== undefined;

/** Finds out what to serve. */
export async function prepare(env) {
  looked = Date.now();
  if (env.CONFIGURATION) await look(env);
  if (!isReady()) serve(deployed, env, "deployed");
}

/** Looks, now and then, whether something else is to be served. */
export function refresh(env, context) {
  const now = Date.now();
  if (!env.CONFIGURATION || now - looked < LOOK_EVERY) return;
  looked = now;
  context.waitUntil(look(env));
}

/** Serves what was served, in an instance that knows of nothing. */
export function restore(env) {
  const text = served;
  served = undefined;
  if (text !== undefined) serve(text, env, "last");
}
