// One request to a service: where it goes, how long it may take, and what kind of failure it was.

import { Answer, Told, parse } from "./head.mjs";
import { bounded } from "./bounded.mjs";
import { proven } from "./proven.mjs";

const names = new Map();

/** `research-agent` → `SERVICE_RESEARCH_AGENT`, the name under which a service may be bound. */
function bindingOf(service) {
  let name = names.get(service);
  if (name === undefined) {
    if (names.size > 1000) names.clear();
    name = `SERVICE_${service.toUpperCase().replace(/[^A-Z0-9]/g, "_")}`;
    names.set(service, name);
  }
  return name;
}

/** A service is reached by its binding, by the URL in the variable of that name, or by its endpoint's URL. */
function route(env, destination, headers) {
  const [origin, base, target, service] = destination.split("\n");
  const bound = env[bindingOf(service)];
  if (typeof bound?.fetch === "function") {
    // Where no name has to be resolved, the one that the service is to see is told.
    const [scheme] = origin.split(":");
    return { fetcher: bound, url: `${scheme}://${headers.get("host")}${target}` };
  }
  if (typeof bound === "string" && bound !== "") {
    return { fetcher: globalThis, url: bound.replace(/\/+$/, "") + target.slice(base.length) };
  }
  return { fetcher: globalThis, url: origin + target };
}

/** Sends a request on. An answer comes back, or a text that says what kind of failure it was and what is known. */
export async function exchange(call, destination, head, body, watch, patience, background) {
  const { limit, digest, length } = watch;
  const abort = new AbortController();
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    abort.abort();
  }, patience);
  let watched, checked;
  try {
    const { first: method, headers } = parse(head, call.told);
    const { fetcher, url } = route(call.env, destination, headers);
    // A client that leaves ends what is asked on its behalf.
    const signal = background ? abort.signal : AbortSignal.any([call.request.signal, abort.signal]);
    const init = { headers, redirect: "manual", signal };
    let request = url;
    if (body && (method === "GET" || method === "HEAD")) {
      // A body is not heard of with these methods, unless it comes with the request it came with. So it can't be
      // watched on its way: one whose length is not told is refused where there is a limit.
      if (limit >= 0) return "too large\na body that can't be measured";
      if (digest) return "unproven\na body that can't be looked at";
      request = new Request(url, call.request);
    } else {
      init.method = method;
      if (body && limit >= 0) {
        watched = bounded(body, limit, () => abort.abort());
        body = watched.readable;
      }
      if (body && digest) {
        const stream = body instanceof ReadableStream ? body : new Response(body).body;
        checked = proven(stream, digest, length, () => abort.abort());
        body = checked.readable;
      }
      if (body) init.body = body;
    }
    const response = await fetcher.fetch(request, init);
    // The service may have taken what broke off for the whole.
    if (watched?.exceeded) throw new Error("larger than allowed");
    if (checked?.unproven) throw new Error("not the body that was signed");
    const { status } = response;
    if (status === 101 ? !response.webSocket : status < 200 || status > 599) {
      return `protocol\nstatus ${status}`;
    }
    const told = new Told(response.headers);
    call.answeredWith(told);
    return new Answer(status + told.text, response.webSocket ?? response.body);
  } catch (error) {
    if (watched?.exceeded) return "too large\nthe body exceeded its limit";
    if (checked?.unproven) return "unproven\nthe body is not the one that was signed";
    // Nobody's failure, and nobody waits for an answer.
    if (!background && call.request.signal.aborted) return "left\nthe client has left";
    if (late) return `timeout\nno response within ${patience} ms`;
    return `${kind(error)}\n${error?.message ?? error}`;
  } finally {
    clearTimeout(timer);
  }
}

/** The runtime tells failures apart by words alone. */
function kind(error) {
  const text = String(error?.message ?? error);
  return /connect|refused|resolve|dns|unreachable|internal error/i.test(text) ? "connect" : "reset";
}
