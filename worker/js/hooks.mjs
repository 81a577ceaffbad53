// The Worker with what only tests may do: ask a counter directly. `cargo xtask edge --test` begins here; no bundle
// that is deployed has this file.
//
//   POST /x-tollgate-test/ask?counter=NAME    numbers of questions → numbers of answers, one call after another
//   POST /x-tollgate-test/all?counter=NAME    the same, all in one call
//   GET  /x-tollgate-test/kept?counter=NAME   how many entries the object has stored
//   POST /x-tollgate-test/abort?counter=NAME  the object loses its memory
//   POST /x-tollgate-test/slow?counter=MS     all objects answer so many milliseconds after they have counted
//
// Numbers are 64-bit floats, little-endian: ten a question, six an answer.

import { Counter as Deployed, ask } from "./counter.mjs";
import worker from "./index.mjs";

/** Not parsed otherwise: a request may have a URL that is none. */
const HOOK = /^https?:[/][/][^/]*[/]x-tollgate-test[/](\w+)[?]counter=(.*)$/;
const [ASKED, ANSWERED] = [10, 6];

/** Of the isolate, in which the objects are, too. */
let delay = 0;

export class Counter extends Deployed {
  async ask(asked) {
    const answer = super.ask(asked);
    if (delay > 0) await scheduler.wait(delay);
    return answer;
  }

  all(asked) {
    const answers = new Float64Array((asked.length / ASKED) * ANSWERED);
    for (let at = 0; at * ASKED < asked.length; at += 1) {
      answers.set(super.ask(asked.slice(at * ASKED, (at + 1) * ASKED)), at * ANSWERED);
    }
    return answers;
  }

  kept() {
    return [...this.ctx.storage.kv.list()].length;
  }

  abort() {
    this.ctx.abort("as asked");
  }
}

async function act(what, name, request, env) {
  const counter = env.COUNTER.get(env.COUNTER.idFromName(name));
  switch (what) {
    case "all":
      return counter.all(new Float64Array(await request.arrayBuffer()));
    case "ask": {
      const asked = new Float64Array(await request.arrayBuffer());
      const answers = [];
      for (let at = 0; at < asked.length; at += ASKED) {
        answers.push(...(await ask(env, name, asked.slice(at, at + ASKED), 3000)));
      }
      return Float64Array.from(answers);
    }
    case "kept":
      return String(await counter.kept());
    case "abort":
      return counter.abort().then(() => "", String);
    case "slow":
      delay = Number(name);
      return "";
    default:
      return `no hook: ${what}`;
  }
}

export default {
  async fetch(request, env, context) {
    const [hook, what, name] = HOOK.exec(request.url) ?? [];
    if (!hook) return worker.fetch(request, env, context);
    return new Response(await act(what, decodeURIComponent(name), request, env));
  },
};
