// Stored responses, in the Cache API.

import { bounded } from "./bounded.mjs";
import { Answer } from "./head.mjs";

/** The field in which the stored head is. */
const HEAD = "x-tollgate-head";

/** What is stored under `url`, if anything. A store that fails has nothing. */
export async function load(url) {
  try {
    const found = await caches.default.match(url);
    const head = found?.headers.get(HEAD);
    return head ? new Answer(head, found.body) : undefined;
  } catch {
    return undefined;
  }
}

/** Stores a copy of `body`, if there is no more of it than `limit`. Returns the other copy, and a promise. */
export function store(url, head, seconds, encoding, limit, body) {
  const headers = new Headers({
    "cache-control": `public, max-age=${seconds}`,
    "content-type": "application/octet-stream",
    [HEAD]: head,
  });
  if (encoding) headers.set("content-encoding", encoding);
  let kept = body;
  if (body instanceof ReadableStream) {
    [body, kept] = body.tee();
    if (limit >= 0) kept = bounded(kept, limit).readable;
  }
  // What breaks off or exceeds its limit is not stored; that, and a store that fails, is nobody's trouble.
  const stored = caches.default.put(url, new Response(kept, { headers })).catch(() => {});
  return { body, stored };
}
