// A stream that has to have a digest: its last piece is held back until it is known whether the whole is what it
// should be, so nobody ever has a whole that is another.

/** `readable` gives what `stream` gives, of `length` bytes where that is known (not negative). `digest` is an algorithm
 * and the digest in base64. `unproven` tells whether the stream was another, and then `fail` is called: breaking off
 * alone may look like a good end to who reads. */
export function proven(stream, digest, length, fail) {
  const [algorithm, wanted] = digest.split(" ");
  const watched = { readable: undefined, unproven: false };
  const digesting = new crypto.DigestStream(algorithm);
  const writer = digesting.getWriter();
  // Where the stream breaks off nobody asks for the digest.
  digesting.digest.catch(() => {});
  let held;
  const through = new TransformStream({
    async transform(piece, controller) {
      // Were an empty piece held back, nothing would be.
      if (piece.byteLength === 0) return;
      await writer.write(piece);
      if (held !== undefined) controller.enqueue(held);
      held = piece;
    },
    async flush(controller) {
      await writer.close();
      const made = btoa(String.fromCharCode(...new Uint8Array(await digesting.digest)));
      if (made !== wanted) {
        watched.unproven = true;
        fail();
        throw new Error("not the body that was signed");
      }
      if (held !== undefined) controller.enqueue(held);
    },
  });
  watched.readable = stream.pipeThrough(through);
  // What comes from a script has no length, unless it is declared again.
  if (length >= 0) watched.readable = watched.readable.pipeThrough(new FixedLengthStream(length));
  return watched;
}
