// Heads of messages as one text, a line for each name and each value: what `src/message.rs` reads and writes.

/** What a message's fields were when WebAssembly was told of them. */
export class Told {
  constructor(headers) {
    this.headers = headers;
    /** Name → its values, a line each. */
    this.fields = new Map();
    /** The fields as lines, each after a line break. */
    this.text = "";
    for (const [name, value] of headers) {
      this.text += `\n${name}\n${value}`;
      note(this.fields, name, value);
    }
  }
}

function note(fields, name, value) {
  const others = fields.get(name);
  fields.set(name, others === undefined ? value : `${others}\n${value}`);
}

/** The first line of a text, and the fields after it.
 *
 * They are made from those that WebAssembly was told of, by their differences: fields that nobody has touched
 * stay as they came, their bytes that are no UTF-8 and their division into lines included. It is faster, too. */
export function parse(text, told) {
  const [first, ...rest] = text.split("\n");
  const fields = new Map();
  for (let at = 0; at + 1 < rest.length; at += 2) note(fields, rest[at], rest[at + 1]);
  const before = told?.fields ?? new Map();
  const headers = new Headers(told?.headers);
  for (const name of before.keys()) {
    if (!fields.has(name)) headers.delete(name);
  }
  for (const [name, values] of fields) {
    const old = before.get(name);
    if (old === values) continue;
    if (old !== undefined) headers.delete(name);
    for (const value of values.split("\n")) headers.append(name, value);
  }
  return { first, headers };
}

/** A response from elsewhere, as WebAssembly takes it. */
export class Answer {
  constructor(head, body) {
    this.head = head;
    this.body = body;
  }
}

/** Statuses of responses that have no content (the Fetch standard's null body statuses). */
const EMPTY = new Set([101, 204, 205, 304]);

/** The response for a head and a body. */
export function response(head, body, told) {
  const { first, headers } = parse(head, told);
  const status = Number(first);
  if (status === 101) return new Response(null, { status, headers, webSocket: body });
  if (!EMPTY.has(status)) return new Response(body, { status, headers });
  // Who sends it learns that nobody wants it, and so does who watches it.
  if (body instanceof ReadableStream) body.cancel().catch(() => {});
  return new Response(null, { status, headers });
}
