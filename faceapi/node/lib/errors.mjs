/** A mistake in the evaluator's input. It is reported in one line without a stack trace, and the exit code is 2. */
export class InputError extends Error {}

/** Puts a message of several lines, as decoders write them, into one line. */
export function oneLine(text) {
  return String(text).replace(/\s+/g, ' ').trim();
}
