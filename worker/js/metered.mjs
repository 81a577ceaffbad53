// A stream that is watched while it passes: its pieces, where somebody wants to see them, and how it ends.

/** How a stream ended, as `src/metered.rs` is told. */
export const [WHOLE, BROKEN, LEFT] = [0, 1, 2];

/** A stream that gives what `stream` gives, of `length` bytes where that is known (not negative). `seen` is shown each
 * piece, unless it is undefined: then no script runs while they pass. `ended` is told once how it ended. */
export function metered(stream, length, seen, ended) {
  const sized = () => (length >= 0 ? new FixedLengthStream(length) : new IdentityTransformStream());
  const through = seen ? new TransformStream({ transform }) : sized();
  function transform(piece, controller) {
    seen(piece);
    controller.enqueue(piece);
  }
  stream.pipeTo(through.writable, { preventCancel: true }).then(
    () => ended(WHOLE),
    // What has broken off can't be given up any more; what nobody wants can.
    (error) => stream.cancel(error).then(() => ended(LEFT), () => ended(BROKEN)),
  );
  return seen ? through.readable.pipeThrough(sized()) : through.readable;
}
