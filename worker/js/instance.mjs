// The one instance of the WebAssembly module, made when the isolate begins, and made anew when it is lost.

import module from "./index_bg.wasm";
import { __wbg_reset_state, initSync, start } from "tollgate/wasm";
import { isAlive, revived, trapped } from "./isolate.mjs";

initSync({ module });
start();

// Most of what runs in the instance runs in microtasks, where nobody stands above to catch.
addEventListener("error", ({ error }) => {
  if (isAlive() && error instanceof WebAssembly.RuntimeError) trapped(String(error));
});

/** Whether the instance had to be made anew, and so has forgotten all. */
export function revive() {
  if (isAlive()) return false;
  __wbg_reset_state();
  start();
  revived();
  return true;
}
