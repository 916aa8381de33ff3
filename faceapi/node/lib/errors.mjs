/** A mistake in what the evaluator was given: told in one line, exit code 2, no stack trace. */
export class InputError extends Error {}

/** Decoder messages run over several lines; every message here is told in one. */
export function oneLine(text) {
  return String(text).replace(/\s+/g, ' ').trim();
}
