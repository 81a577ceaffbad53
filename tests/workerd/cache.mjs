// Stands in for the back end of the Cache API, which workerd asks over HTTP: in memory, and gone with the process.
//
//   GET   what is stored under a URL; 504 when nothing is
//   PUT   the content is a whole serialised response
//   PURGE forgets
const stored = new Map();

export default {
  async fetch(request) {
    switch (request.method) {
      case "PUT":
        stored.set(request.url, new Uint8Array(await request.arrayBuffer()));
        return new Response(null, { status: 204 });
      case "PURGE":
        return new Response(null, { status: stored.delete(request.url) ? 200 : 404 });
      default: {
        const found = stored.get(request.url);
        if (!found) return new Response(null, { status: 504, headers: { "cf-cache-status": "MISS" } });
        return parsed(found);
      }
    }
  },
};

/** The response that was serialised. */
function parsed(bytes) {
  const text = new TextDecoder("latin1").decode(bytes);
  const end = text.indexOf("\r\n\r\n");
  const [first, ...fields] = text.slice(0, end).split("\r\n");
  const headers = new Headers({ "cf-cache-status": "HIT" });
  for (const field of fields) {
    const colon = field.indexOf(":");
    const name = field.slice(0, colon).toLowerCase();
    // The content is stored without the framing that this would declare.
    if (name !== "transfer-encoding") headers.append(name, field.slice(colon + 1).trim());
  }
  return new Response(bytes.slice(end + 4), { status: Number(first.split(" ")[1]), headers });
}
