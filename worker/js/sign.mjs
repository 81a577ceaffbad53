// Signatures, in WebCrypto. Which key signs what is core's decision.

import { ALGORITHMS } from "./verify.mjs";

/** The keys of a configuration are a few, and those of earlier ones go with the isolate. */
const MAX_KEYS = 16;
const keys = new Map();

/** The signature, or a text that says why there is none; it does not tell of the key. */
export async function sign(algorithm, jwk, message) {
  try {
    const [importing, using] = ALGORITHMS[algorithm];
    let key = keys.get(jwk);
    if (key === undefined) {
      key = await crypto.subtle.importKey("jwk", JSON.parse(jwk), importing, false, ["sign"]);
      if (keys.size >= MAX_KEYS) keys.delete(keys.keys().next().value);
      keys.set(jwk, key);
    }
    return new Uint8Array(await crypto.subtle.sign(using, key, message));
  } catch (error) {
    return error instanceof DOMException ? `${error.name}: ${error.message}` : "the key can't be read";
  }
}
