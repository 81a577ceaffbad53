// A stream that breaks off when more has passed than may.

/** `readable` gives what `stream` gives, up to `limit` bytes; `exceeded` tells whether there were more, and then
 * `exceed` is called: breaking off alone may look like a good end to who reads. */
export function bounded(stream, limit, exceed) {
  let left = limit;
  const watched = { readable: undefined, exceeded: false };
  const through = new TransformStream({
    transform(piece, controller) {
      left -= piece.byteLength;
      if (left < 0) {
        watched.exceeded = true;
        exceed?.();
        throw new Error("larger than allowed");
      }
      controller.enqueue(piece);
    },
  });
  watched.readable = stream.pipeThrough(through);
  return watched;
}
