// What the runtime calls: requests come in here, and counters are made here.

import { handle } from "tollgate/wasm";
import { Call } from "./call.mjs";
import * as configuration from "./configuration.mjs";
import { revive } from "./instance.mjs";
import { enter } from "./isolate.mjs";

export { Counter } from "./counter.mjs";

export default {
  async fetch(request, env, context) {
    if (revive()) configuration.restore(env);
    if (configuration.isReady()) configuration.refresh(env, context);
    else await configuration.prepare(env);
    if (!configuration.isReady()) return problem(503, "configuration", "The gateway has no valid configuration.");
    const call = new Call(request, env, context);
    enter(() => handle(call));
    return (await call.answered) ?? problem(500, "defect", "The gateway failed.");
  },
};

/** A "no" of this host's own (RFC 9457); all others are core's. */
function problem(status, reason, detail) {
  const body = { type: `urn:tollgate:problem:gateway.${reason}`, title: reason, status, detail };
  const headers = { "content-type": "application/problem+json", "cache-control": "no-store" };
  return new Response(JSON.stringify(body), { status, headers });
}
