// A stream that is watched while it passes: its pieces, where somebody wants to see them, and how it ends.

/** How a stream ended, as `src/metered.rs` is told. */
export const [WHOLE, BROKEN, LEFT] = [0, 1, 2];

/** A stream that gives what `stream` gives, of `length` bytes where that is known (not negative). `seen` is shown each
 * piece, unless it is undefined: then no script runs while they pass. `ended` is told once how it ended. */
export function metered(stream, length, seen, ended) {
  const through = length >= 0 ? new FixedLengthStream(length) : new IdentityTransformStream();
  (seen ? show(stream, through.writable, seen) : pass(stream, through.writable)).then(ended, () => ended(BROKEN));
  return through.readable;
}

async function pass(stream, writable) {
  try {
    await stream.pipeTo(writable, { preventCancel: true });
    return WHOLE;
  } catch (error) {
    // What has broken off can't be given up any more, which is a failure; what nobody wants can.
    await stream.cancel(error);
    return LEFT;
  }
}

/** By hand: a stream between the two that is a script's costs several times as much for each piece. */
async function show(stream, writable, seen) {
  const [reader, writer] = [stream.getReader(), writable.getWriter()];
  let left = false;
  // Also while nothing comes.
  writer.closed.catch((error) => {
    left = true;
    return reader.cancel(error).catch(() => {});
  });
  for (;;) {
    let read;
    try {
      read = await reader.read();
    } catch (error) {
      writer.abort(error).catch(() => {});
      throw error;
    }
    if (left) return LEFT;
    try {
      if (read.done) {
        await writer.close();
        return WHOLE;
      }
      seen(read.value);
      // Settled when it was taken: nothing waits here.
      await writer.write(read.value);
    } catch (error) {
      await reader.cancel(error).catch(() => {});
      return LEFT;
    }
  }
}
